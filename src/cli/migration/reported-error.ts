import { ERROR_CODES, type ErrorReport, type GuestOwner } from '../../base/index.ts';
import type { Fields } from './fields.ts';

/** Undefined where there is no error, or one with a code that is not known here. */
export function readError(fields: Fields, text: string | undefined): ErrorReport | undefined {
  const code = fields.text('code');
  if (code === undefined || !Object.hasOwn(ERROR_CODES, code)) return undefined;
  const side = fields.text('side');
  return {
    // Looked up in the table just above.
    code: code as keyof typeof ERROR_CODES,
    message: fields.text('message') ?? text ?? 'The migration failed',
    detail: fields.object('detail').plain(),
    phase: fields.text('phase'),
    side: side === 'source' || side === 'destination' ? side : undefined,
    guestOwner: fields.has('guestOwner') ? readOwner(fields.text('guestOwner')) : undefined,
    nextStep: fields.text('nextStep') ?? ERROR_CODES[code as keyof typeof ERROR_CODES][2],
  };
}

/** What is not a side is unknown. */
export function readOwner(text: string | undefined): GuestOwner {
  return text === 'source' || text === 'destination' || text === 'none' ? text : 'unknown';
}
