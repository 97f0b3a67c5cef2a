import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { SimClock } from '../../../src/base/index.ts';
import { IncomingTarget } from './support/incoming-target.ts';
import { OutgoingTarget } from './support/outgoing-target.ts';
import type { RawPeer } from './support/raw-peer.ts';

const CORPUS = new URL('./corpus/', import.meta.url);

type Step = { readonly wait: number } | { readonly send: Uint8Array };

test.each(readdirSync(CORPUS))('corpus/%s ends in the error that it names', async (file) => {
  const { expected, steps } = readScript(readFileSync(new URL(file, CORPUS), 'utf8'));
  expect(steps.length).toBeGreaterThan(0);
  const code = file.startsWith('incoming-') ? await playIncoming(steps) : await playOutgoing(steps);
  expect(code).toBe(expected);
});

async function playIncoming(steps: readonly Step[]): Promise<string | undefined> {
  const target = new IncomingTarget();
  for (const step of steps) {
    if ('send' in step) target.peer.sendRaw(step.send);
    else await target.clock.advance(step.wait);
  }
  const outcome = await target.finish(true);
  return outcome.error?.code;
}

async function playOutgoing(steps: readonly Step[]): Promise<string | undefined> {
  const target = new OutgoingTarget();
  const played = play(target.peer, target.clock, steps);
  const { error } = await target.run();
  await played;
  return error?.code;
}

/** Beside the engine, which lets the time pass. */
async function play(peer: RawPeer, clock: SimClock, steps: readonly Step[]): Promise<void> {
  // The guest has run for a moment when the source begins.
  await clock.sleep(6);
  for (const step of steps) {
    if ('send' in step) peer.sendRaw(step.send);
    else await clock.sleep(step.wait);
  }
}

/**
 * The first line names the error; `#` begins a comment; then `send` with lines of hexadecimal, and
 * `wait MS`.
 */
function readScript(text: string): { expected: string | undefined; steps: Step[] } {
  const [first = '', ...lines] = text.trimEnd().split('\n');
  const steps: Step[] = [];
  let hex: string[] = [];
  const flush = () => {
    if (hex.length > 0) steps.push({ send: Buffer.from(hex.join(''), 'hex') });
    hex = [];
  };
  for (const line of lines.filter((other) => !other.startsWith('#'))) {
    const wait = /^wait (\d+)$/.exec(line)?.[1];
    if (wait === undefined && line !== 'send') hex.push(line);
    else flush();
    if (wait !== undefined) steps.push({ wait: Number(wait) });
  }
  flush();
  return { expected: /^# expect: (\w+)$/.exec(first)?.[1], steps };
}
