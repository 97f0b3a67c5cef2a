/** The functions of a user's policy; what they return is not known. */
export interface UserFunctions {
  readonly begin: ((start: unknown) => unknown) | undefined;
  readonly decide: (round: unknown) => unknown;
}

/**
 * What a module exports as its policy: `default` (a function, or an object with `decide` and
 * perhaps `begin`), or the two by name. Throws an Error that says what is missing.
 */
export function policyOf(module: unknown): UserFunctions {
  const exported = member(module, 'default') ?? module;
  if (typeof exported === 'function') {
    return { begin: undefined, decide: (round) => exported(round) };
  }
  const decide = member(exported, 'decide');
  if (typeof decide !== 'function') {
    throw new Error('The module exports no decide(round), neither as default nor by name');
  }
  const begin = member(exported, 'begin');
  if (begin !== undefined && typeof begin !== 'function') {
    throw new Error('What the module exports as begin is no function');
  }
  return {
    begin: begin === undefined ? undefined : (start) => begin.call(exported, start),
    decide: (round) => decide.call(exported, round),
  };
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  // Any object can be read by a string key.
  return (value as Readonly<Record<string, unknown>>)[name];
}
