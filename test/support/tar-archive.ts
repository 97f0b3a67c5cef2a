/** An entry of a tar archive that a test writes. */
export interface TarPart {
  readonly path: string;
  readonly content?: string | Uint8Array;
  readonly type?: string;
  readonly target?: string;
  readonly mode?: number;
}

/** A ustar archive, byte by byte from the format's description. */
export function tarArchive(parts: readonly TarPart[]): Buffer {
  return Buffer.concat([...parts.flatMap(tarEntry), Buffer.alloc(1024)]);
}

function tarEntry({ path, content = '', type = '0', target = '', mode = 0o644 }: TarPart) {
  const body = Buffer.from(content as string);
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(target, 157, 100);
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
}

/** A pax header that belongs to the entry after it. */
export function paxHeader(values: Readonly<Record<string, string>>): TarPart {
  const content = Object.entries(values).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    // The length counts its own digits.
    let length = rest + 1;
    while (String(length).length + rest !== length) length += 1;
    return `${length} ${key}=${value}\n`;
  });
  return { path: 'pax', type: 'x', content: content.join('') };
}
