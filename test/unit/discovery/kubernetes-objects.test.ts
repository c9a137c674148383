/** What a kube-apiserver 1.34 answered, and what was made of it; then the same bytes broken in every way. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createLineCutter, LineTooLong } from '../../../src/discovery/kubernetes/lines.ts';
import { mergeSlices } from '../../../src/discovery/kubernetes/merge.ts';
import {
  BadObject,
  readEvent,
  readList,
  readStatus,
  type WatchEvent,
} from '../../../src/discovery/kubernetes/objects.ts';

const recorded = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'recorded', name));
const STREAM = recorded('watch.jsonl');

function eventsOf(pieces: Iterable<Uint8Array>): WatchEvent[] {
  const events: WatchEvent[] = [];
  const cutter = createLineCutter(1 << 20, (line) => void events.push(readEvent(line)));
  for (const piece of pieces) cutter.push(piece);
  return events;
}

const brief = (event: WatchEvent): string =>
  event.kind === 'put'
    ? `put ${event.slice.name} ${event.slice.version} ${event.slice.endpoints.map(({ address, ready }) => `${address} ${ready}`).join()}`
    : event.kind === 'gone'
      ? `gone ${event.name} ${event.version}`
      : event.kind === 'bookmark'
        ? `bookmark ${event.version}`
        : event.kind;

describe('what a real API server says', () => {
  it('is a list, whose items have no kind', () => {
    const { slices, version, next } = readList(recorded('list.json'));
    assert.deepEqual(
      [slices.map(({ name }) => name), version, next],
      [['notes-1', 'notes-2', 'notes-3'], '208', ''],
    );
    assert.deepEqual(slices[0], {
      name: 'notes-1',
      version: '206',
      family: 4,
      ports: [{ name: 'http', port: 8080 }],
      endpoints: [{ address: '10.1.0.1', ready: true, serving: true, terminating: false }],
    });
    assert.deepEqual(readList(recorded('list-empty.json')), { slices: [], version: '205', next: '' });
    const pages = [readList(recorded('list-page-1.json')), readList(recorded('list-page-2.json'))];
    assert.deepEqual(
      pages.map(({ slices: some, next: more }) => [some.length, more !== '']),
      [
        [2, true],
        [1, false],
      ],
    );
  });

  it('is a watch, with a slice that left its Service and bookmarks that hold nothing', () => {
    assert.deepEqual(eventsOf([STREAM]).map(brief), [
      'put notes-4 209 10.1.0.4 true',
      'put notes-4 210 10.1.0.4 false',
      'gone notes-4 211',
      'gone notes-3 212',
      ...Array.from({ length: 3 }, () => 'bookmark 212'),
    ]);
  });

  it('is an event of status 410 in the midst of a watch, and failures with sentences', () => {
    const [expired] = eventsOf([recorded('watch-expired.jsonl')]);
    assert.ok(expired?.kind === 'error');
    assert.deepEqual([expired.status.code, expired.status.reason], [410, 'Expired']);
    const failures = JSON.parse(recorded('failures.json').toString()) as Record<string, unknown>;
    const codes = Object.entries(failures).map(([name, body]) => `${name} ${readStatus(body).code}`);
    assert.deepEqual(codes, [
      'forbidden 403',
      'unauthorized 401',
      'not-found 404',
      'list-page-expired 410',
      'list-compacted 410',
      'list-future 504',
      'watch-bad 500',
    ]);
    for (const body of Object.values(failures)) assert.notEqual(readStatus(body).message, '');
  });
});

describe('a watch in pieces', () => {
  const whole = JSON.stringify(eventsOf([STREAM]));

  it('says the same, cut at every byte', () => {
    for (let cut = 0; cut <= STREAM.length; cut++) {
      const events = eventsOf([STREAM.subarray(0, cut), STREAM.subarray(cut)]);
      assert.equal(JSON.stringify(events), whole, `cut at ${cut}`);
    }
  });

  it('says the same, cut anywhere and with other line ends, in a buffer that is used again', () => {
    const crlf = Buffer.from(STREAM.toString().replaceAll('\n', '\r\n\n'));
    fc.assert(
      fc.property(
        fc.constantFrom(STREAM, crlf),
        fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1 }),
        (stream, sizes) => {
          const shared = Buffer.alloc(2000);
          const events: WatchEvent[] = [];
          const cutter = createLineCutter(1 << 20, (line) => void events.push(readEvent(line)));
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const length = Math.min(sizes[turn % sizes.length]!, stream.length - at);
            stream.copy(shared, 0, at, at + length);
            cutter.push(shared.subarray(0, length));
            at += length;
          }
          assert.equal(JSON.stringify(events), whole);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('never gives half a line, and holds no more than the longest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 60 }),
        (pieces, most) => {
          const stream = Buffer.concat(pieces);
          const expected = stream.toString('latin1').split('\n');
          const last = expected.pop()!;
          const lines: string[] = [];
          const cutter = createLineCutter(most, (line) => void lines.push(line.toString('latin1')));
          let thrown = false;
          for (const piece of pieces) {
            try {
              cutter.push(piece);
            } catch (error) {
              assert.ok(error instanceof LineTooLong);
              thrown = true;
              break;
            }
            assert.ok(cutter.pending <= most);
          }
          const tooLong = [...expected, last].some((line) => line.length > most);
          assert.equal(thrown, tooLong);
          const trimmed = expected.map((line) => line.replace(/\r$/, '')).filter((line) => line !== '');
          assert.deepEqual(lines, thrown ? trimmed.slice(0, lines.length) : trimmed);
        },
      ),
    );
  });
});

describe('bytes that are not what the API promises', () => {
  const lines = STREAM.toString().trimEnd().split('\n');

  it('are an event that was looked at, or refused with a sentence', () => {
    const junk = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.tuple(fc.constantFrom(...lines), fc.nat(), fc.nat(255)).map(([line, at, byte]) => {
        const bytes = Buffer.from(line);
        bytes[at % bytes.length] = byte;
        return bytes.toString('latin1');
      }),
      // A value anywhere in the object is replaced.
      fc.tuple(fc.constantFrom(...lines), fc.nat(), fc.jsonValue()).map(([line, at, value]) => {
        let count = 0;
        const total = Math.max(1, (line.match(/":/g) ?? []).length);
        return JSON.stringify(JSON.parse(line), (_, old: unknown) =>
          count++ === 1 + (at % total) ? value : old,
        );
      }),
    );
    fc.assert(
      fc.property(junk, (line) => {
        try {
          const event = readEvent(Buffer.from(line, 'latin1'));
          if (event.kind !== 'put') return;
          const { usable, out } = mergeSlices([event.slice], 'http');
          for (const { host, port } of usable) {
            assert.ok(typeof host === 'string' && host !== '');
            assert.ok(Number.isInteger(port) && port > 0 && port < 65_536);
          }
          assert.ok(out.size + usable.length <= event.slice.endpoints.length);
        } catch (error) {
          assert.ok(error instanceof BadObject, String(error));
          assert.ok(error.message.length < 700);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('are refused as a list', () => {
    const list = (value: unknown) => () => readList(Buffer.from(JSON.stringify(value)));
    const metadata = { resourceVersion: '1' };
    assert.throws(
      list({ kind: 'PodList', apiVersion: 'v1' }),
      /expected an EndpointSliceList, got v1 PodList/,
    );
    assert.throws(list({ kind: 'EndpointSliceList', metadata: {}, items: [] }), /no resourceVersion/);
    assert.throws(list({ kind: 'EndpointSliceList', metadata, items: {} }), /no items/);
    assert.throws(list({ kind: 'EndpointSliceList', metadata, items: [{ metadata }] }), /no name/);
    assert.throws(() => readList(Buffer.from('<html>')), /expected JSON/);
    assert.deepEqual(list({ kind: 'EndpointSliceList', metadata, items: null })(), {
      slices: [],
      version: '1',
      next: '',
    });
  });
});
