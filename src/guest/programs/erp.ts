import { load32, pageForWrite } from '../../guestmem/soft-mmu/soft-mmu';
import { increment } from './noise';
import { blockFirstPfn } from './slice';

// The session table of a vCPU: one page, 16 bytes for each session: u32 number of its last
// committed transaction · u32 the same times a constant of the session · 8 zero. So a new table is
// zero.
export const SESSION_BYTES: u32 = 16;

@inline export function sessionCheck(session: u32, committed: u32): u32 {
  return committed * increment(session);
}

// The last committed transaction of a session.
export function erpCommitted(table: u32, session: u32): u32 {
  return load32(((table - blockFirstPfn) << 12) + session * SESSION_BYTES);
}

// All of a transaction's records are written: it counts from here on. What is thrown out of here
// has not happened, and is repeated as a whole.
export function erpCommit(table: u32, session: u32, number: u32): void {
  const page = pageForWrite((table - blockFirstPfn) << 12);
  const entry = page + session * SESSION_BYTES;
  store<u32>(entry, number);
  store<u32>(entry + 4, sessionCheck(session, number));
}
