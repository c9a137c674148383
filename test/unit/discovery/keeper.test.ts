import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createKeeper, type Keeper } from '../../../src/discovery/keeper.ts';
import type { Finding, FoundEndpoint } from '../../../src/discovery/source.ts';
import { manualTime } from './manual-time.ts';

let time = manualTime();
let lines: string[] = [];
let changes = 0;

const log = {
  info: (_: object, message: string) => void lines.push(`info ${message}`),
  warn: (_: object, message: string) => void lines.push(`warn ${message}`),
  error: (_: object, message: string) => void lines.push(`error ${message}`),
};

function keeper(more: { keepEmpty?: number; allowLoopback?: boolean } = {}): Keeper {
  return createKeeper({
    name: 'dns notes.internal:80',
    keepEmpty: 60_000,
    allowLoopback: false,
    monotonicNow: time.monotonicNow,
    after: time.after,
    log,
    onChange: () => void (changes += 1),
    ...more,
  });
}

const found = (
  usable: readonly string[],
  out: readonly string[] = [],
  leaving: readonly string[] = [],
): Finding => ({
  usable: usable.map((host): FoundEndpoint => ({
    host,
    port: 80,
    weight: 1,
    leaving: leaving.includes(host),
  })),
  out: new Set(out.map((host) => `${host}:80`)),
});
const hosts = (of: Keeper): string[] => of.endpoints.map(({ host }) => host);

describe('the endpoints of a source', () => {
  beforeEach(() => {
    time = manualTime(1000);
    lines = [];
    changes = 0;
  });

  it('are in order, each once, and change no more often than they do', () => {
    const kept = keeper();
    assert.equal(kept.known, false);
    kept.found(found(['10.0.0.2', '10.0.0.1', '10.0.0.2']));
    assert.deepEqual(hosts(kept), ['10.0.0.1', '10.0.0.2']);
    const { endpoints } = kept;
    kept.found(found(['10.0.0.1', '10.0.0.2']));
    assert.equal(kept.endpoints, endpoints);
    assert.equal(changes, 1);
    kept.found(found(['10.0.0.1']));
    assert.equal(changes, 2);
  });

  it('are known to be none from the first word on', () => {
    const kept = keeper();
    kept.found(found([]));
    assert.deepEqual([kept.known, changes, kept.reading().holding], [true, 1, false]);
  });

  it('stay when all vanish at once, for a while, with an alarm', () => {
    const kept = keeper();
    kept.found(found(['10.0.0.1', '10.0.0.2']));
    kept.found(found([]));
    assert.deepEqual(hosts(kept), ['10.0.0.1', '10.0.0.2']);
    assert.equal(kept.reading().holding, true);
    assert.deepEqual(lines, [
      'error a source names no endpoints any more; the last known ones are used for now',
    ]);
    time.pass(59_000);
    kept.found(found([]));
    assert.equal(lines.length, 1, 'said once, and the time does not begin anew');
    time.pass(1000);
    assert.deepEqual(hosts(kept), []);
    assert.equal(kept.reading().holding, false);
    assert.equal(lines.at(-1), 'error a source still names no endpoints; the last known ones are given up');
    kept.found(found([]));
    assert.equal(time.timers, 0);
  });

  it('are replaced at once when there are some again', () => {
    const kept = keeper();
    kept.found(found(['10.0.0.1']));
    kept.found(found([]));
    kept.found(found(['10.0.0.9']));
    assert.deepEqual([hosts(kept), kept.reading().holding, time.timers], [['10.0.0.9'], false, 0]);
    assert.equal(lines.at(-1), 'info a source names endpoints again');
  });

  it('go at once when they are called unready or were announced to leave, also while others are kept', () => {
    const kept = keeper();
    kept.found(found(['10.0.0.1', '10.0.0.2']));
    kept.found(found([], ['10.0.0.1', '10.0.0.2']));
    assert.deepEqual([hosts(kept), kept.reading().holding], [[], false], 'unready');
    kept.found(found(['10.0.0.1', '10.0.0.2'], [], ['10.0.0.1', '10.0.0.2']));
    kept.found(found([]));
    assert.deepEqual([hosts(kept), kept.reading().holding], [[], false], 'a scale to zero, in order');
    kept.found(found(['10.0.0.1', '10.0.0.2']));
    kept.found(found([], ['10.0.0.1']));
    assert.deepEqual(
      [hosts(kept), kept.reading().holding],
      [[], false],
      'one vanished, one is unready: the source knows what it says',
    );
    kept.found(found(['10.0.0.1', '10.0.0.2']));
    kept.found(found([]));
    assert.deepEqual([hosts(kept), kept.reading().holding], [['10.0.0.1', '10.0.0.2'], true]);
    kept.found(found([], ['10.0.0.9']));
    assert.deepEqual([hosts(kept), kept.reading().holding], [[], false], 'also while they are kept');
  });

  it('that were given up do not come back by themselves', () => {
    const kept = keeper();
    kept.found(found(['10.0.0.1', '10.0.0.2']));
    kept.found(found(['10.0.0.2']));
    kept.found(found([], ['10.0.0.2']));
    assert.deepEqual([hosts(kept), kept.reading().holding], [[], false], 'the last one is unready');
    kept.found(found(['10.0.0.1', '10.0.0.2']));
    kept.found(found(['10.0.0.2']));
    kept.found(found([]));
    assert.deepEqual([hosts(kept), kept.reading().holding], [['10.0.0.2'], true], 'the last one vanished');
    kept.found(found([]));
    assert.deepEqual(hosts(kept), ['10.0.0.2'], 'also when it is said again');
  });

  it('are there once, whatever is said twice and in whatever order', () => {
    const said = (...of: [host: string, weight: number, leaving: boolean][]): Finding => ({
      usable: of.map(([host, weight, leaving]) => ({ host, port: 80, weight, leaving })),
      out: new Set(),
    });
    const twice = said(
      ['10.0.0.1', 1, true],
      ['::ffff:10.0.0.1', 3, false],
      ['2001:DB8::1', 1, false],
      ['2001:db8:0:0::1', 2, false],
    );
    for (const finding of [twice, { ...twice, usable: [...twice.usable].reverse() }]) {
      const kept = keeper();
      kept.found(finding);
      assert.deepEqual(kept.endpoints, [
        { host: '10.0.0.1', port: 80, weight: 3 },
        { host: '2001:db8::1', port: 80, weight: 2 },
      ]);
      kept.found(found([]));
      assert.deepEqual(hosts(kept), ['10.0.0.1', '2001:db8::1'], 'what one of both does not call leaving');
    }
  });

  it('are the same ones of too many, in whatever order they are named', () => {
    const many = Array.from({ length: 10_500 }, (_, n) => `10.1.${n >> 8}.${n & 255}`);
    const kept = keeper();
    kept.found(found(many));
    const { endpoints } = kept;
    assert.equal(endpoints.length, 10_000);
    kept.found(found(many.toReversed()));
    assert.equal(kept.endpoints, endpoints);
  });

  it('are not kept where the time for that is 0', () => {
    const kept = keeper({ keepEmpty: 0 });
    kept.found(found(['10.0.0.1']));
    kept.found(found([]));
    assert.deepEqual(hosts(kept), []);
  });

  it('are never addresses that requests are not sent to; each is logged once', () => {
    const kept = keeper();
    const bad = [
      '169.254.169.254',
      '127.0.0.1',
      '0.0.0.0',
      '224.0.0.1',
      'fe80::1',
      '::1',
      '::',
      'ff02::1',
      '64:ff9b::a9fe:a9fe',
      'notes.internal',
    ];
    for (let round = 0; round < 3; round++) kept.found(found([...bad, '10.0.0.1']));
    assert.deepEqual(hosts(kept), ['10.0.0.1']);
    assert.equal(kept.reading().refused, bad.length);
    assert.equal(lines.length, bad.length);
    assert.match(
      lines[0] ?? '',
      /^warn an endpoint is left out: 169\.254\.169\.254:80 is a link-local address/,
    );
    const local = keeper({ allowLoopback: true });
    local.found(found(['127.0.0.1', '169.254.169.254']));
    assert.deepEqual(hosts(local), ['127.0.0.1']);
  });

  it('stay as they are for however long the source is in trouble, which is counted and logged now and then', () => {
    const kept = keeper();
    kept.found(found(['10.0.0.1']));
    kept.inStep();
    for (let minute = 0; minute < 60; minute++) {
      kept.trouble('connect', 'nobody listens');
      time.pass(30_000);
      kept.trouble('connect', 'nobody listens');
      time.pass(30_000);
    }
    assert.deepEqual(hosts(kept), ['10.0.0.1']);
    const { synced, staleSeconds, troubles } = kept.reading();
    assert.deepEqual([synced, staleSeconds, troubles.get('connect')], [false, 3600, 120]);
    assert.equal(lines.length, 60);
    kept.trouble('timeout', 'late');
    assert.equal(lines.length, 61, 'another trouble is said at once');
    kept.inStep();
    assert.deepEqual([kept.reading().synced, kept.reading().staleSeconds], [true, 0]);
    assert.equal(lines.at(-1), 'info a source of endpoints answers again');
  });

  it('are always those last named, and none once one was called unready, whatever is said', () => {
    const host = fc.integer({ min: 1, max: 6 }).map((n) => `10.0.0.${n}`);
    const finding = fc.record({
      usable: fc.uniqueArray(host),
      out: fc.uniqueArray(host),
      leaving: fc.uniqueArray(host),
      wait: fc.integer({ min: 0, max: 70_000 }),
    });
    fc.assert(
      fc.property(fc.array(finding, { maxLength: 20 }), (said) => {
        const kept = keeper();
        let last: string[] = [];
        for (const { usable, out, leaving, wait } of said) {
          const bad = out.filter((one) => !usable.includes(one));
          kept.found(found(usable, bad, leaving));
          const used = hosts(kept);
          if (usable.length > 0) {
            assert.deepEqual(used, [...usable].sort());
            last = usable.filter((one) => !leaving.includes(one));
          } else if (bad.length > 0) last = [];
          if (usable.length === 0) assert.deepEqual(used, kept.reading().holding ? [...last].sort() : []);
          assert.equal(kept.reading().holding, usable.length === 0 && used.length > 0);
          time.pass(wait);
          if (wait >= 60_000) assert.equal(kept.reading().holding, false);
        }
        kept.close();
        assert.equal(time.timers, 0, 'nothing is left behind');
      }),
    );
  });
});
