// One measured migration in post-copy between two agents, perhaps over a link of a given rate.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AgentPair } from '../../dist/experiments/index.js';
import { booted, migrate } from '../migration.mjs';

export const POSTCOPY = { 'x-mode': 'postcopy' };

/** Resolves with the address of a link of that rate to the address of an agent, and what closes it. */
export async function shapedLink(uri, bytesPerSecond) {
  const port = uri.slice(uri.lastIndexOf(':') + 1);
  const script = fileURLToPath(new URL('shaped-link.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, port, String(bytesPerSecond)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [text] = await once(child.stdout, 'data');
  const close = async () => {
    const gone = once(child, 'exit');
    child.stdin.end();
    await gone;
  };
  return { uri: `tcp:127.0.0.1:${Number(text)}`, close };
}

/**
 * `during`: called with the pair when the guest runs at the destination; what it returns is kept.
 * Resolves to what both sides say at the end.
 */
export async function postcopyRun({
  ram,
  workload,
  vcpus = 1,
  parameters = {},
  capabilities = [],
  linkBytesPerSecond,
  prealloc = false,
  before,
  during,
}) {
  const pair = await AgentPair.start({
    ram,
    workload,
    vcpus,
    destinationArguments: prealloc ? ['--prealloc', ram] : [],
  });
  let link;
  try {
    await booted(pair.sourceQmp);
    await before?.(pair);
    if (linkBytesPerSecond !== undefined) link = await shapedLink(pair.uri, linkBytesPerSecond);
    let observing;
    const info = await migrate(pair.sourceQmp, link?.uri ?? pair.uri, {
      parameters: { ...POSTCOPY, ...parameters },
      capabilities: ['postcopy-ram', ...capabilities],
      onProgress: ({ status }) => {
        if (status === 'postcopy-active') observing ??= during?.(pair);
      },
    });
    const observed = await observing;
    const verify = info['x-sterna'].verify.status;
    if (info.status !== 'completed' || verify !== 'identical') {
      throw new Error(`Migration ${info.status}, RAM is ${verify}: ${JSON.stringify(info)}`);
    }
    const incoming = await pair.destinationQmp.execute('query-migrate');
    return { source: info, destination: incoming, observed };
  } finally {
    await pair.close();
    await link?.close();
  }
}

/** What the guest waited for, as the destination counts it. */
export function faultsOf(info) {
  const postcopy = info['x-sterna'].postcopy;
  return {
    requests: postcopy.requests,
    missing: postcopy.missing,
    p50Us: Math.round(postcopy['latency-p50-ms'] * 1000),
    p99Us: Math.round(postcopy['latency-p99-ms'] * 1000),
    meanUs: Math.round(postcopy['latency-ms'] * 1000),
    blockedMs: postcopy['blocktime-ms'],
  };
}
