// One measured migration between agents, over QMP.
import { AgentProcess } from '../dist/experiments/index.js';

const ENDED = ['completed', 'failed', 'cancelled'];
const WAIT_LIMIT_MS = 120_000;

/**
 * Asks `command` again and again and resolves to the first reply that meets the condition.
 * Rejects when the migration has failed, and after two minutes: nothing that is measured may hang.
 */
export async function until(client, condition, { command = 'query-migrate', everyMs = 10 } = {}) {
  const startMs = performance.now();
  for (;;) {
    const reply = await client.execute(command);
    if (condition(reply)) return reply;
    if (reply.status === 'failed' || performance.now() - startMs > WAIT_LIMIT_MS) {
      throw new Error(`${command} does not come to ${condition}: ${JSON.stringify(reply)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Resolves when the guest has filled its memory: until then that is what would be measured. */
export async function booted(client) {
  await until(client, (guest) => guest.booted, { command: 'x-guest-info', everyMs: 20 });
}

/** Migrates and resolves to the last query-migrate of the source, verification included. */
export async function migrate(
  client,
  uri,
  { parameters = {}, xbzrle = false, capabilities = [], onProgress, limitMs = 300_000 } = {},
) {
  await client.execute('migrate-set-capabilities', {
    capabilities: [
      { capability: 'xbzrle', state: xbzrle },
      ...capabilities.map((capability) => ({ capability, state: true })),
    ],
  });
  await client.execute('migrate-set-parameters', {
    'max-bandwidth': 0,
    'downtime-limit': 300,
    ...parameters,
  });
  const startMs = performance.now();
  await client.execute('migrate', { uri });
  for (;;) {
    const info = await client.execute('query-migrate');
    const verify = info['x-sterna']?.verify?.status;
    onProgress?.(info);
    const proved = info.status !== 'completed' || !['pending', 'running'].includes(verify);
    // The guest's own view comes 100 ms after it started.
    const observed =
      info.status !== 'completed' ||
      info['x-sterna']?.['guest-downtime-us'] !== undefined ||
      performance.now() - startMs > limitMs;
    if (ENDED.includes(info.status) && proved && observed) return info;
    if (performance.now() - startMs > limitMs)
      throw new Error(`Migration did not end: ${JSON.stringify(info)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let directoryCount = 0;

export function startDestination(directory, ...args) {
  directoryCount += 1;
  const stateDirectory = `${directory}/destination-${directoryCount}`;
  return AgentProcess.start({
    role: 'destination',
    arguments: [
      '--name',
      `destination-${directoryCount}`,
      '--state-dir',
      stateDirectory,
      '--listen',
      'tcp:127.0.0.1:0',
      ...args,
    ],
  });
}

export function startSource(directory, ...args) {
  directoryCount += 1;
  return AgentProcess.start({
    role: 'source',
    arguments: [
      '--name',
      `source-${directoryCount}`,
      '--state-dir',
      `${directory}/source-${directoryCount}`,
      ...args,
    ],
    readyTimeoutMs: 120_000,
  });
}
