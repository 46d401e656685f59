/** The table of open streams against a Map, with random ids. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenStreams } from '../../../src/dataplane/codec/http2/open-streams.ts';
import { Http2Stream } from '../../../src/dataplane/codec/http2/stream.ts';
import { Random, SEED } from '../http1/random.ts';

const stream = (id: number): Http2Stream => new Http2Stream(id, 0, 0);

test(`finds what was added and not removed, whatever the ids (seed ${SEED})`, () => {
  const random = new Random(SEED);
  for (let round = 0; round < 200; round++) {
    const table = new OpenStreams();
    const map = new Map<number, Http2Stream>();
    // Steps of 64 and more make ids share a place.
    const step = 2 * (1 + random.int(64));
    const atOnce = 1 + random.int(100);
    for (let id = 1; id < 300 * step; id += random.int(4) === 0 ? 2 : step) {
      const opened = stream(id);
      table.add(opened);
      map.set(id, opened);
      while (map.size > random.int(atOnce)) {
        const victim = [...map.keys()][random.int(map.size)] as number;
        table.remove(victim);
        map.delete(victim);
        assert.equal(table.get(victim), null);
      }
      table.remove(id + 1);
      assert.equal(table.size, map.size);
    }
    for (const [id, expected] of map) assert.equal(table.get(id), expected);
    assert.deepEqual(new Set(table.list()), new Set(map.values()));
  }
});
