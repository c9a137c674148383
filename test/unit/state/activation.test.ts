/** Rollouts that wait for the moment at which all replicas begin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ServiceView } from '../../../src/state/service-view.ts';
import { createActivation } from '../../../src/state/activation.ts';

function view(name: string, revision: number, hosts = ['*']): ServiceView {
  return {
    name,
    source: 'file',
    definition: { hosts, stable: { endpoints: ['a:1'] } },
    rollout: null,
    revision,
  };
}

const views = (...all: ServiceView[]): Map<string, ServiceView> => new Map(all.map((one) => [one.name, one]));
const NONE: ReadonlyMap<string, number> = new Map();

test('a rollout waits for its moment, and the revision says so', () => {
  const activation = createActivation();
  activation.takeViews(views(view('notes', 1), view('shop', 0)), NONE, 0);
  activation.takeViews(views(view('notes', 2), view('shop', 0)), new Map([['notes', 100]]), 0);
  assert.equal(activation.views.get('notes')?.revision, 1);
  assert.deepEqual([activation.revision(2), activation.next()], [1, 100]);
  assert.equal(activation.advance(99), false);
  assert.equal(activation.advance(100), true);
  assert.equal(activation.views.get('notes')?.revision, 2);
  assert.deepEqual([activation.revision(2), activation.next()], [2, null]);
});

test('what takes effect at once overtakes what waits of its service, and nothing of others', () => {
  const activation = createActivation();
  activation.takeViews(views(view('notes', 1), view('shop', 2)), NONE, 0);
  activation.takeViews(views(view('notes', 3), view('shop', 2)), new Map([['notes', 100]]), 0);
  activation.takeViews(views(view('notes', 3), view('shop', 4)), new Map([['shop', 150]]), 10);
  activation.takeViews(views(view('notes', 5), view('shop', 4)), NONE, 20);
  assert.equal(activation.views.get('notes')?.revision, 5);
  assert.equal(activation.views.get('shop')?.revision, 2);
  assert.equal(activation.revision(5), 3);
  activation.advance(150);
  assert.equal(activation.views.get('notes')?.revision, 5);
  assert.equal(activation.revision(5), 5);
});

test('a definition counts at once, while the rollout waits; a service that is gone is gone', () => {
  const activation = createActivation();
  activation.takeViews(views(view('notes', 1)), NONE, 0);
  activation.takeViews(views(view('notes', 2)), new Map([['notes', 100]]), 0);
  activation.takeViews(views(view('notes', 2, ['new.example'])), NONE, 10);
  assert.deepEqual(activation.views.get('notes')?.definition.hosts, ['new.example']);
  assert.equal(activation.views.get('notes')?.revision, 1);
  activation.takeViews(views(), NONE, 20);
  assert.equal(activation.views.size, 0);
  assert.equal(activation.next(), null);
});

test('a service never goes back, and ends with its newest revision', () => {
  const write = fc.record({
    name: fc.constantFrom('a', 'b'),
    delay: fc.integer({ min: 0, max: 200 }),
    pause: fc.integer({ min: 0, max: 120 }),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
      const activation = createActivation();
      const written = new Map([
        ['a', view('a', 0)],
        ['b', view('b', 0)],
      ]);
      activation.takeViews(new Map(written), NONE, 0);
      const seen = new Map([
        ['a', 0],
        ['b', 0],
      ]);
      let everything = 0;
      let now = 0;
      const check = (newest: number): void => {
        for (const [name, { revision }] of activation.views) {
          assert.ok(revision >= seen.get(name)!, `${name} went back to ${revision}`);
          seen.set(name, revision);
        }
        assert.ok(activation.revision(newest) >= everything);
        everything = activation.revision(newest);
      };
      for (const [index, { name, delay, pause }] of writes.entries()) {
        now += pause;
        activation.advance(now);
        check(index);
        written.set(name, view(name, index + 1));
        activation.takeViews(new Map(written), new Map([[name, now + delay]]), now);
        check(index + 1);
      }
      activation.advance(now + 1000);
      check(writes.length);
      assert.deepEqual([...activation.views], [...written]);
      assert.equal(activation.revision(writes.length), writes.length);
    }),
  );
});
