// npm run bench [-- NAME...] [--row=ROW] [--smoke] [--record [--force]]
// Prints one JSON line for each result, with machine and commit; --record also appends it to bench/results/,
// unless the tree has changes or the machine is busy. --row: that row alone of a bench that has named ones.
import { appendFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeMachine, unfitToRecord } from '../dist/experiments/measuring/index.js';
import { codec } from './codec.mjs';
import { converge } from './converge.mjs';
import { downtime } from './downtime.mjs';
import { journal } from './journal.mjs';
import { kernels } from './kernels.mjs';
import { memory } from './memory.mjs';
import { order } from './order.mjs';
import { plan } from './plan.mjs';
import { postcopy } from './postcopy/postcopy.mjs';
import { riscv } from './riscv/machine.mjs';
import { replay } from './riscv/replay.mjs';
import { softMmu } from './soft-mmu.mjs';
import { spill } from './spill.mjs';
import { stream } from './stream.mjs';
import { tls } from './tls.mjs';

const BENCHES = [
  kernels,
  softMmu,
  stream,
  tls,
  downtime,
  memory,
  converge,
  order,
  postcopy,
  spill,
  journal,
  codec,
  plan,
  riscv,
  replay,
];
const options = process.argv.slice(2);
const smoke = options.includes('--smoke');
const recording = options.includes('--record');
const names = options.filter((option) => !option.startsWith('--'));

const unknown = names.filter((name) => !BENCHES.some((bench) => bench.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `No such bench: ${unknown.join(', ')}. There are: ${BENCHES.map((bench) => bench.name).join(', ')}\n`,
  );
  process.exit(2);
}

const row = options.find((option) => option.startsWith('--row='))?.slice('--row='.length);
const chosen = BENCHES.filter(
  ({ name, rows }) =>
    (names.length === 0 || names.includes(name)) && (row === undefined || rows?.includes(row)),
);
if (chosen.length === 0) {
  const rows = BENCHES.flatMap(({ name, rows = [] }) => rows.map((each) => `${name}: ${each}`));
  process.stderr.write(`No such row: ${row}. There are: ${rows.join(', ')}\n`);
  process.exit(2);
}

const machine = describeMachine();
const results = fileURLToPath(new URL('results/', import.meta.url));
const unfit = recording && !options.includes('--force') ? unfitToRecord(machine) : undefined;
if (unfit !== undefined) {
  process.stderr.write(`Not recorded. ${unfit}, or say --force\n`);
  process.exit(2);
}
if (recording) mkdirSync(results, { recursive: true });

for (const bench of chosen) {
  await bench.run({
    smoke,
    row,
    record(result) {
      const line = JSON.stringify({
        bench: bench.name,
        ...(smoke ? { smoke } : {}),
        ...result,
        machine,
      });
      process.stdout.write(`${line}\n`);
      if (recording) appendFileSync(`${results}${bench.name}.jsonl`, `${line}\n`);
    },
  });
}
