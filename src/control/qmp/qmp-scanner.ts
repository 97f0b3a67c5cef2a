import { QMP_LINE_BYTES_MAX } from '../../base/index.ts';

/**
 * A JSON text that was cut out of the stream (it may still be malformed inside), or why there is
 * none.
 */
export type QmpInput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'garbage'; readonly reason: string };

/** QEMU's limit; it also bounds the recursion of whoever writes the value out again. */
const NESTING_MAX = 1024;

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Cuts what a QMP client sends into JSON texts: one or several on a line, a text in any number of
 * packets, with or without a line feed behind it (some clients send none). A line feed inside a
 * text ends it: after garbage the next line is a fresh start, whatever the garbage had left open.
 */
export class QmpScanner {
  private readonly textBytesMax: number;
  private parts: Buffer[] = [];
  private partBytes = 0;
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** The rest of this line is thrown away. */
  private skipping = false;

  constructor(textBytesMax: number = QMP_LINE_BYTES_MAX) {
    this.textBytesMax = textBytesMax;
  }

  /** Keeps a copy of what is not complete. Never throws. */
  push(chunk: Buffer): QmpInput[] {
    const inputs: QmpInput[] = [];
    let position = 0;
    while (position < chunk.length) {
      if (this.skipping) position = this.skipLine(chunk, position);
      else if (this.depth === 0) position = this.findText(chunk, position, inputs);
      else position = this.readText(chunk, position, inputs);
    }
    return inputs;
  }

  private skipLine(chunk: Buffer, start: number): number {
    const end = chunk.indexOf(LINE_FEED, start);
    if (end < 0) return chunk.length;
    this.skipping = false;
    return end + 1;
  }

  private findText(chunk: Buffer, start: number, inputs: QmpInput[]): number {
    const character = String.fromCharCode(chunk[start] ?? 0);
    if (' \t\r\n'.includes(character)) return start + 1;
    if (character !== '{' && character !== '[') {
      this.skipping = true;
      inputs.push({ kind: 'garbage', reason: 'JSON parse error, expected an object' });
      return start;
    }
    return this.readText(chunk, start, inputs);
  }

  private readText(chunk: Buffer, start: number, inputs: QmpInput[]): number {
    for (let position = start; position < chunk.length; position += 1) {
      if (this.partBytes + position - start >= this.textBytesMax) {
        return this.giveUp(position, 'JSON token size limit exceeded', inputs);
      }
      const byte = chunk[position] ?? 0;
      if (byte === LINE_FEED) {
        return this.giveUp(position, 'JSON parse error, the line ends inside an object', inputs);
      }
      if (this.inString) this.readString(byte);
      else this.readStructure(byte);
      if (this.depth > NESTING_MAX) {
        return this.giveUp(position, 'JSON nesting depth limit exceeded', inputs);
      }
      if (this.depth === 0) {
        this.keep(chunk.subarray(start, position + 1));
        inputs.push({ kind: 'text', text: Buffer.concat(this.parts).toString('utf8') });
        this.reset();
        return position + 1;
      }
    }
    this.keep(chunk.subarray(start));
    return chunk.length;
  }

  private readString(byte: number): void {
    if (this.escaped) this.escaped = false;
    else if (byte === BACKSLASH) this.escaped = true;
    else if (byte === QUOTE) this.inString = false;
  }

  /** Kinds of brackets are not told apart here: the parser does that. */
  private readStructure(byte: number): void {
    const character = String.fromCharCode(byte);
    if (byte === QUOTE) this.inString = true;
    else if (character === '{' || character === '[') this.depth += 1;
    else if (character === '}' || character === ']') this.depth -= 1;
  }

  private giveUp(position: number, reason: string, inputs: QmpInput[]): number {
    inputs.push({ kind: 'garbage', reason });
    this.reset();
    this.skipping = true;
    return position;
  }

  private keep(piece: Buffer): void {
    if (piece.length === 0) return;
    // The chunk's memory is the socket's.
    this.parts.push(Buffer.from(piece));
    this.partBytes += piece.length;
  }

  private reset(): void {
    this.parts = [];
    this.partBytes = 0;
    this.depth = 0;
    this.inString = false;
    this.escaped = false;
  }
}
