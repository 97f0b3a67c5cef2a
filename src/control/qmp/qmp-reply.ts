import { toSternaError, type WallClock } from '../../base/index.ts';

export type QmpErrorClass = 'GenericError' | 'CommandNotFound';

/** `id` is echoed as it came; undefined where there was none. */
export interface QmpReply {
  readonly return?: unknown;
  readonly error?: QmpErrorBody;
  readonly id?: unknown;
}

/** QEMU's two members, and ours for those who want to decide by it. */
export interface QmpErrorBody {
  readonly class: QmpErrorClass;
  readonly desc: string;
  readonly 'x-sterna'?: {
    readonly code: string;
    readonly 'next-step': string;
    readonly 'guest-owner'?: string;
    readonly phase?: string;
    readonly side?: string;
    readonly detail?: Readonly<Record<string, unknown>>;
  };
}

export function errorReply(errorClass: QmpErrorClass, desc: string, id?: unknown): QmpReply {
  return { error: { class: errorClass, desc }, ...idMember(id) };
}

export function returnReply(value: unknown, id: unknown): QmpReply {
  return { return: value ?? {}, ...idMember(id) };
}

/** The reply to a command that failed with whatever was thrown. */
export function failureReply(thrown: unknown, id: unknown): QmpReply {
  const error = toSternaError(thrown, 'E_STATE', 'Command failed');
  return {
    error: {
      class: 'GenericError',
      desc: describe(error),
      'x-sterna': {
        code: error.code,
        'next-step': error.nextStep,
        ...(error.guestOwner === undefined ? {} : { 'guest-owner': error.guestOwner }),
        ...(error.phase === undefined ? {} : { phase: error.phase }),
        ...(error.side === undefined ? {} : { side: error.side }),
        ...(Object.keys(error.detail).length === 0 ? {} : { detail: error.detail }),
      },
    },
    ...idMember(id),
  };
}

/** One sentence for a person: what failed, and the platform's reason where there is one. */
export function describe(error: {
  message: string;
  detail: Readonly<Record<string, unknown>>;
}): string {
  const { cause } = error.detail;
  return typeof cause === 'string' ? `${error.message}: ${cause}` : error.message;
}

/** An event as QEMU sends it. */
export function eventMessage(event: string, data: unknown, clock: WallClock): unknown {
  const nowMicroseconds = clock();
  return {
    event,
    ...(data === undefined ? {} : { data }),
    timestamp: {
      seconds: Math.floor(nowMicroseconds / 1e6),
      microseconds: Math.floor(nowMicroseconds % 1e6),
    },
  };
}

function idMember(id: unknown): { readonly id?: unknown } {
  return id === undefined ? {} : { id };
}
