import { expect, test } from 'vitest';
import {
  frameDamage,
  Mailbox,
  NEWEST,
  type ServiceAnswer,
  SLOTS_PER_VCPU,
  type WorkloadMachine,
} from '../../../src/guest/index.ts';
import { registersOf } from '../../../src/guest/shared-state.ts';
import { type GuestOptions, guestOf, letWrite, MIB, startGuest, TWO_BLOCKS } from './guests.ts';

/** What a guest answers through its mailbox, and that an answer is true after the guest moved. */

const TWO: GuestOptions = { ramBlocks: TWO_BLOCKS, vcpuCount: 3 };
const GOOD = { ok: true, pages: 4096, problems: [] };

function mailboxOf(machine: WorkloadMachine): Mailbox {
  return new Mailbox(machine.handles().mailbox);
}

/** The answer to a request in the first slot of the vCPU that it is for. */
async function ask(
  machine: WorkloadMachine,
  session: number,
  number: number,
): Promise<ServiceAnswer> {
  const mailbox = mailboxOf(machine);
  const slot = (session % mailbox.vcpuCount) * SLOTS_PER_VCPU;
  mailbox.ask(slot, session, number);
  return answerIn(mailbox, slot);
}

async function answerIn(mailbox: Mailbox, slot: number): Promise<ServiceAnswer> {
  for (;;) {
    const seen = mailbox.newestAnswer();
    const answer = mailbox.take(slot);
    if (answer !== undefined) return answer;
    await Promise.race([mailbox.answersAfter(seen), new Promise((go) => setTimeout(go, 5))]);
  }
}

async function moveTo(source: WorkloadMachine, postcopy = false): Promise<WorkloadMachine> {
  await source.pause('migration');
  const destination = await guestOf(source.description, true);
  for (const [index, block] of source.memory.blocks.entries())
    if (!postcopy) destination.memory.blocks[index]!.ram.set(block.ram);
  await destination.load(await source.save());
  if (postcopy) destination.setPostcopy(true);
  return destination;
}

/** Brings every page that a vCPU waits for, and the rest once `done` is settled. */
async function bringUntil(
  source: WorkloadMachine,
  machine: WorkloadMachine,
  done: Promise<unknown>,
): Promise<void> {
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  const put = (index: number, pfn: number) => {
    const { bytes, layout, ram } = machine.memory.blocks[index]!;
    if (machine.memory.blocks[index]!.isReceived(pfn)) return;
    source.memory.blocks[index]!.ram.copy(ram, pfn * 4096, pfn * 4096, (pfn + 1) * 4096);
    Atomics.store(bytes, layout.receivedMap + pfn, 1);
  };
  while (!isDone) {
    for (const { block, pfn } of machine.faults.waiting()) put(block, pfn);
    machine.faults.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const [index, { layout }] of machine.memory.blocks.entries())
    for (let pfn = 0; pfn < layout.pageCount; pfn += 1) put(index, pfn);
  machine.faults.wake();
  machine.setPostcopy(false);
}

test('a workload without a service has no mailbox to speak of', async () => {
  const machine = await startGuest('idle');
  expect(mailboxOf(machine)).toMatchObject({ service: undefined, slotCount: 0 });
});

test('stream answers with frames that are whole, and tells which are gone', async () => {
  const machine = await startGuest('stream,ring=4M,frame=16K,fps=100,change=40', TWO);
  const watch = async (channel: number) => {
    const newest = await ask(machine, channel, NEWEST);
    expect(newest).toMatchObject({ status: 'done', session: channel });
    expect(newest.body).toHaveLength(16384);
    expect(frameDamage(newest.body, newest.number)).toBeUndefined();
    // Not made yet: it comes when it is.
    for (const number of [5, 50, 100].map((later) => newest.number + later)) {
      const next = await ask(machine, channel, number);
      expect(next).toMatchObject({ status: 'done', number });
      expect(frameDamage(next.body, number)).toBeUndefined();
    }
    // 256 frames of three channels: the first one is overwritten by now.
    const old = await ask(machine, channel, 0);
    expect(old).toMatchObject({ status: 'gone', body: new Uint8Array(0) });
    expect(old.number).toBeGreaterThan(100 - 86);
    const far = await ask(machine, channel, old.number + 100_000);
    expect(far).toMatchObject({ status: 'refused', body: new Uint8Array(0) });
  };
  await Promise.all([0, 1, 2].map(watch));
  await machine.pause('operator');
  expect(await machine.check()).toEqual(GOOD);
});

test('frameDamage() finds a frame of another number and a byte that is not its own', async () => {
  const machine = await startGuest('stream,fps=1000', { vcpuCount: 1 });
  const { number, body } = await ask(machine, 0, NEWEST);
  expect(frameDamage(body, number + 1)).toMatch(/^page 0 is of frame/);
  // Also where it lies in the middle of a larger buffer, as what a socket has read.
  const read = Buffer.concat([Buffer.alloc(3), body]).subarray(3);
  expect(frameDamage(read, number)).toBeUndefined();
  body[5000] = body[5000]! ^ 1;
  expect(frameDamage(body, number)).toMatch(/^page 1 has the checksum/);
  expect(frameDamage(body.subarray(4096), number)).toMatch(/says that it is page 1/);
  expect(frameDamage(body.subarray(1), number)).toBe('it has 65535 bytes');
});

test.each([false, true])(
  'a frame made before a move is there after it, post-copy %s',
  async (postcopy) => {
    const source = await startGuest('stream,ring=8M,frame=64K,fps=50', TWO);
    const { number } = await ask(source, 1, NEWEST);
    const destination = await moveTo(source, postcopy);
    destination.resume('ownership');
    const answered = ask(destination, 1, number);
    if (postcopy) await bringUntil(source, destination, answered);
    const answer = await answered;
    expect(answer).toMatchObject({ status: 'done', number });
    expect(frameDamage(answer.body, number)).toBeUndefined();
    await destination.pause('operator');
    expect(await destination.check()).toEqual(GOOD);
  },
);

test('erp commits each transaction once, and refuses what is not next', async () => {
  const machine = await startGuest('erp,heap=10M,updates=50,sessions=5,read=20', TWO);
  await machine.waitBooted();
  const said = (status: string, session: number, number: number) => ({ status, session, number });
  expect(await ask(machine, 4, 1)).toMatchObject(said('done', 4, 1));
  expect(await ask(machine, 4, 2)).toMatchObject(said('done', 4, 2));
  expect(await ask(machine, 4, 2)).toMatchObject(said('done', 4, 2));
  expect(await ask(machine, 4, 4)).toMatchObject(said('refused', 4, 2));
  expect(await ask(machine, 4, 1)).toMatchObject(said('refused', 4, 2));
  expect(await ask(machine, 4, 0)).toMatchObject(said('refused', 4, 2));
  expect(await ask(machine, 3, 0)).toMatchObject(said('refused', 3, 0));
  expect(await ask(machine, 5, 1)).toMatchObject(said('refused', 5, 0));
  await machine.pause('operator');
  expect(await machine.check()).toEqual(GOOD);
  const { writes, reads } = machine.progress();
  expect(writes + reads).toBe(100);
});

test.each([false, true])(
  'a transaction that a move interrupts is committed once, post-copy %s',
  async (postcopy) => {
    const source = await startGuest('erp,heap=10M,updates=1000000,sessions=3', TWO);
    await source.waitBooted();
    mailboxOf(source).ask(SLOTS_PER_VCPU, 1, 1);
    await letWrite(source, 100);
    const destination = await moveTo(source, postcopy);
    expect(registersOf(source.handles().registers)[1]!.transaction.isActive).toBe(true);
    expect(await source.check()).toEqual(GOOD);
    destination.resume('ownership');
    const answered = ask(destination, 1, 1);
    if (postcopy) await bringUntil(source, destination, answered);
    expect(await answered).toMatchObject({ status: 'done', session: 1, number: 1 });
    await destination.pause('operator');
    expect(await destination.check()).toEqual(GOOD);
    expect(destination.progress().writes).toBe(1_000_000);
  },
);

test('load() refuses a transaction that cannot be', async () => {
  const source = await startGuest('erp,heap=1M,updates=1000000,sessions=3', { vcpuCount: 2 });
  await source.waitBooted();
  source.control.throttle('migration', 99);
  mailboxOf(source).ask(0, 2, 1);
  await letWrite(source, 100);
  await source.pause('operator');
  const good = await source.save();
  const target = await guestOf(source.description, true);
  const [vcpu, ...others] = good.sections;
  for (const [offset, value] of [
    // Active · session of the other vCPU · unknown session · number · accesses left · reserved.
    ...[
      [48, 2],
      [52, 1],
      [52, 4],
      [56, 0],
      [60, 1_000_001],
      [64, 1],
      [68, 1],
    ],
    // Nobody's transaction, and yet one with a session; half a count.
    ...[
      [256 + 52, 1],
      [76, 0x7ff80000],
    ],
  ] as const) {
    const bytes = Buffer.from(vcpu!.bytes);
    bytes.writeUInt32LE(value, offset);
    const loading = expect(
      target.load({ sections: [{ ...vcpu!, bytes }, ...others] }),
      `${offset}`,
    );
    await loading.rejects.toMatchObject({ code: 'E_MACHINE_STATE' });
  }
  await target.load(good);
  expect(await target.save()).toEqual(good);
});

/** Spoils RAM; `old` is what it was some time before. */
type Damage = (ram: Buffer, old: Buffer) => void;
const page = (number: number) => [number * 4096, number * 4096, (number + 1) * 4096] as const;
const half = (number: number) =>
  [number * 4096 + 512, number * 4096 + 512, (number + 1) * 4096] as const;

test.each<[string, string, Damage, RegExp]>([
  ['lmbench', 'a stale page', (ram, old) => void old.copy(ram, ...page(3)), /^page 3 holds/],
  ['lmbench', 'a torn page', (ram, old) => void old.copy(ram, ...half(3)), /^page 3 holds/],
  ['lmbench', 'a lost page', (ram) => void ram.fill(0, 4096, 8192), /^page 1 holds/],
  [
    'lmbench',
    'a byte between',
    (ram) => void ram.writeUInt8(ram.readUInt8(8200) ^ 1, 8200),
    /^page 2 holds/,
  ],
  ['stream', 'a stale page', (ram, old) => void old.copy(ram, ...page(3)), /^page 3 holds/],
  ['stream', 'a torn page', (ram, old) => void old.copy(ram, ...half(3)), /^page 3 holds/],
  ['stream', 'a lost page', (ram) => void ram.fill(0, 4096, 8192), /^page 1 holds/],
  ['stream', 'a misplaced page', (ram) => void ram.copy(ram, 0, 4096, 8192), /^page 0 holds/],
  ['stream', 'a checksum', (ram) => void ram.writeUInt32LE(1, 12), /^page 0 holds .* byte 0xc/],
  ['erp', 'a torn record', (ram, old) => void old.copy(ram, 4160, 4160, 8192), /^page 1 holds/],
  ['erp', 'a stale record', (ram, old) => void old.copy(ram, ...page(3)), /its pages tell of/],
  ['erp', 'a lost record', (ram) => void ram.fill(0, 4096, 8192), /^page 1 holds/],
  ['erp', 'a stale table', (ram, old) => void old.copy(ram, ...page(256)), /its sessions tell of/],
  ['erp', 'a torn table', (ram, old) => void old.copy(ram, MIB, MIB, MIB + 4), /^page 256 holds/],
  ['erp', 'a lost table', (ram) => void ram.fill(0, MIB, MIB + 4096), /its sessions tell of/],
])('the check of %s finds %s', async (kind, _, spoil, problem) => {
  const specs: Record<string, string> = {
    lmbench: 'lmbench,fill=512K,size=1M,unit=4,stride=64',
    // A frame that differs little from the one before it, as a stale page would.
    stream: 'stream,fill=512K,ring=1M,frame=64K,fps=1000,change=20',
    erp: 'erp,heap=1M,updates=2000,words=4,step=64,sessions=2',
  };
  const machine = await startGuest(specs[kind]!, { vcpuCount: 1 });
  await machine.waitBooted();
  // Every page of the ring and of the heap is written several times before and after.
  const work = async (from: number) => {
    if (kind !== 'erp') return letWrite(machine, 2000);
    for (const number of [from, from + 1]) await ask(machine, 0, number);
    await ask(machine, 1, from);
  };
  await work(1);
  await machine.pause('operator');
  const { ram } = machine.memory.blocks[0]!;
  const old = Buffer.from(ram);
  machine.resume('operator');
  if (kind === 'erp') await ask(machine, 0, 3);
  else await work(3);
  await machine.pause('operator');
  expect(await machine.check()).toEqual(GOOD);
  spoil(ram, old);
  const { ok, problems } = await machine.check();
  expect(ok).toBe(false);
  expect(problems[0]).toMatch(problem);
});

test('lmbench writes one byte of each KiB, as the load generator of XBRLE does', async () => {
  const machine = await startGuest('lmbench,size=1M,unit=1,stride=1K', { vcpuCount: 1 });
  await letWrite(machine, 700);
  await machine.pause('operator');
  const { ram } = machine.memory.blocks[0]!;
  const { writes } = machine.progress();
  for (let at = 0; at < 16 * MIB; at += 1) {
    const pfn = at >> 12;
    const isUnit = pfn < 256 && at % 1024 === 0;
    const wanted = isUnit ? Math.floor(writes / 256) + (pfn < writes % 256 ? 1 : 0) : 0;
    if (ram[at] !== (wanted & 255)) expect([at, ram[at]]).toEqual([at, wanted & 255]);
  }
});
