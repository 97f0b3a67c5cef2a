import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type BoardConfig, deviceTree } from '../../../../../../src/guest/riscv/board/index.ts';
import {
  cells,
  nodeAt,
  type ReadNode,
  readTree,
  texts,
} from '../../../../../reference/device-tree.ts';

const CONFIG: BoardConfig = {
  hartCount: 2,
  ramBytes: 2 ** 31,
  slots: [{ kind: 'rng' }, { kind: 'blk', capacityBytes: 512, isReadOnly: false, serial: '' }],
};
const SETTINGS = {
  bootArguments: 'console=ttyS0 quiet',
  initrd: { gpa: 0x8800_0000, bytes: 0x12_3456 },
  randomSeed: Uint8Array.from({ length: 13 }, (_, index) => index),
};
const blob = deviceTree(CONFIG, SETTINGS);

describe('deviceTree()', () => {
  const tree = readTree(blob);
  const at = (path: string) => nodeAt(tree, path);

  test('tells the kernel what was chosen for it', () => {
    const chosen = at('/chosen');
    expect(texts(chosen, 'bootargs')).toEqual(['console=ttyS0 quiet']);
    expect(texts(chosen, 'stdout-path')).toEqual(['/soc/serial@10000000']);
    expect(cells(chosen, 'linux,initrd-start')).toEqual([0, 0x8800_0000]);
    expect(cells(chosen, 'linux,initrd-end')).toEqual([0, 0x8812_3456]);
    expect(chosen.properties.get('rng-seed')).toEqual(Buffer.from(SETTINGS.randomSeed));
    const bare = readTree(deviceTree(CONFIG, { bootArguments: '', randomSeed: new Uint8Array(8) }));
    expect([...nodeAt(bare, '/chosen').properties.keys()]).toEqual([
      'bootargs',
      'stdout-path',
      'rng-seed',
    ]);
  });

  test('describes RAM and harts', () => {
    expect(cells(at('/memory@80000000'), 'reg')).toEqual([0, 0x8000_0000, 0, 0x8000_0000]);
    expect(texts(at('/memory@80000000'), 'device_type')).toEqual(['memory']);
    expect(cells(at('/cpus'), 'timebase-frequency')).toEqual([10_000_000]);
    expect(at('/cpus').children.map(({ name }) => name)).toEqual(['cpu@0', 'cpu@1']);
    const hart = at('/cpus/cpu@1');
    expect(cells(hart, 'reg')).toEqual([1]);
    expect(texts(hart, 'mmu-type')).toEqual(['riscv,sv39']);
    expect(texts(hart, 'riscv,isa')).toEqual(['rv64imafdc_zicntr_zicsr_zifencei_sstc']);
    expect(texts(hart, 'riscv,isa-extensions')).toContain('sstc');
  });

  test('devices are where the board has them, on their lines', () => {
    const soc = at('/soc').children;
    const place = (node: ReadNode) => [node.name, cells(node, 'reg'), cells(node, 'interrupts')];
    expect(soc.map(place)).toEqual([
      ['test@100000', [0, 0x10_0000, 0, 0x1000], []],
      ['rtc@101000', [0, 0x10_1000, 0, 0x1000], [11]],
      ['plic@c000000', [0, 0xc00_0000, 0, 0x400_0000], []],
      ['serial@10000000', [0, 0x1000_0000, 0, 0x100], [10]],
      ['virtio_mmio@10001000', [0, 0x1000_1000, 0, 0x1000], [1]],
      ['virtio_mmio@10002000', [0, 0x1000_2000, 0, 0x1000], [2]],
    ]);
  });

  test('handles lead to the nodes that they mean', () => {
    const handle = (path: string) => cells(at(path), 'phandle')[0];
    const plic = at('/soc/plic@c000000');
    const harts = [0, 1].map((hart) => handle(`/cpus/cpu@${hart}/interrupt-controller`));
    expect(cells(plic, 'interrupts-extended')).toEqual([
      harts[0],
      11,
      harts[0],
      9,
      harts[1],
      11,
      harts[1],
      9,
    ]);
    expect(cells(plic, 'riscv,ndev')).toEqual([31]);
    for (const path of ['/soc/rtc@101000', '/soc/serial@10000000', '/soc/virtio_mmio@10002000']) {
      expect(cells(at(path), 'interrupt-parent')).toEqual([handle('/soc/plic@c000000')]);
    }
    const finisher = handle('/soc/test@100000');
    for (const [path, value] of [
      ['/poweroff', 0x5555],
      ['/reboot', 0x7777],
    ] as const) {
      expect([cells(at(path), 'regmap'), cells(at(path), 'value')]).toEqual([[finisher], [value]]);
    }
    const handles = [finisher, handle('/soc/plic@c000000'), ...harts];
    expect(new Set(handles).size).toBe(handles.length);
  });

  test('dtc reads it without a complaint, where dtc is installed', () => {
    const arguments_ = ['-I', 'dtb', '-O', 'dts', '-'];
    const { error, status, stdout, stderr } = spawnSync('dtc', arguments_, { input: blob });
    // Without it the reader above is the only witness.
    if (error !== undefined) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOENT');
      return;
    }
    expect([status, stderr.toString()]).toEqual([0, '']);
    const source = stdout.toString();
    for (const line of [
      'stdout-path = "/soc/serial@10000000";',
      'linux,initrd-end = <0x00 0x88123456>;',
      'riscv,isa-extensions = "i\\0m\\0a\\0f\\0d\\0c\\0zicntr\\0zicsr\\0zifencei\\0sstc";',
      'rng-seed = [00 01 02 03 04 05 06 07 08 09 0a 0b 0c];',
    ]) {
      expect(source).toContain(line);
    }
  });
});
