/** A mapping of a YAML document, or one of its leaves. */
export type YamlValue = string | readonly YamlValue[] | YamlMapping;
export interface YamlMapping {
  readonly [key: string]: YamlValue;
}

interface Line {
  readonly indent: number;
  readonly text: string;
}

/**
 * Reads the part of YAML that docker-compose.yml keeps to: block mappings, lists on one line,
 * anchors, and merges. Throws on anything else, so that the file cannot outgrow the reader unseen.
 */
export function readYaml(text: string): YamlMapping {
  const lines = text
    .split('\n')
    .map((line) => ({ indent: line.search(/\S/), text: line.trim() }))
    .filter((line) => line.text !== '' && !line.text.startsWith('#'));
  return readMapping(lines, new Map());
}

function readMapping(lines: Line[], anchors: Map<string, YamlMapping>): YamlMapping {
  const result: Record<string, YamlValue> = {};
  const indent = lines[0]?.indent ?? 0;
  while (lines[0]?.indent === indent) {
    const line = lines.shift();
    const match = /^([\w.<-]+):(?:\s+(.*))?$/.exec(line?.text ?? '');
    if (match === null) throw new Error(`Not a line of the YAML subset: ${line?.text}`);
    const [, key = '', rest = ''] = match;
    const anchor = /^&(\w+)$/.exec(rest)?.[1];
    if (key === '<<') {
      Object.assign(result, { ...anchors.get(rest.slice(1)), ...result });
    } else if (rest === '' || anchor !== undefined) {
      const nested = (lines[0]?.indent ?? 0) > indent ? readMapping(lines, anchors) : {};
      if (anchor !== undefined) anchors.set(anchor, nested);
      result[key] = nested;
    } else {
      result[key] = readLeaf(rest);
    }
  }
  if ((lines[0]?.indent ?? 0) > indent) throw new Error(`Odd indentation: ${lines[0]?.text}`);
  return result;
}

function readLeaf(text: string): YamlValue {
  if (/^[|>&*{]/.test(text)) throw new Error(`Not in the YAML subset: ${text}`);
  if (!text.startsWith('[')) return text;
  return text
    .slice(1, -1)
    .split(/,\s*/)
    .map((item) => item.replaceAll('"', ''));
}

/** A nested value by its path; an empty mapping where there is none. */
export function mappingAt(value: YamlMapping, ...path: readonly string[]): YamlMapping {
  let found: YamlValue = value;
  for (const key of path) {
    if (typeof found === 'string' || Array.isArray(found)) return {};
    found = (found as YamlMapping)[key] ?? {};
  }
  return found as YamlMapping;
}
