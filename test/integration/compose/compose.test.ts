import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { mappingAt, readYaml, type YamlMapping } from '../../support/compose-file.ts';

/**
 * The containers as local processes: the same scripts, names of the private network replaced by the
 * loopback.
 */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const compose = readYaml(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'));
const service = (name: string) => mappingAt(compose, 'services', name);

const children: ChildProcess[] = [];
let shared = '';

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  if (shared !== '') rmSync(shared, { recursive: true, force: true });
});

test('docker-compose.yml starts the scripts of docker/ in the right order', () => {
  const services = mappingAt(compose, 'services');
  expect(Object.keys(services)).toEqual(['destination', 'source', 'migrate', 'verdict']);
  for (const name of Object.keys(services)) {
    expect(service(name).entrypoint).toEqual([`/app/docker/${name}`]);
    accessSync(join(ROOT, 'docker', name), constants.X_OK);
  }
  expect(mappingAt(service('source'), 'depends_on', 'destination').condition).toBe(
    'service_healthy',
  );
  expect(mappingAt(service('migrate'), 'depends_on', 'source').condition).toBe('service_healthy');
  expect(mappingAt(service('migrate'), 'depends_on', 'destination').condition).toBe(
    'service_healthy',
  );
  expect(mappingAt(service('verdict'), 'depends_on', 'migrate').condition).toBe(
    'service_completed_successfully',
  );
});

test('docker-compose.yml keeps everything on a private network', () => {
  expect(mappingAt(compose, 'networks', 'migration').internal).toBe('true');
  for (const name of Object.keys(mappingAt(compose, 'services'))) {
    expect(service(name).networks).toEqual(['migration']);
    expect(service(name)).not.toHaveProperty('ports');
  }
});

test('the Dockerfile runs the Node of .nvmrc, without root, and copies what exists', () => {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const version = readFileSync(join(ROOT, '.nvmrc'), 'utf8').trim();
  const stages = [...text.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  expect(stages).toEqual([
    `node:${version}-bookworm`,
    // An image for the RISC-V machine, made only when it is asked for by its name.
    ...['build', 'scratch'],
    `node:${version}-bookworm-slim`,
  ]);
  expect(
    text
      .trimEnd()
      .split('\n')
      .filter((line) => line.startsWith('USER ')),
  ).toEqual(['USER node']);
  const copied = [...text.matchAll(/^COPY --from=build (.+) \S+$/gm)].flatMap(([, paths = '']) =>
    paths.split(' ').map((path) => path.replace('/app/', '')),
  );
  for (const path of copied) accessSync(join(ROOT, path));
  expect(copied).toEqual(expect.arrayContaining(['bin', 'dist', 'docker', 'node_modules']));
});

test('the scripts of the containers move the guest, and all of them end with exit code 0', async () => {
  shared = mkdtempSync(join(tmpdir(), 'sterna-compose-'));
  const port = await freePort();
  const destination = start('destination', port);
  await healthy('destination');
  const source = start('source', port);
  await healthy('source');
  const migrate = start('migrate', port);
  const result = await migrate.ended;
  expect(result.output).toContain('RAM identical:');
  expect(result.exitCode).toBe(0);
  expect((await source.ended).exitCode).toBe(0);
  expect((await destination.ended).exitCode).toBe(0);
  expect((await start('verdict', port).ended).exitCode).toBe(0);
}, 60_000);

interface Started {
  readonly ended: Promise<{ readonly exitCode: number | null; readonly output: string }>;
}

function start(name: string, port: number): Started {
  const [entrypoint = ''] = service(name).entrypoint as readonly string[];
  const child = spawn(join(ROOT, entrypoint.replace('/app/', '')), [], {
    env: environment(mappingAt(service(name), 'environment'), port),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  const ended = new Promise<Awaited<Started['ended']>>((resolve) => {
    child.once('close', (exitCode) => resolve({ exitCode, output }));
  });
  return { ended };
}

/** What the service gets, with addresses of this host, and what the image sets. */
function environment(own: YamlMapping, port: number): NodeJS.ProcessEnv {
  const local = Object.entries(own).map(([key, value]) => [
    key,
    String(value)
      .replace(/tcp:[\w.]+:4444/, `tcp:127.0.0.1:${port}`)
      .replace(/^destination$/, '127.0.0.1'),
  ]);
  return {
    PATH: [join(ROOT, 'bin'), process.env.PATH].join(delimiter),
    STERNA_SHARED: shared,
    ...Object.fromEntries(local),
  };
}

/** Runs the health check until it succeeds, as often as the file says. */
async function healthy(name: string): Promise<void> {
  const check = mappingAt(service(name), 'healthcheck');
  const [kind, ...command] = check.test as readonly string[];
  expect(kind).toBe('CMD');
  const [file = '', ...words] = command.map((word) => word.replace('/run/sterna', shared));
  for (let attempt = 0; attempt < Number(check.retries); attempt += 1) {
    const { status } = spawnSync(file, words, { env: environment({}, 0) });
    if (status === 0) return;
  }
  throw new Error(`${name} did not become healthy`);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      // A listening TCP server has an address with a port.
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
