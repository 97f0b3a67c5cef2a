import { describe, expect, it } from 'vitest';
import { QmpScanner } from '../../../src/control/qmp/qmp-scanner.ts';

function scan(scanner: QmpScanner, text: string) {
  return scanner.push(Buffer.from(text));
}

describe('QmpScanner', () => {
  it('push() returns texts when there are several, with and without line feeds', () => {
    const inputs = scan(new QmpScanner(), '{"a":1}{"b":"}\\"{"}\r\n\n [1] \t{"c":{}}');
    expect(inputs).toEqual([
      { kind: 'text', text: '{"a":1}' },
      { kind: 'text', text: '{"b":"}\\"{"}' },
      { kind: 'text', text: '[1]' },
      { kind: 'text', text: '{"c":{}}' },
    ]);
  });

  it('push() skips to the next line when there is garbage', () => {
    const scanner = new QmpScanner();
    expect(scan(scanner, 'stop {"a":1}\n{"b":2}\n')).toEqual([
      { kind: 'garbage', reason: expect.stringContaining('JSON parse error') },
      { kind: 'text', text: '{"b":2}' },
    ]);
  });

  it('push() starts afresh when a line ends inside an object or a string', () => {
    for (const open of ['{"a":', '{"a":"x', '[[{', '{"a":"\\']) {
      expect(scan(new QmpScanner(), `${open}\n{"b":2}\n`)).toEqual([
        { kind: 'garbage', reason: expect.stringContaining('JSON parse error') },
        { kind: 'text', text: '{"b":2}' },
      ]);
    }
  });

  it('push() reports a line once when it is too long, and goes on behind it', () => {
    const scanner = new QmpScanner(64);
    const inputs = [...'x'.repeat(10)].flatMap(() => scan(scanner, `{"a":"${'y'.repeat(100)}`));
    expect(inputs).toEqual([{ kind: 'garbage', reason: 'JSON token size limit exceeded' }]);
    expect(scan(scanner, '"}\n{"b":2}')).toEqual([{ kind: 'text', text: '{"b":2}' }]);
  });

  it('push() accepts a text of exactly the limit', () => {
    const text = `{"a":"${'y'.repeat(56)}"}`;
    expect(text).toHaveLength(64);
    expect(scan(new QmpScanner(64), `${text}\n`)).toEqual([{ kind: 'text', text }]);
    expect(scan(new QmpScanner(63), `${text}\n`)).toEqual([
      { kind: 'garbage', reason: 'JSON token size limit exceeded' },
    ]);
  });

  it('push() limits the nesting', () => {
    expect(scan(new QmpScanner(), '['.repeat(2000))).toEqual([
      { kind: 'garbage', reason: 'JSON nesting depth limit exceeded' },
    ]);
  });

  it('push() keeps its own copy when a text is incomplete', () => {
    const scanner = new QmpScanner();
    const chunk = Buffer.from('{"a":');
    expect(scanner.push(chunk)).toEqual([]);
    chunk.fill(0);
    expect(scan(scanner, '1}')).toEqual([{ kind: 'text', text: '{"a":1}' }]);
  });
});
