import { PassThrough } from 'node:stream';
import { systemClock } from '../../src/base/index.ts';
import type { CliContext } from '../../src/cli/index.ts';

export interface FakeContext {
  readonly context: CliContext;
  /** Everything written so far. */
  stdout(): string;
  stderr(): string;
  /** As if the user pressed Ctrl-C. */
  interrupt(): void;
}

/** A process for the command line that is none: its outputs are texts, its signals are calls. */
export function fakeContext(overrides: Partial<CliContext> = {}): FakeContext {
  const written = { stdout: '', stderr: '' };
  const interrupts = new Set<() => void>();
  const output = (name: 'stdout' | 'stderr') => ({
    write(text: string) {
      written[name] += text;
    },
  });
  const context: CliContext = {
    stdout: output('stdout'),
    stderr: output('stderr'),
    terminal: undefined,
    environment: {},
    clock: systemClock(),
    onInterrupt(callback) {
      interrupts.add(callback);
      return () => interrupts.delete(callback);
    },
    onInputClosed() {},
    ...overrides,
  };
  return {
    context,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    interrupt() {
      for (const callback of [...interrupts]) callback();
    },
  };
}

/** A terminal that remembers what was drawn, escape sequences included. */
export function fakeTerminal(): { readonly stream: PassThrough; drawn(): string } {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  return { stream, drawn: () => text };
}
