// A Linux guest in this process, for what is measured of the machine itself; and the least guest that there is.
import { readFileSync } from 'node:fs';
import { linuxImage } from '../../dist/experiments/index.js';
import { boardConfig, planBoot, RiscvMachine, riscvDescription } from '../../dist/guest/index.js';

const UUID = '0f0e0d0c-0000-4000-8000-00000000000f';
const RAM_BASE = 0x8000_0000;
/** `wfi`, or `addi t0, t0, 1`, and back to it. */
const PROGRAMS = { idle: [0x10500073, 0xffdff06f], counting: [0x00128293, 0xffdff06f] };

export const describe = (options) =>
  riscvDescription({
    name: 'bench',
    uuid: UUID,
    hartCount: 1,
    deterministic: false,
    haltAt: 0,
    tohost: 0,
    drives: [],
    seed: 7,
    ...options,
  });

export const create = (description) =>
  RiscvMachine.create({ description, startPaused: true, drives: [] });

/** The plan of a boot; `append` goes behind the console of the kernel's command line. */
export async function linuxPlan(description, append) {
  const { kernel, initrd } = await linuxImage(process.env, (line) =>
    process.stderr.write(`${line}\n`),
  );
  const file = (path) => ({ file: path, bytes: readFileSync(path) });
  return planBoot(boardConfig(description), {
    kernel: file(kernel),
    initrd: file(initrd),
    bootArguments: `console=ttyS0 earlycon=sbi ${append}`,
    randomSeed: new Uint8Array(64).fill(5),
  });
}

/** Of a guest of two instructions. */
export function smallPlan(program) {
  const bytes = new Uint8Array(new Uint32Array(PROGRAMS[program]).buffer);
  return {
    pieces: [{ gpa: RAM_BASE, bytes }],
    pc: RAM_BASE,
    hart: 0,
    deviceTreeGpa: 0,
    mode: 'machine',
    hasSbi: false,
    symbols: {},
  };
}

/** All that the guest prints, taken out of its way. */
export function console(machine) {
  let text = '';
  const timer = setInterval(() => {
    const { bytes, producerWaits } = machine.serial.output.pull(2 ** 16);
    text += Buffer.from(bytes).toString('latin1');
    if (producerWaits) machine.wake();
  }, 5);
  return {
    stop: () => clearInterval(timer),
    async until(expected, limitMs = 120_000) {
      const startMs = performance.now();
      while (!expected.test(text)) {
        if (performance.now() - startMs > limitMs) {
          throw new Error(`The guest does not print ${expected}: ${text.slice(-500)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  };
}
