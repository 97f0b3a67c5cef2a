import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HandOverNote, HandOverNotes } from '../../../src/control/state/hand-over-note.ts';

const UUID = '0f0e0d0c-0000-4000-8000-00000000000b';
const NOTE: HandOverNote = {
  uuid: UUID,
  uri: 'tcp:h:1',
  migrationId: 'm',
  secret: 'f'.repeat(32),
  epoch: 2,
};

describe('HandOverNotes', () => {
  let directory: string;
  let notes: HandOverNotes;
  const path = () => join(directory, 'ownership', `${UUID}.hand-over`);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hand-over-note-'));
    mkdirSync(join(directory, 'ownership'));
    notes = new HandOverNotes(directory);
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('keeps the last one of each guest, for this user only', () => {
    expect(notes.read(UUID)).toBeUndefined();
    // Left by a process that ended meanwhile.
    writeFileSync(`${path()}.new`, 'half', { mode: 0o644 });
    notes.write({ ...NOTE, epoch: 1 });
    notes.write({ ...NOTE, claimedEpoch: 3 });
    expect(notes.read(UUID.toUpperCase())).toEqual({ ...NOTE, claimedEpoch: 3 });
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(directory, 'ownership'))).toEqual([`${UUID}.hand-over`]);
    notes.remove(UUID);
    notes.remove(UUID);
    expect(notes.read(UUID)).toBeUndefined();
  });

  it.each(['', '{', 'null', '{}', JSON.stringify({ ...NOTE, secret: 1 })])(
    'has none where there is only %j',
    (text) => {
      writeFileSync(path(), text);
      expect(notes.read(UUID)).toBeUndefined();
    },
  );

  it('says what is in the way', () => {
    rmSync(join(directory, 'ownership'), { recursive: true });
    expect(() => notes.write(NOTE)).toThrowError(
      expect.objectContaining({ code: 'E_STATE_DIRECTORY' }),
    );
  });
});
