import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type InitScript, ownInitScripts } from '../../../../src/cli/image/initrd/init-scripts.ts';
import { prologue } from '../../../../src/cli/image/initrd/prologue.ts';

/** A script that waits for ever is a failure, not a test that hangs. */
const LIMIT_MS = 20_000;
const scripts = new Map(ownInitScripts().map((script) => [script.name, script.text]));
const folder: { path: string } = { path: '' };
beforeEach(() => {
  folder.path = mkdtempSync(join(tmpdir(), 'sterna-init-'));
});
afterEach(() => rmSync(folder.path, { recursive: true }));

test.each([...scripts.keys()])('%s is a script of sh, and prints a line to wait for', (name) => {
  const { status, stderr } = spawnSync('sh', ['-n'], { input: scripts.get(name) });
  expect(stderr.toString('utf8')).toBe('');
  expect(status).toBe(0);
  expect(scripts.get(name)).toMatch(/echo "sterna: /);
});

describe('the prologue', () => {
  /**
   * Runs it on this host: programs that would touch the system are replaced, and `/` is a
   * directory.
   */
  function boot(chosen: InitScript, environment: Record<string, string> = {}) {
    const root = folder.path;
    const bin = join(root, 'bin');
    mkdirSync(bin, { recursive: true });
    mkdirSync(join(root, 'sterna/init'), { recursive: true });
    mkdirSync(join(root, 'sys/bus/virtio/devices/virtio0'), { recursive: true });
    writeFileSync(join(root, 'sys/bus/virtio/devices/virtio0/modalias'), 'virtio:d2v1\n');
    for (const { name, text } of [...ownInitScripts(), chosen]) {
      // The console of this host is somebody else's.
      const quiet = text.replaceAll('/dev/console', '/dev/null');
      writeFileSync(join(root, 'sterna/init', name), quiet, { mode: 0o755 });
    }
    const replaced = ['mount', 'insmod', 'modprobe', 'ifconfig', 'hostname', 'poweroff', 'sync'];
    for (const name of [...replaced, 'busybox']) {
      writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} $*" >>${root}/calls\n`);
      chmodSync(join(bin, name), 0o755);
    }
    const module = { name: 'm', path: 'kernel/m.ko', bytes: Buffer.alloc(0) };
    const info = { depends: [], aliases: [] };
    const text = prologue('6.0', [{ ...module, info }], chosen)
      .replaceAll(/(["' ])\/(sterna|sys\/bus|dev\/pts|dev\/shm)\b/g, `$1${root}/$2`)
      .replace('/bin/busybox --', 'busybox --')
      .replace('PATH=/usr/sbin', `PATH=${bin}:/usr/sbin`);
    const result = spawnSync('sh', ['-c', text], { env: environment, timeout: LIMIT_MS });
    const calls = readFileSync(join(root, 'calls'), 'utf8').trim().split('\n');
    return { lines: result.stdout.toString('utf8').trim().split('\n'), calls };
  }

  test('mounts, loads drivers, runs the script, and powers off when that ends', () => {
    const { lines, calls } = boot({ name: 'init', text: 'echo "mine $0"\nfalse\n' });
    expect(lines).toEqual([...['sterna: init init', 'mine sh', 'sterna: init init ended with 1']]);
    expect(calls).toEqual([
      'busybox --install -s',
      'mount -t proc proc /proc',
      'mount -t sysfs sysfs /sys',
      'mount -t devtmpfs dev /dev',
      `mount -t devpts devpts ${folder.path}/dev/pts`,
      `mount -t tmpfs tmpfs ${folder.path}/dev/shm`,
      'insmod /lib/modules/6.0/kernel/m.ko',
      'modprobe -q virtio:d2v1',
      'ifconfig lo 127.0.0.1 up',
      'hostname sterna',
      'sync ',
      'poweroff -f',
    ]);
  });

  test('powers off with the status of a script that exits', () => {
    const { lines } = boot({ name: 'init', text: '#!/bin/sh\nexit 3\n' });
    expect(lines.at(-1)).toBe('sterna: init init ended with 3');
  });

  test('executes a script of another interpreter', () => {
    const { lines, calls } = boot({ name: 'init', text: '#!/usr/bin/awk BEGIN { print "x" }\n' });
    expect(lines[0]).toBe('sterna: init init');
    expect(calls).not.toContain('poweroff -f');
  });

  test('sterna_init on the command line chooses another script', () => {
    const { lines } = boot({ name: 'mine', text: 'echo mine\n' }, { sterna_init: 'idle' });
    expect(lines.slice(0, 2)).toEqual(['sterna: init idle', 'sterna: idle ready']);
  });

  test('a name that is none leaves the script that was asked for', () => {
    const { lines } = boot({ name: 'mine', text: 'echo mine\n' }, { sterna_init: 'none' });
    expect(lines).toEqual([
      'sterna: no init script none; there are: console idle mine redis-benchmark redis-load self-test sqlite sqlite-load stream',
      ...['sterna: init mine', 'mine', 'sterna: init mine ended with 0'],
    ]);
  });
});

describe('redis-load', () => {
  /** A redis of three commands: it keeps keys in a file, and forgets or changes one if asked to. */
  const REDIS_CLI = `#!/bin/sh
case $1 in
  ping) echo PONG ;;
  info) printf 'redis_version:0.0\\r\\n' ;;
  flushall) : >"$STORE" ;;
  shutdown) ;;
  *) awk -v store="$STORE" -v spoils="$SPOILS" '
    BEGIN { while ((getline line < store) > 0) { split(line, pair, " "); old[pair[1]] = pair[2] } }
    { print old[$2]; old[$2] = $3 }
    END {
      printf "" > store
      for (key in old) print key, (key == spoils ? "spoilt" : old[key]) > store
    }' ;;
esac
`;

  function load(environment: Record<string, string>): string[] {
    const bin = join(folder.path, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'redis-cli'), REDIS_CLI, { mode: 0o755 });
    writeFileSync(join(bin, 'redis-server'), '#!/bin/sh\n', { mode: 0o755 });
    const text = (scripts.get('redis-load') ?? '')
      .replaceAll('/tmp/stop', join(folder.path, 'stop'))
      .replace('</dev/console', '</dev/null');
    const { stdout } = spawnSync('sh', ['-c', text], {
      timeout: LIMIT_MS,
      env: {
        PATH: `${bin}:/usr/bin:/bin`,
        STORE: join(folder.path, 'store'),
        ...{ redis_rounds: '4', redis_keys: '30', redis_bytes: '80', ...environment },
      },
    });
    return stdout.toString('utf8').trim().split('\n');
  }

  test('finds every value that it wrote', () => {
    const lines = load({});
    expect(lines.slice(0, 2)).toEqual(['redis: redis_version:0.0', 'sterna: redis-load ready']);
    expect(lines.at(-1)).toBe('sterna: redis-load ok, 4 rounds of 30 keys');
    expect(lines.slice(2, -1).filter((line) => !/^load \d+ ok$/.test(line))).toEqual([]);
  });

  test('names a value that is not what it wrote', () => {
    const lines = load({ SPOILS: 'key:17' });
    expect(lines.at(-1)).toBe('sterna: redis-load BAD, 3 of 4 rounds');
    const bad = lines.filter((line) => line.includes('BAD: '));
    expect(bad[0]).toMatch(/^load 2 BAD: key:17 is spoilt, not 1:17:[a-z]{10}/);
  });
});

describe('redis-benchmark', () => {
  /** A redis that counts rounds; `LOST`: increments that it forgets. */
  const REDIS_CLI = `#!/bin/sh
case $1 in
  ping) echo PONG ;;
  flushall) : >"$STORE" ;;
  shutdown) ;;
  *) printf '%s\\r\\n' $(($(wc -l <"$STORE") * 40 - LOST)) 0 80 ;;
esac
`;
  /** Stops the load in its third round. */
  const BENCHMARK = `#!/bin/sh
echo "$*" >>"$STORE"
[ "$(wc -l <"$STORE")" -lt 3 ] || : >"$STOP"
echo '"test","rps"'
for name in SET GET INCR LPUSH RPOP; do echo "\\"$name\\",\\"100.5\\""; done
exit $STATUS
`;

  function load(environment: Record<string, string>): string[] {
    const bin = join(folder.path, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'redis-cli'), REDIS_CLI, { mode: 0o755 });
    writeFileSync(join(bin, 'redis-benchmark'), BENCHMARK, { mode: 0o755 });
    writeFileSync(join(bin, 'redis-server'), '#!/bin/sh\n', { mode: 0o755 });
    const stop = join(folder.path, 'stop');
    const text = (scripts.get('redis-benchmark') ?? '')
      .replaceAll('/tmp/stop', stop)
      .replaceAll('/tmp/benchmark.csv', join(folder.path, 'csv'))
      .replace('</dev/console', '</dev/null');
    const { stdout } = spawnSync('sh', ['-c', text], {
      timeout: LIMIT_MS,
      env: {
        ...{ PATH: `${bin}:/usr/bin:/bin`, STORE: join(folder.path, 'store'), STOP: stop },
        ...{ benchmark_requests: '40', benchmark_bytes: '80', LOST: '0', STATUS: '0' },
        ...environment,
      },
    });
    return stdout.toString('utf8').trim().split('\n');
  }

  test('finds as much work done as was asked for', () => {
    expect(load({})).toEqual([
      ...['sterna: redis-benchmark ready', 'load 1 ok', 'load 2 ok', 'load 3 ok'],
      'sterna: redis-benchmark ok, 3 rounds of 40 requests',
    ]);
  });

  test.each([
    ['a counter that is not what it must be', { LOST: '1' }, '0 5 79 0 80'],
    ['a benchmark that failed', { STATUS: '1' }, '1 5 80 0 80'],
  ])('names %s', (_what, environment, answer) => {
    const lines = load(environment);
    expect(lines[2]).toBe(`load 2 BAD: ${answer} , not 0 5 80 0 80 : "RPOP","100.5"`);
    expect(lines.at(-1)).toBe('sterna: redis-benchmark BAD, 3 of 3 rounds');
  });
});
