// Runs programs that report through `tohost`, as RISC-V's own tests do, on a bare hart:
//
//   node tools/run-tohost.mjs DIR [PATTERN]
//
// DIR holds ELF files; PATTERN is a regular expression for their names. A program passes when it
// stores 1 to `tohost`, and fails with half of any other number. Needs `npm run build`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as layout from '../dist/guest/riscv/hart/hart-layout.js';
import { instantiateHart } from '../dist/guest/riscv/hart-module.js';

const RAM_BASE = 0x8000_0000;
const RAM_BYTES = 32 * 2 ** 20;
const DIRTY_MAP = 0x1_0000;
const RECEIVED_MAP = 0x11_0000;
const AREA = 0x22_0000;
const RAM = Math.ceil((AREA + layout.HART_AREA_BYTES) / 2 ** 16) * 2 ** 16;
const SLICE_INSTRUCTIONS = 20_000;
const SLICES_MAX = 2_000;
const ELF_MAGIC = 0x464c_457f;
const RISCV = 243;

const [directory, pattern = '.'] = process.argv.slice(2);
if (directory === undefined) {
  console.error('Usage: node tools/run-tohost.mjs DIR [PATTERN]');
  process.exit(2);
}

/** Segments, entry and symbols of a RISC-V ELF of 64 bits; undefined if the file is none. */
function readElf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 64 || view.getUint32(0, true) !== ELF_MAGIC || bytes[4] !== 2)
    return undefined;
  if (view.getUint16(18, true) !== RISCV) return undefined;
  const word = (at) => Number(view.getBigUint64(at, true));
  const segments = Array.from({ length: view.getUint16(56, true) }, (_, index) => {
    const at = word(32) + index * 56;
    const isLoaded = view.getUint32(at, true) === 1;
    const content = bytes.subarray(word(at + 8), word(at + 8) + word(at + 32));
    return { isLoaded, address: word(at + 24), content };
  });
  const symbols = new Map();
  const section = (index) => word(40) + index * 64;
  for (let index = 0; index < view.getUint16(60, true); index += 1) {
    const at = section(index);
    if (view.getUint32(at + 4, true) !== 2) continue;
    const names = word(section(view.getUint32(at + 40, true)) + 24);
    for (let symbol = word(at + 24); symbol < word(at + 24) + word(at + 32); symbol += 24) {
      const from = names + view.getUint32(symbol, true);
      symbols.set(bytes.toString('latin1', from, bytes.indexOf(0, from)), word(symbol + 8));
    }
  }
  return { entry: word(24), segments: segments.filter(({ isLoaded }) => isLoaded), symbols };
}

function run(elf) {
  const pages = Math.ceil((RAM + RAM_BYTES) / 2 ** 16);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65_536, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);
  const hart = instantiateHart(memory, {
    pageMissing: () => 1,
    mmioExists: () => 0,
    mmioRead: () => 0,
    mmioWrite: () => undefined,
    sbiCall: () => 0,
    timeNow: () => 0,
  });
  for (const { address, content } of elf.segments) bytes.set(content, RAM + address - RAM_BASE);
  hart.hartConfigure(AREA, RAM, RAM_BYTES / 4096, RECEIVED_MAP);
  hart.hartSelectMap(DIRTY_MAP);
  hart.hartReset(BigInt(elf.entry), 0n, 0n);
  view.setUint32(AREA + layout.DETERMINISTIC, 1, true);
  const tohost = RAM + elf.symbols.get('tohost') - RAM_BASE;
  for (let slice = 0; slice < SLICES_MAX; slice += 1) {
    hart.hartUpdateTimer();
    hart.hartRun(SLICE_INSTRUCTIONS);
    const told = view.getBigUint64(tohost, true);
    if (told !== 0n) return told === 1n ? 'pass' : `fails at ${told >> 1n}`;
  }
  return `is not done after ${SLICES_MAX * SLICE_INSTRUCTIONS} instructions`;
}

const failures = [];
let count = 0;
for (const name of readdirSync(directory).sort()) {
  if (!new RegExp(pattern).test(name)) continue;
  const elf = readElf(readFileSync(join(directory, name)));
  if (elf === undefined || !elf.symbols.has('tohost')) continue;
  count += 1;
  const result = run(elf);
  if (result !== 'pass') failures.push(`${name} ${result}`);
}
for (const failure of failures) console.log(failure);
console.log(`${count - failures.length} of ${count} pass`);
process.exit(failures.length === 0 && count > 0 ? 0 : 1);
