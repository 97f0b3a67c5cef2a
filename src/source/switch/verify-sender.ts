import { CONTROL_BYTES_MAX } from '../../base/index.ts';
import type { RamBlock } from '../../guestmem/index.ts';
import { encodeVerifyEnd, MESSAGE_TYPES } from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { PromisedPages } from '../postcopy/promised-pages.ts';
import { answered } from '../setup.ts';

const PREFIX_BYTES = 8;
const HASHES_PER_FRAME = Math.floor((CONTROL_BYTES_MAX - PREFIX_BYTES) / 8);
const RESULT_LIMIT_MS = 30_000;

/**
 * Proof of equality: hashes the frozen RAM here, page by page, and lets the destination compare
 * with what it applied. Hashing reads RAM itself, not what was noted when pages were sent, so a
 * lost dirty mark shows as well as a lost page. `only`: this process has no others.
 */
export async function verifyRam(context: OutgoingContext, only?: PromisedPages): Promise<void> {
  const { machine, record, peer, channel } = context;
  record.verify = { status: 'running', pages: 0, mismatches: [] };
  context.publish();
  for (const block of machine.memory.blocks) {
    for (const [first, end] of only?.runsOf(block) ?? [[0, block.layout.pageCount]]) {
      await sendHashes(context, block, first, end);
    }
  }
  const pages = only?.count ?? machine.memory.pageCount;
  const partial = only === undefined ? {} : { partial: true };
  await peer.send('VERIFY_END', encodeVerifyEnd({ pages, ...partial }));
  if (!channel.duplex) {
    peer.assumeAnswer();
    record.verify = {
      status: 'skipped',
      pages: 0,
      mismatches: [],
      reason: 'a file is compared when it is loaded',
    };
    return;
  }
  const comparing = ['comparing', 'late-comparing'];
  await answered(context, RESULT_LIMIT_MS, 'VERIFY_RESULT', () => !comparing.includes(peer.state));
  const result = await peer.verifyResult.promise;
  record.verify = { status: result.status, pages: result.pages, mismatches: result.mismatches };
  context.publish();
}

async function sendHashes(
  { frames, peer, record, journal }: OutgoingContext,
  block: RamBlock,
  from: number,
  end: number,
): Promise<void> {
  for (let first = from; first < end; first += HASHES_PER_FRAME) {
    const count = Math.min(HASHES_PER_FRAME, end - first);
    const bodyBytes = PREFIX_BYTES + count * 8;
    await frames.sendBody(block, MESSAGE_TYPES.VERIFY_HASHES, (body, address) => {
      peer.sending('VERIFY_HASHES');
      body.writeUInt32LE(first, 0);
      body.writeUInt32LE(count, 4);
      block.kernels.hashPages(first, count, address + PREFIX_BYTES);
      journal?.switchHashes.putInto(body.subarray(PREFIX_BYTES), block, first, count);
      return { bodyBytes, checkedCrc: block.kernels.crc32c(address, bodyBytes) };
    });
    record.verify = { ...record.verify, pages: record.verify.pages + count };
  }
}
