import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { coalesce } from '../../../src/discovery/coalesce.ts';
import { createDiscovery, type FollowingDiscovery } from '../../../src/discovery/discovery.ts';
import type { SourceListener } from '../../../src/discovery/source.ts';
import { backoff, pause } from '../../../src/discovery/time.ts';
import { manualTime } from './manual-time.ts';

const A = { dns: 'a.internal:80' };
const B = { kubernetes: { namespace: 'b', service: 'b', port: 'http' } };
const LISTED = { endpoints: ['10.9.0.1:80', { address: '10.9.0.2:80', weight: 3 }] };

let time = manualTime();

describe('discovery', () => {
  let open: Map<string, SourceListener>;
  let opened: string[];
  let changes: number;
  let discovery: FollowingDiscovery;

  beforeEach(() => {
    time = manualTime();
    open = new Map();
    opened = [];
    changes = 0;
    discovery = createDiscovery({
      keepEmpty: 1000,
      startTimeout: 10_000,
      allowLoopback: false,
      monotonicNow: time.monotonicNow,
      after: time.after,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      onChange: () => void (changes += 1),
      open({ name }, listener) {
        opened.push(name);
        open.set(name, listener);
        return () => void open.delete(name);
      },
    });
  });

  const say = (name: string, ...hosts: string[]): void =>
    open.get(name)!.found({
      usable: hosts.map((host) => ({ host, port: 80, weight: 1, leaving: false })),
      out: new Set(),
    });
  const isDone = async (promise: Promise<void>): Promise<boolean> => {
    let done = false;
    void promise.then(() => (done = true));
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    return done;
  };

  it('leaves listed endpoints as they are, and follows nothing for them', async () => {
    await discovery.prepare([LISTED, {}]);
    assert.deepEqual(discovery.endpoints(LISTED), [
      { host: '10.9.0.1', port: 80, weight: 1 },
      { host: '10.9.0.2', port: 80, weight: 3 },
    ]);
    assert.deepEqual(discovery.endpoints({}), []);
    assert.deepEqual(opened, []);
  });

  it('follows a source once, for as long as a variant names it', async () => {
    void discovery.prepare([A, LISTED, A, B]);
    void discovery.prepare([A, B]);
    assert.deepEqual(opened, ['dns a.internal:80', 'kubernetes b/b:http']);
    say('dns a.internal:80', '10.0.0.1');
    assert.deepEqual(discovery.endpoints(A), [{ host: '10.0.0.1', port: 80, weight: 1 }]);
    assert.deepEqual(discovery.endpoints(B), []);
    discovery.keepOnly([A, A]);
    assert.deepEqual([...open.keys()], ['dns a.internal:80']);
    assert.deepEqual(
      discovery.readings().map(({ name }) => name),
      ['dns a.internal:80'],
    );
    discovery.keepOnly([]);
    assert.deepEqual([open.size, discovery.endpoints(A)], [0, []]);
  });

  it('waits for the first word of sources that are new, for two seconds at most, and never for others', async () => {
    const first = discovery.prepare([A, B]);
    say('dns a.internal:80', '10.0.0.1');
    assert.equal(await isDone(first), false);
    say('kubernetes b/b:http');
    assert.equal(await isDone(first), true, 'none is a word too');
    assert.equal(changes, 2);
    discovery.keepOnly([A]);
    const second = discovery.prepare([A, B]);
    assert.equal(await isDone(discovery.prepare([A, B])), true, 'somebody waits for it already');
    open.get('kubernetes b/b:http')!.trouble('connect', 'gone');
    time.pass(1999);
    assert.equal(await isDone(second), false);
    time.pass(1);
    assert.equal(await isDone(second), true);
    assert.equal(time.timers, 0);
  });

  it('is not ready while a source has said nothing, for as long as the start waits', () => {
    const fine = { ready: true, reasons: [] };
    assert.equal(discovery.readiness(fine), fine);
    void discovery.prepare([A, B]);
    say('dns a.internal:80', '10.0.0.1');
    assert.deepEqual(discovery.readiness({ ready: false, reasons: ['worker 0 does not serve yet'] }), {
      ready: false,
      reasons: ['worker 0 does not serve yet', 'the endpoints of kubernetes b/b:http are not known yet'],
    });
    time.pass(10_000);
    assert.equal(discovery.readiness(fine), fine, 'then it serves without');
  });

  it('ends all that it began', () => {
    void discovery.prepare([A, B]);
    say('dns a.internal:80', '10.0.0.1');
    say('dns a.internal:80');
    discovery.close();
    assert.equal(open.size, 0);
  });
});

describe('changes that come closely together', () => {
  it('are acted on at once, then together, no more often than the work allows', () => {
    time = manualTime();
    let runs = 0;
    let cost = 0;
    const changed = coalesce({
      run() {
        runs += 1;
        time.pass(cost);
      },
      monotonicNow: time.monotonicNow,
      after: time.after,
    });
    changed();
    assert.equal(runs, 1, 'at once');
    for (let count = 0; count < 50; count++) changed();
    assert.equal(runs, 1);
    time.pass(99);
    assert.equal(runs, 1);
    time.pass(1);
    assert.equal(runs, 2);
    time.pass(100);
    assert.equal(runs, 2, 'nothing has changed');
    cost = 50;
    changed();
    changed();
    time.pass(499);
    assert.equal(runs, 3);
    time.pass(1);
    assert.equal(runs, 4);
  });
});

describe('waiting', () => {
  it('grows with failures, is spread at random, and is as long as the server asks for', () => {
    assert.deepEqual(
      [1, 2, 3, 6, 7, 100].map((failures) => backoff(failures, () => 1)),
      [200, 400, 800, 6400, 10_000, 10_000],
    );
    assert.equal(
      backoff(3, () => 0),
      400,
    );
    assert.equal(
      backoff(1, () => 0, 5000),
      5000,
    );
    assert.equal(
      backoff(1, () => 1, 5000),
      6250,
    );
    assert.equal(
      backoff(7, () => 1, 5000),
      10_000,
    );
  });

  it('ends when it is over or nobody wants it any more', async () => {
    time = manualTime();
    const ending = new AbortController();
    const long = pause(time.after, 1000, ending.signal);
    time.pass(1000);
    await long;
    const other = pause(time.after, 1000, ending.signal);
    ending.abort();
    await other;
    await pause(time.after, 1000, ending.signal);
    assert.equal(time.timers, 0);
  });
});
