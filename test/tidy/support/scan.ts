/** A source text in two readings: without comments, and also without the contents of strings. */
export interface ScannedSource {
  /** Comments blanked, line breaks kept. */
  readonly code: string;
  /** Comments, texts and regular expressions blanked, line breaks kept. */
  readonly bare: string;
}

/** What a slash begins after one of these is a regular expression, not a division. */
const BEFORE_REGEX = /(^|[(,=:[!&|?{};+\-*%~^<>]|\b(return|typeof|case|in|of|throw|await))$/;

/**
 * A small scanner of JavaScript's surface, enough to tell code from comments and texts. The project
 * has no parser at hand (TypeScript 7 offers none to JavaScript), and a rule that trips over its
 * own explanation in a comment is no rule.
 */
export function scanSource(text: string): ScannedSource {
  let code = '';
  let bare = '';
  /** Braces open inside each `${` of the template literals that we are in. */
  const templates: number[] = [];
  let index = 0;
  const blank = (part: string) => part.replace(/[^\n]/g, ' ');
  const take = (end: number, isComment: boolean) => {
    const part = text.slice(index, end);
    code += isComment ? blank(part) : part;
    bare += blank(part);
    index = end;
  };
  while (index < text.length) {
    const two = text.slice(index, index + 2);
    const one = text[index] ?? '';
    if (two === '//') take(endOf(text, /\n|$/g, index), true);
    else if (two === '/*') take(afterEnd(text, '*/', index + 2), true);
    else if (one === "'" || one === '"') take(endOfQuoted(text, index, one), false);
    else if (one === '`') take(endOfTemplatePart(text, index + 1, templates), false);
    else if (one === '/' && BEFORE_REGEX.test(bare.trimEnd().slice(-12))) {
      take(endOfRegex(text, index), false);
    } else if (one === '}' && templates.at(-1) === 0) {
      templates.pop();
      take(endOfTemplatePart(text, index + 1, templates), false);
    } else {
      const open = templates.length - 1;
      if (one === '{' && open >= 0) templates[open] = (templates[open] ?? 0) + 1;
      if (one === '}' && open >= 0) templates[open] = (templates[open] ?? 0) - 1;
      code += one;
      bare += one;
      index += 1;
    }
  }
  return { code, bare };
}

function endOf(text: string, pattern: RegExp, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? text.length;
}

function afterEnd(text: string, end: string, from: number): number {
  const at = text.indexOf(end, from);
  return at < 0 ? text.length : at + end.length;
}

function endOfQuoted(text: string, from: number, quote: string): number {
  for (let index = from + 1; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === quote || text[index] === '\n') return index + 1;
  }
  return text.length;
}

/** Up to the closing backtick, or past a `${`, which opens a level in `templates`. */
function endOfTemplatePart(text: string, from: number, templates: number[]): number {
  for (let index = from; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === '`') return index + 1;
    else if (text.startsWith('${', index)) {
      templates.push(0);
      return index + 2;
    }
  }
  return text.length;
}

function endOfRegex(text: string, from: number): number {
  let inClass = false;
  for (let index = from + 1; index < text.length; index += 1) {
    const character = text[index];
    if (character === '\\') index += 1;
    else if (character === '\n') return index;
    else if (character === '[') inClass = true;
    else if (character === ']') inClass = false;
    else if (character === '/' && !inClass) return index + 1;
  }
  return text.length;
}

/** Every module that a source names: import, export from, import(), and types among them. */
export function importedModules(source: ScannedSource): string[] {
  const patterns = [
    /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /\bimport\s*['"]([^'"]+)['"]/g,
    /\bimport\s*\(\s*['"`]([^'"`]+)['"`]/g,
  ];
  return patterns.flatMap((pattern) =>
    [...source.code.matchAll(pattern)].map(([, specifier]) => specifier ?? ''),
  );
}

/** Line number, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
