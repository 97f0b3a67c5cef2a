/**
 * A reader of flattened device trees after the Devicetree Specification, written apart from the
 * writer: strict about order, padding and lengths.
 */
export interface ReadNode {
  readonly name: string;
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly children: readonly ReadNode[];
}

export interface ReadTree {
  readonly bootHart: number;
  readonly root: ReadNode;
}

export function readTree(blob: Uint8Array): ReadTree {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const word = (at: number) => view.getUint32(at);
  const need = (isTrue: boolean, what: string) => {
    if (!isTrue) throw new Error(`Device tree: ${what}`);
  };
  need(word(0) === 0xd00dfeed, 'magic');
  need(word(4) === blob.length, 'total size');
  need(word(20) === 17 && word(24) <= 17, 'version');
  const [structure, strings, reservations] = [word(8), word(12), word(16)];
  const [stringsBytes, structureBytes] = [word(32), word(36)];
  need(reservations % 8 === 0 && structure % 4 === 0, 'alignment');
  need(view.getBigUint64(reservations) === 0n && view.getBigUint64(reservations + 8) === 0n, 'end');
  need(structure + structureBytes <= strings && strings + stringsBytes <= blob.length, 'blocks');

  let at = structure;
  const token = () => {
    at += 4;
    return word(at - 4);
  };
  const skipPadding = () => {
    for (; (at - structure) % 4 !== 0; at += 1) need(blob[at] === 0, 'padding');
  };
  const text = (from: number) => {
    const end = blob.indexOf(0, from);
    need(end >= 0, 'a string without end');
    return Buffer.from(blob.subarray(from, end)).toString('latin1');
  };
  const node = (): ReadNode => {
    const name = text(at);
    at += name.length + 1;
    skipPadding();
    const properties = new Map<string, Uint8Array>();
    const children: ReadNode[] = [];
    for (;;) {
      const kind = token();
      if (kind === 3) {
        need(children.length === 0, 'a property behind a child');
        const length = token();
        const nameByte = token();
        need(nameByte < stringsBytes, 'a name outside of the strings');
        const property = text(strings + nameByte);
        need(!properties.has(property), `${property} twice`);
        properties.set(property, blob.subarray(at, at + length));
        at += length;
        skipPadding();
      } else if (kind === 1) children.push(node());
      else {
        need(kind === 2, `token ${kind}`);
        return { name, properties, children };
      }
    }
  };
  need(token() === 1, 'a root');
  const root = node();
  need(token() === 9 && at === structure + structureBytes, 'the end');
  return { bootHart: word(28), root };
}

/** The node at a path such as `/soc/serial@10000000`. */
export function nodeAt(tree: ReadTree, path: string): ReadNode {
  return path
    .split('/')
    .filter((name) => name !== '')
    .reduce((node, name) => {
      const child = node.children.find((candidate) => candidate.name === name);
      if (child === undefined) throw new Error(`Device tree: no ${name} of ${path}`);
      return child;
    }, tree.root);
}

export function cells(node: ReadNode, property: string): number[] {
  const bytes = node.properties.get(property) ?? new Uint8Array(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4));
}

export function texts(node: ReadNode, property: string): string[] {
  const text = Buffer.from(node.properties.get(property) ?? []).toString('latin1');
  return text.split('\0').slice(0, -1);
}
