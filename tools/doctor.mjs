// Says what this machine lacks for Sterna, each with its remedy. Needs nothing installed.

import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, freemem, tmpdir } from 'node:os';
import { join } from 'node:path';

const MEBIBYTE = 2 ** 20;
const root = new URL('..', import.meta.url);

/** A module with one SIMD instruction and a shared memory: what the page kernels are made of. */
const SIMD_MODULE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0],
  ...[1, 5, 1, 96, 0, 1, 123],
  ...[3, 2, 1, 0],
  ...[5, 4, 1, 3, 1, 1],
  ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

/** Each returns what it found, or throws the remedy. */
const CHECKS = {
  'Node.js': () => {
    const { engines } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
    const wanted = engines.node.replace('>=', '').split('.').map(Number);
    const [major, minor] = process.versions.node.split('.').map(Number);
    if (major < wanted[0] || (major === wanted[0] && minor < (wanted[1] ?? 0))) {
      throw new Error(`install Node ${engines.node} (this is ${process.version})`);
    }
    return process.version;
  },
  'WebAssembly SIMD and threads': () => {
    if (!WebAssembly.validate(SIMD_MODULE))
      throw new Error('use a CPU with SSE4.1 or NEON, and a Node with SIMD');
    return 'yes';
  },
  'Shared memory': () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536, shared: true });
    if (!(memory.buffer instanceof SharedArrayBuffer))
      throw new Error('start Node without --no-harmony options');
    return 'up to 4 GiB of address space for each RAM block';
  },
  'Processor cores': () => {
    const cores = availableParallelism();
    if (cores < 2)
      throw new Error(
        'use two or more: a guest and its migration share one here, and figures mean little',
      );
    return String(cores);
  },
  'Free memory': () => {
    const mebibytes = Math.floor(freemem() / MEBIBYTE);
    if (mebibytes < 1024) throw new Error(`free some (${mebibytes} MiB left), or use --ram 64M`);
    return `${mebibytes} MiB`;
  },
  'Temporary directory': () => {
    accessSync(tmpdir(), constants.W_OK);
    const { bavail, bsize } = statfsSync(tmpdir());
    const mebibytes = Math.floor((bavail * bsize) / MEBIBYTE);
    if (mebibytes < 64) throw new Error(`free space in ${tmpdir()}, or set TMPDIR`);
    // A socket's path has at most 107 bytes.
    if (join(tmpdir(), 'sterna-XXXXXX', 'destination', 'qmp.sock').length > 107)
      throw new Error('set TMPDIR to a shorter path');
    return `${tmpdir()}, ${mebibytes} MiB free`;
  },
  'Loopback port': () =>
    new Promise((resolve, reject) => {
      const server = createServer();
      server.once('error', () => reject(new Error('allow this process to listen on 127.0.0.1')));
      server.listen(0, '127.0.0.1', () => server.close(() => resolve('can listen')));
    }),
  Packages: () => {
    if (!existsSync(new URL('node_modules/.package-lock.json', root)))
      throw new Error('run: npm install');
    return 'installed';
  },
  Build: () => {
    if (!existsSync(new URL('dist/cli/main.js', root))) throw new Error('run: npm run build');
    return 'dist is there';
  },
};

let missing = 0;
for (const [name, check] of Object.entries(CHECKS)) {
  try {
    process.stdout.write(`ok       ${name}: ${await check()}\n`);
  } catch (error) {
    missing += 1;
    process.stdout.write(`MISSING  ${name}: ${error.message}\n`);
  }
}
process.stdout.write(missing === 0 ? 'All is well.\n' : `${missing} to be seen to.\n`);
process.exitCode = missing === 0 ? 0 : 1;
