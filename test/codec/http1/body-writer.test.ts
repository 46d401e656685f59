/** What reaches the wire and in how many writes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BodyWriter, type ByteOut } from '../../../src/dataplane/codec/http1/index.ts';
import { HeaderList } from '../../../src/message/index.ts';

class Wire implements ByteOut {
  readonly writes: string[] = [];
  belowHighWater = true;

  writeText(latin1: string): boolean {
    this.writes.push(latin1);
    return this.belowHighWater;
  }

  writeBytes(bytes: Buffer): boolean {
    this.writes.push(bytes.toString('latin1'));
    return this.belowHighWater;
  }

  flush(): void {}
}

const SMALL = Buffer.from('abc');
const LARGE = Buffer.alloc(20_000, 'x');

describe('the body writer', () => {
  test('sends a small message in one write', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('HEAD\r\n\r\n', 'length', 3);
    writer.body(SMALL);
    assert.deepEqual(wire.writes, []);
    writer.end(null);
    assert.deepEqual(wire.writes, ['HEAD\r\n\r\nabc']);
    assert.equal(writer.intact, true);
  });

  test('sends a small chunked message with trailers in one write', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('HEAD\r\n\r\n', 'chunked', -1);
    writer.body(SMALL);
    writer.end(HeaderList.of('X-Sum', '1', 'Content-Length', '3'));
    assert.deepEqual(wire.writes, ['HEAD\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n']);
  });

  test('sends what is held on flush, once', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('HEAD\r\n\r\n', 'chunked', -1);
    writer.flush();
    writer.flush();
    writer.body(SMALL);
    writer.flush();
    assert.deepEqual(wire.writes, ['HEAD\r\n\r\n', '3\r\nabc\r\n']);
  });

  test('does not copy a large chunk', () => {
    const wire = new Wire();
    const seen: Buffer[] = [];
    wire.writeBytes = (bytes) => {
      seen.push(bytes);
      wire.writes.push('LARGE');
      return true;
    };
    const writer = new BodyWriter(wire);
    writer.begin('HEAD\r\n\r\n', 'chunked', -1);
    writer.body(LARGE);
    writer.body(LARGE);
    writer.end(null);
    assert.deepEqual(wire.writes, [
      'HEAD\r\n\r\n4e20\r\n',
      'LARGE',
      '\r\n4e20\r\n',
      'LARGE',
      '\r\n0\r\n\r\n',
    ]);
    assert.ok(seen.every((bytes) => bytes === LARGE));
  });

  test('bounds what it holds', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('', 'chunked', -1);
    for (let i = 0; i < 20; i++) writer.body(LARGE.subarray(0, 4_000));
    assert.ok(wire.writes.length >= 3);
    assert.ok(wire.writes.every((write) => write.length < 25_000));
  });

  test('sends no empty chunk, which would end the body', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('', 'chunked', -1);
    writer.body(Buffer.alloc(0));
    writer.flush();
    assert.deepEqual(wire.writes, []);
  });

  test('drops the body where there is none', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('HEAD\r\n\r\n', 'none', -1);
    writer.body(SMALL);
    writer.end(HeaderList.of('X', 'y'));
    assert.deepEqual(wire.writes, ['HEAD\r\n\r\n']);
    assert.equal(writer.intact, true);
  });

  test('never sends more than the announced length, and says that the connection is spent', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('', 'length', 2);
    writer.body(SMALL);
    writer.body(SMALL);
    writer.end(null);
    assert.equal(wire.writes.join(''), 'ab');
    assert.equal(writer.intact, false);
  });

  test('says that the connection is spent when the body is short', () => {
    const writer = new BodyWriter(new Wire());
    writer.begin('', 'length', 4);
    writer.body(SMALL);
    writer.end(null);
    assert.equal(writer.intact, false);
    writer.begin('', 'length', 0);
    writer.end(null);
    assert.equal(writer.intact, true);
  });

  test('sends a body delimited by the close, and a tunnel, as they are', () => {
    for (const framing of ['close', 'tunnel'] as const) {
      const wire = new Wire();
      const writer = new BodyWriter(wire);
      writer.begin('HEAD\r\n\r\n', framing, -1);
      writer.body(SMALL);
      writer.end(HeaderList.of('X', 'y'));
      assert.equal(wire.writes.join(''), 'HEAD\r\n\r\nabc');
    }
  });

  test('sends interim answers before what follows', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.text('100\r\n\r\n');
    writer.begin('200\r\n\r\n', 'none', -1);
    writer.end(null);
    assert.deepEqual(wire.writes, ['100\r\n\r\n200\r\n\r\n']);
  });

  test('asks its source to stop as long as the socket is above high water, held bytes or not', () => {
    const wire = new Wire();
    const writer = new BodyWriter(wire);
    writer.begin('HEAD\r\n\r\n', 'chunked', -1);
    assert.equal(writer.body(SMALL), true);
    wire.belowHighWater = false;
    assert.equal(writer.body(SMALL), false);
    assert.equal(writer.body(LARGE), false);
    assert.equal(writer.flush(), false);
    wire.belowHighWater = true;
    assert.equal(writer.body(SMALL), true);
    assert.equal(writer.end(null), true);
  });
});
