import { SternaError } from '../../../../base/index.ts';

/**
 * `key=value,key=value` with the keys that are known, each at most once. A comma in a value is
 * written twice, as for QEMU. Throws E_CONFIG_INVALID, naming the option by `what`.
 */
export function parseWords(
  what: string,
  text: string,
  keys: readonly string[],
): ReadonlyMap<string, string> {
  const words = new Map<string, string>();
  for (const word of splitAtSingleCommas(text)) {
    const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    const complain = (message: string) =>
      new SternaError('E_CONFIG_INVALID', message, {
        detail: { [what]: text, expected: keys.map((name) => `${name}=`).join(' ') },
      });
    if (key === '') throw complain(`${JSON.stringify(word)} of a ${what} is not KEY=VALUE`);
    if (!keys.includes(key)) throw complain(`A ${what} has no ${JSON.stringify(key)}`);
    if (words.has(key)) throw complain(`A ${what} has ${key} twice`);
    words.set(key, value);
  }
  return words;
}

/** A comma that is written twice is one of the word. */
export function splitAtSingleCommas(text: string): string[] {
  const words = [''];
  for (const [part] of text.matchAll(/,,|,|[^,]+/g)) {
    if (part === ',') words.push('');
    else words[words.length - 1] += part === ',,' ? ',' : part;
  }
  return words;
}
