import { FINISHER, PLIC, RAM_BASE, RTC, TIMEBASE_HZ, UART, VIRTIO } from '../address-map.ts';
import type { BoardConfig } from '../board-config.ts';
import { flattenTree, type PropertyValue, type TreeNode } from './flattened-tree.ts';

/** What a kernel is told besides the hardware. */
export interface BootSettings {
  readonly bootArguments: string;
  readonly initrd?: { readonly gpa: number; readonly bytes: number };
  /** Randomness for the first moments of a kernel. */
  readonly randomSeed: Uint8Array;
}

/** `phandle`s: numbers by which nodes name each other. */
const PLIC_HANDLE = 1;
const FINISHER_HANDLE = 2;
const FIRST_HART_HANDLE = 16;

/** The last line that can interrupt; 0 is none. */
const PLIC_LINES = 31;
const SUPERVISOR_EXTERNAL = 9;
const MACHINE_EXTERNAL = 11;

/** Single letters first: what old kernels read. */
const ISA = 'rv64imafdc_zicntr_zicsr_zifencei_sstc';
const EXTENSIONS = ['i', 'm', 'a', 'f', 'd', 'c', 'zicntr', 'zicsr', 'zifencei', 'sstc'];

/** The clock from which a 16550 divides; a guest only computes with it. */
const UART_CLOCK_HZ = 3_686_400;
const SERIAL_NODE = `serial@${UART.base.toString(16)}`;

/** The flattened device tree of a board. Hart 0 boots. */
export function deviceTree(config: BoardConfig, settings: BootSettings): Uint8Array {
  const root: TreeNode = {
    name: '',
    properties: {
      '#address-cells': [2],
      '#size-cells': [2],
      compatible: 'riscv-virtio',
      model: 'sterna,riscv',
    },
    children: [
      chosen(settings),
      {
        name: `memory@${RAM_BASE.toString(16)}`,
        properties: { device_type: 'memory', reg: range(RAM_BASE, config.ramBytes) },
      },
      harts(config.hartCount),
      { name: 'poweroff', properties: command('syscon-poweroff', 0x5555) },
      { name: 'reboot', properties: command('syscon-reboot', 0x7777) },
      {
        name: 'soc',
        properties: {
          '#address-cells': [2],
          '#size-cells': [2],
          compatible: 'simple-bus',
          ranges: true,
        },
        children: [finisher(), rtc(), plic(config.hartCount), serial(), ...virtio(config)],
      },
    ],
  };
  return flattenTree(root, 0);
}

function chosen({ bootArguments, initrd, randomSeed }: BootSettings): TreeNode {
  const place: Record<string, PropertyValue> =
    initrd === undefined
      ? {}
      : {
          'linux,initrd-start': [BigInt(initrd.gpa)],
          'linux,initrd-end': [BigInt(initrd.gpa + initrd.bytes)],
        };
  return {
    name: 'chosen',
    properties: {
      bootargs: bootArguments,
      'stdout-path': `/soc/${SERIAL_NODE}`,
      'rng-seed': randomSeed,
      ...place,
    },
  };
}

function harts(count: number): TreeNode {
  return {
    name: 'cpus',
    properties: { '#address-cells': [1], '#size-cells': [0], 'timebase-frequency': [TIMEBASE_HZ] },
    children: Array.from({ length: count }, (_, hart) => ({
      name: `cpu@${hart.toString(16)}`,
      properties: {
        device_type: 'cpu',
        reg: [hart],
        status: 'okay',
        compatible: 'riscv',
        'riscv,isa': ISA,
        'riscv,isa-base': 'rv64i',
        'riscv,isa-extensions': EXTENSIONS,
        'mmu-type': 'riscv,sv39',
      },
      children: [
        {
          name: 'interrupt-controller',
          properties: {
            '#address-cells': [0],
            '#interrupt-cells': [1],
            'interrupt-controller': true as const,
            compatible: 'riscv,cpu-intc',
            phandle: [FIRST_HART_HANDLE + hart],
          },
        },
      ],
    })),
  };
}

/** What a kernel writes to the finisher to end. */
function command(compatible: string, value: number): Record<string, PropertyValue> {
  return { compatible, regmap: [FINISHER_HANDLE], offset: [0], value: [value] };
}

function finisher(): TreeNode {
  return {
    name: `test@${FINISHER.base.toString(16)}`,
    properties: {
      compatible: ['sifive,test1', 'sifive,test0', 'syscon'],
      reg: range(FINISHER.base, FINISHER.bytes),
      phandle: [FINISHER_HANDLE],
    },
  };
}

function rtc(): TreeNode {
  return {
    name: `rtc@${RTC.base.toString(16)}`,
    properties: {
      compatible: 'google,goldfish-rtc',
      reg: range(RTC.base, RTC.bytes),
      ...interrupt(RTC.irq),
    },
  };
}

function plic(hartCount: number): TreeNode {
  const contexts = Array.from({ length: hartCount }, (_, hart) => {
    const handle = FIRST_HART_HANDLE + hart;
    return [handle, MACHINE_EXTERNAL, handle, SUPERVISOR_EXTERNAL];
  });
  return {
    name: `plic@${PLIC.base.toString(16)}`,
    properties: {
      compatible: ['sifive,plic-1.0.0', 'riscv,plic0'],
      reg: range(PLIC.base, PLIC.bytes),
      '#interrupt-cells': [1],
      '#address-cells': [0],
      'interrupt-controller': true,
      'interrupts-extended': contexts.flat(),
      'riscv,ndev': [PLIC_LINES],
      phandle: [PLIC_HANDLE],
    },
  };
}

function serial(): TreeNode {
  return {
    name: SERIAL_NODE,
    properties: {
      compatible: 'ns16550a',
      reg: range(UART.base, UART.bytes),
      'clock-frequency': [UART_CLOCK_HZ],
      ...interrupt(UART.irq),
    },
  };
}

/** Slots without a device are not told. */
function virtio({ slots }: BoardConfig): TreeNode[] {
  return slots.map((_, slot) => {
    const base = VIRTIO.base + slot * VIRTIO.slotBytes;
    return {
      name: `virtio_mmio@${base.toString(16)}`,
      properties: {
        compatible: 'virtio,mmio',
        reg: range(base, VIRTIO.slotBytes),
        ...interrupt(VIRTIO.firstIrq + slot),
      },
    };
  });
}

function interrupt(line: number): Record<string, PropertyValue> {
  return { interrupts: [line], 'interrupt-parent': [PLIC_HANDLE] };
}

function range(base: number, bytes: number): readonly bigint[] {
  return [BigInt(base), BigInt(bytes)];
}
