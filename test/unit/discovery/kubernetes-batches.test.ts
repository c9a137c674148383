/** Events of a watch that arrive together: they are told together, but for what explains why endpoints went. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followService } from '../../../src/discovery/kubernetes/follow.ts';
import { mergeSlices } from '../../../src/discovery/kubernetes/merge.ts';
import type { Slice, SliceEndpoint, WatchEvent } from '../../../src/discovery/kubernetes/objects.ts';

const READY = { ready: true, serving: true, terminating: false };
const LEAVING = { ready: false, serving: true, terminating: true };

let version = 10;

function put(name: string, ...endpoints: readonly [string, Omit<SliceEndpoint, 'address'>][]): WatchEvent {
  const slice: Slice = {
    name,
    version: String((version += 1)),
    family: 4,
    ports: [{ name: 'http', port: 80 }],
    endpoints: endpoints.map(([address, conditions]) => ({ address, ...conditions })),
  };
  return { kind: 'put', slice };
}
const gone = (name: string): WatchEvent => ({ kind: 'gone', name, version: String((version += 1)) });

/** What is told of events that one piece of a watch holds, each as its usable endpoints; `!` marks one that is leaving. */
async function told(...events: readonly WatchEvent[]): Promise<string[]> {
  const said: string[] = [];
  await new Promise<void>((resolve) => {
    const end = followService({
      api: {
        list: async () => ({ slices: [], version: '1', next: '' }),
        async watch(_subject, _from, watching) {
          watching.onOpen();
          for (const event of events) watching.onEvent(event);
          watching.onPause();
          end();
          resolve();
        },
      },
      subject: { namespace: 'notes', service: 'notes' },
      listener: {
        slices(slices) {
          const { usable } = mergeSlices(slices, 'http');
          said.push(usable.map(({ host, leaving }) => host + (leaving ? '!' : '')).join(' '));
        },
        read() {},
        event() {},
        inStep() {},
        trouble: (_, detail) => assert.fail(detail),
      },
      monotonicNow: () => 0,
      after: () => () => {},
      random: () => 0,
    });
  });
  assert.equal(said.shift(), '', 'the list');
  return said;
}

test('many changes are told once', async () => {
  assert.deepEqual(
    await told(put('a', ['10.0.0.1', READY]), put('a', ['10.0.0.2', READY]), put('b', ['10.0.0.3', READY])),
    ['10.0.0.2 10.0.0.3'],
  );
});

test('that endpoints were about to leave is told before they are gone', async () => {
  assert.deepEqual(await told(put('a', ['10.0.0.1', LEAVING]), gone('a')), ['10.0.0.1!', '']);
  assert.deepEqual(await told(put('a', ['10.0.0.1', LEAVING]), put('a')), ['10.0.0.1!', '']);
});

test('a Service of many slices that is deleted is told of once', async () => {
  const slices = Array.from({ length: 5 }, (_, n) => put(`s${n}`, [`10.0.0.${n + 1}`, READY]));
  const all = '10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5';
  assert.deepEqual(await told(...slices, ...slices.map((_, n) => gone(`s${n}`))), [all, '']);
});
