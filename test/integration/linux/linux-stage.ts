import type { MigrationMode, SternaError } from '../../../src/base/index.ts';
import type { QmpClient } from '../../../src/control/client/index.ts';
import { type LinuxImage, linuxImage } from '../../../src/experiments/index.ts';
import { until } from '../../support/until.ts';

/** Of a host that does other work meanwhile. */
export const LINUX_LIMIT_MS = 240_000;

export interface Reply {
  readonly status: string;
  readonly 'error-desc'?: string;
  readonly 'x-sterna'?: {
    readonly verify?: { readonly status: string };
    readonly postcopy?: { readonly recoveries: number };
    /** Of `raw`, `zero`, `xbzrle`, `lz4` and so on. */
    readonly 'page-kinds'?: Readonly<Record<string, { readonly pages: number }>>;
  };
}

/** The image to boot; where none can be made the test is left out, and says why. */
export async function imageOrSkip(skip: (why: string) => void): Promise<LinuxImage> {
  return linuxImage(undefined).catch((error: SternaError) => {
    const text = `No image can be made here: ${error.message} ${JSON.stringify(error.detail)}`;
    process.stderr.write(`Left out. ${text}\n`);
    skip(text);
    throw error;
  });
}

/** Migrates, and resolves when it is over to what the source says of it. */
export async function hop(
  from: QmpClient,
  uri: string,
  mode: MigrationMode,
  policy: string,
): Promise<Reply> {
  await begin(from, uri, mode, { 'max-bandwidth': 0, 'x-policy': policy });
  return over(from);
}

export async function begin(
  from: QmpClient,
  uri: string,
  mode: MigrationMode,
  parameters: Readonly<Record<string, string | number>>,
): Promise<void> {
  const state = mode === 'postcopy' || mode === 'hybrid';
  await from.execute('migrate-set-capabilities', {
    capabilities: [{ capability: 'postcopy-ram', state }],
  });
  await from.execute('migrate-set-parameters', {
    // Policy qemu goes on for ever where the rest never fits into it; a loaded host moves little.
    ...{ 'x-mode': mode, 'downtime-limit': 300 },
    'x-postcopy-after-passes': mode === 'hybrid' ? 1 : 0,
    ...parameters,
  });
  await from.execute('migrate', { uri });
}

/** The last word of the source, its comparison of both RAMs included. */
export function over(from: QmpClient): Promise<Reply> {
  return until(
    'the end of a migration',
    async () => {
      const reply = await query(from);
      const isProven = !['pending', 'running'].includes(reply['x-sterna']?.verify?.status ?? '');
      if (reply.status === 'completed') return isProven ? reply : undefined;
      return ['failed', 'cancelled'].includes(reply.status) ? reply : undefined;
    },
    60_000,
  );
}

export async function query(agent: QmpClient): Promise<Reply> {
  return (await agent.execute('query-migrate')) as Reply;
}

/** An agent that gave its guest away waits for it from now on. */
export async function listens(agent: QmpClient): Promise<string> {
  await agent.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' });
  const { 'socket-address': [address] = [] } = (await agent.execute('query-migrate')) as {
    'socket-address'?: { host: string; port: string }[];
  };
  return `tcp:${address?.host}:${address?.port}`;
}
