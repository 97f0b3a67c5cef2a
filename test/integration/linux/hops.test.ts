import { expect, onTestFinished, test } from 'vitest';
import type { MigrationMode, SternaError } from '../../../src/base/index.ts';
import type { QmpClient } from '../../../src/control/client/index.ts';
import { type LinuxImage, LinuxPair, linuxImage } from '../../../src/experiments/index.ts';
import { until } from '../../support/until.ts';

/**
 * Goal: an unmodified Debian notices nothing of being moved, whatever it is about. Method: the real
 * image boots, works with sqlite and redis, and powers off, while it goes there and back between
 * two processes in every mode.
 */

const HOPS_MIN = 20;
const MODES: readonly MigrationMode[] = ['precopy', 'postcopy', 'hybrid', 'stop'];
const LIMIT_MS = 240_000;
/** Of a line of the kernel's log: what it says. */
const MESSAGE = /^\[ *\d+\.\d+\] (.*)$/gm;

/** Each once, and in this order. */
const LANDMARKS = [
  /^Linux version \d/,
  /^Machine model: sterna,riscv/,
  /^SBI specification v2\.0 detected/,
  /^Kernel command line: console=ttyS0/,
  /^riscv-plic.*: mapped \d+ interrupts/,
  /^Run \/init as init process/,
];

interface Reply {
  readonly status: string;
  readonly 'error-desc'?: string;
  readonly 'x-sterna'?: { readonly verify?: { readonly status: string } };
}

async function image(skip: (why: string) => void): Promise<LinuxImage> {
  return linuxImage(undefined).catch((error: SternaError) => {
    const text = `No image can be made here: ${error.message} ${JSON.stringify(error.detail)}`;
    process.stderr.write(`Left out. ${text}\n`);
    skip(text);
    throw error;
  });
}

/** The other side is through with the guest that it gave away a moment later than it says so. */
const BUSY = 'Destination is busy with another guest';

/** Resolves when it is over, with what both sides say of it. */
function hop(from: QmpClient, uri: string, mode: MigrationMode): Promise<Reply> {
  return until(`a place for a migration by ${mode}`, async () => {
    const reply = await attempt(from, uri, mode);
    return reply['error-desc'] === BUSY ? undefined : reply;
  });
}

async function attempt(from: QmpClient, uri: string, mode: MigrationMode): Promise<Reply> {
  const state = mode === 'postcopy' || mode === 'hybrid';
  await from.execute('migrate-set-capabilities', {
    capabilities: [{ capability: 'postcopy-ram', state }],
  });
  await from.execute('migrate-set-parameters', {
    ...{ 'max-bandwidth': 0, 'x-mode': mode, 'downtime-limit': 30 },
    'x-postcopy-after-passes': mode === 'hybrid' ? 1 : 0,
  });
  await from.execute('migrate', { uri });
  return until(
    `a migration by ${mode}`,
    async () => {
      const reply = (await from.execute('query-migrate')) as Reply;
      const isProven = !['pending', 'running'].includes(reply['x-sterna']?.verify?.status ?? '');
      if (reply.status === 'completed') return isProven ? reply : undefined;
      return ['failed', 'cancelled'].includes(reply.status) ? reply : undefined;
    },
    60_000,
  );
}

async function listens(agent: QmpClient): Promise<string> {
  await agent.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' });
  const { 'socket-address': [address] = [] } = (await agent.execute('query-migrate')) as {
    'socket-address'?: { host: string; port: string }[];
  };
  return `tcp:${address?.host}:${address?.port}`;
}

test(
  'Debian boots, works and powers off while it goes there and back in every mode',
  async ({ skip }) => {
    const pair = await LinuxPair.start({
      image: await image(skip),
      ram: '256M',
      append: 'sterna_init=self-test self_test_end=1',
    });
    onTestFinished(() => pair.close());
    const { sourceQmp, destinationQmp } = pair.agents;
    const printed = () => pair.source.text + pair.destination.text;
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
      const reply = await hop(from, uri, mode);
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

    await until('the guest ends', () => (ended.size > 0 ? true : undefined), LIMIT_MS);
    expect([...ended]).toEqual([JSON.stringify({ guest: true, reason: 'guest-shutdown' })]);
    expect(hops).toBeGreaterThanOrEqual(HOPS_MIN);
    const text = printed();
    expect(text).toMatch(/^sterna: sqlite ok/m);
    expect(text).toMatch(/^sterna: redis-load ok, 3 rounds/m);
    expect(text).not.toMatch(/BAD|Oops|BUG:|Call Trace|unhandled signal|segfault/);
  },
  LIMIT_MS,
);

test(
  'its kernel prints what it must, once and in order',
  async ({ skip }) => {
    const pair = await LinuxPair.start({
      image: await image(skip),
      ram: '256M',
      append: 'sterna_init=idle',
    });
    onTestFinished(() => pair.close());
    await pair.source.until(/sterna: idle ready/, LIMIT_MS);
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
  LIMIT_MS,
);
