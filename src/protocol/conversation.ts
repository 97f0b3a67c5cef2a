import { SternaError } from '../base/index.ts';
import type { MessageName } from './message-types.ts';

/** In each state, the messages that are legal and where they lead. */
export type TransitionTable<State extends string> = Readonly<
  Record<State, Readonly<Partial<Record<MessageName, State>>>>
>;

/** Where `message` leads from `state`, or an error that names both. */
export function nextState<State extends string>(
  table: TransitionTable<State>,
  state: State,
  message: MessageName,
): State | SternaError {
  const next = table[state][message];
  if (next !== undefined) return next;
  return new SternaError(
    'E_PROTOCOL_UNEXPECTED_MESSAGE',
    `Message ${message} must not come in state ${state}`,
    { detail: { message, state, legal: Object.keys(table[state]) } },
  );
}

/** Rows that stay where they are: `stay('active', ['PING', 'PONG'])`. */
export function stay<State extends string>(
  state: State,
  messages: readonly MessageName[],
): Partial<Record<MessageName, State>> {
  return Object.fromEntries(messages.map((message) => [message, state]));
}
