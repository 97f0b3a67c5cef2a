import { expect, onTestFinished, test } from 'vitest';
import type { MigrationMode } from '../../../src/base/index.ts';
import { LinuxPair } from '../../../src/experiments/index.ts';
import { until } from '../../support/until.ts';
import { hop, imageOrSkip, LINUX_LIMIT_MS, listens } from './linux-stage.ts';

/**
 * Goal: an unmodified Debian notices nothing of being moved, whatever it is about. Method: the real
 * image boots, works with sqlite and redis, and powers off, while it goes there and back between
 * two processes in every mode and under every policy.
 */

/** Each mode under each policy. */
const HOPS_MIN = 12;
const MODES: readonly MigrationMode[] = ['precopy', 'postcopy', 'hybrid', 'stop'];
/** Not clark, whose first pass takes as long as all that the guest does here. */
const POLICIES = ['auto', 'qemu', 'svard'];
/** Of a line of the kernel's log: what it says. */
const MESSAGE = /^\[ *\d+\.\d+\] (.*)$/gm;

/** Each once, and in this order. */
const LANDMARKS = [
  /^Linux version \d/,
  /^Machine model: sterna,riscv/,
  /^SBI specification v2\.0 detected/,
  /^Kernel command line: console=ttyS0/,
  /^riscv-plic.*: mapped \d+ interrupts/,
  /^goldfish_rtc 101000\.rtc: setting system clock to 20\d\d-/,
  /^Run \/init as init process/,
];

test(
  'Debian boots, works and powers off while it goes there and back in every mode',
  async ({ skip }) => {
    let inTurn = '';
    const pair = await LinuxPair.start({
      image: await imageOrSkip(skip),
      ram: '256M',
      append: 'sterna_init=self-test self_test_end=1',
      onBytes: (bytes) => {
        inTurn += bytes.toString('latin1');
      },
    });
    onTestFinished(() => pair.close());
    const { sourceQmp, destinationQmp } = pair.agents;
    // A line may begin on one side and end on the other, and both ends be heard at once.
    const printed = () => `${inTurn}\n${pair.source.text}${pair.destination.text}`;
    const ended = new Set<string>();
    for (const agent of [sourceQmp, destinationQmp]) {
      agent.onEvent(({ event, data }) => {
        if (event === 'SHUTDOWN') ended.add(JSON.stringify(data));
      });
    }

    let [from, to] = [sourceQmp, destinationQmp];
    let [uri, back]: [string, string | undefined] = [pair.agents.uri, undefined];
    let hops = 0;
    while (ended.size === 0 && !printed().includes('sterna: self-test done')) {
      const mode = MODES[hops % MODES.length] ?? 'precopy';
      const policy = POLICIES[Math.floor(hops / MODES.length) % POLICIES.length] ?? 'auto';
      const reply = await hop(from, uri, mode, policy).catch((error: unknown) => {
        // Its agent ends with it, before it is asked for the last time.
        if (ended.size === 0) throw error;
        return undefined;
      });
      if (reply === undefined || (ended.size > 0 && reply.status === 'failed')) break;
      expect([reply.status, reply['error-desc'], reply['x-sterna']?.verify?.status]).toEqual([
        'completed',
        undefined,
        'identical',
      ]);
      hops += 1;
      back ??= await listens(from);
      [from, to] = [to, from];
      [uri, back] = [back, uri];
    }

    await until('the guest ends', () => (ended.size > 0 ? true : undefined), LINUX_LIMIT_MS);
    expect([...ended]).toEqual([JSON.stringify({ guest: true, reason: 'guest-shutdown' })]);
    expect(hops).toBeGreaterThanOrEqual(HOPS_MIN);
    const text = printed();
    expect(text).toMatch(/^sterna: sqlite ok/m);
    expect(text).toMatch(/^sterna: redis-load ok, 3 rounds/m);
    expect(text).not.toMatch(/BAD|Oops|BUG:|Call Trace|unhandled signal|segfault/);
  },
  LINUX_LIMIT_MS,
);

test(
  'its kernel prints what it must, once and in order',
  async ({ skip }) => {
    const pair = await LinuxPair.start({
      image: await imageOrSkip(skip),
      ram: '256M',
      append: 'sterna_init=idle',
    });
    onTestFinished(() => pair.close());
    await pair.source.until(/sterna: idle ready/, LINUX_LIMIT_MS);
    const messages = [...pair.source.text.matchAll(MESSAGE)].map(([, message = '']) =>
      message.trim(),
    );
    const places = LANDMARKS.map((landmark) =>
      messages.flatMap((message, index) => (landmark.test(message) ? [index] : [])),
    );
    expect(places.map(({ length }) => length)).toEqual(LANDMARKS.map(() => 1));
    const order = places.flat();
    expect(order).toEqual([...order].sort((one, other) => one - other));
  },
  LINUX_LIMIT_MS,
);
