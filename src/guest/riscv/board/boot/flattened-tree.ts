/** A node of a device tree. */
export interface TreeNode {
  readonly name: string;
  readonly properties: Readonly<Record<string, PropertyValue>>;
  readonly children?: readonly TreeNode[];
}

/**
 * Numbers are cells of 32 bits, bigints two cells; texts are a list of strings; `true` is a
 * property without a value.
 */
export type PropertyValue = true | Uint8Array | string | readonly (string | number | bigint)[];

const MAGIC = 0xd00d_feed;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;
const HEADER_BYTES = 40;
/** The list of reserved memory: only its end. */
const RESERVATION_BYTES = 16;

const BEGIN_NODE = 1;
const END_NODE = 2;
const PROPERTY = 3;
const END = 9;

/** A device tree as the guest's kernel reads it (Devicetree Specification 0.4, chapter 5). */
export function flattenTree(root: TreeNode, bootHart: number): Uint8Array {
  const writer = new TreeWriter();
  writer.node(root);
  writer.cell(END);
  const structure = writer.structure();
  const strings = writer.strings();
  const structureByte = HEADER_BYTES + RESERVATION_BYTES;
  const stringsByte = structureByte + structure.length;
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const words = [
    MAGIC,
    stringsByte + strings.length,
    structureByte,
    stringsByte,
    HEADER_BYTES,
    VERSION,
    LAST_COMPATIBLE_VERSION,
    bootHart,
    strings.length,
    structure.length,
  ];
  for (const [index, word] of words.entries()) header.setUint32(index * 4, word);
  const head = new Uint8Array(header.buffer);
  return Buffer.concat([head, new Uint8Array(RESERVATION_BYTES), structure, strings]);
}

class TreeWriter {
  private readonly pieces: Uint8Array[] = [];
  /** Names of properties -> where they are among the strings. */
  private readonly names = new Map<string, number>();
  private namesBytes = 0;

  node({ name, properties, children = [] }: TreeNode): void {
    this.cell(BEGIN_NODE);
    this.padded(Buffer.from(`${name}\0`, 'latin1'));
    for (const [property, value] of Object.entries(properties)) this.property(property, value);
    for (const child of children) this.node(child);
    this.cell(END_NODE);
  }

  cell(value: number): void {
    this.pieces.push(cellBytes(value));
  }

  structure(): Uint8Array {
    return Buffer.concat(this.pieces);
  }

  strings(): Uint8Array {
    return Buffer.from([...this.names.keys()].map((name) => `${name}\0`).join(''), 'latin1');
  }

  private property(name: string, value: PropertyValue): void {
    const bytes = valueBytes(value);
    this.cell(PROPERTY);
    this.cell(bytes.length);
    this.cell(this.nameByte(name));
    this.padded(bytes);
  }

  private nameByte(name: string): number {
    const known = this.names.get(name);
    if (known !== undefined) return known;
    const byte = this.namesBytes;
    this.names.set(name, byte);
    this.namesBytes += name.length + 1;
    return byte;
  }

  private padded(bytes: Uint8Array): void {
    this.pieces.push(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
  }
}

function valueBytes(value: PropertyValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  return Buffer.concat(
    value.map((part) => {
      if (typeof part === 'string') return Buffer.from(`${part}\0`);
      return typeof part === 'number' ? cellBytes(part) : doubleCellBytes(part);
    }),
  );
}

function cellBytes(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return new Uint8Array(view.buffer);
}

function doubleCellBytes(value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value);
  return new Uint8Array(view.buffer);
}
