/**
 * Whatever happens to a watch, it comes to the same end: what the API server has. Changes and faults in any order, drawn from a seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/bounded.ts';
import { endpointOf, startKubeApi } from '../../support/kube-api.ts';
import { seeded } from '../../support/seeded.ts';
import { listenerOf, realAfter, sourcesOf } from './following.ts';

const SEEDS = 10;
const STEPS = 120;

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`changes and faults by seed ${seed}`, async () => {
    const random = seeded(seed);
    const pick = (count: number): number => Math.floor(random() * count);
    const api = await startKubeApi();
    // Waiting is fifty times shorter than it is.
    const { sources, credentials } = sourcesOf(api, { after: (ms, run) => realAfter(ms / 50, run) });
    const heard = listenerOf();
    /** What the API server has: of each slice, its usable addresses. */
    const truth = new Map<string, string[]>();
    api.pageSize = 1 + pick(4);
    api.goneBy = pick(2) === 0 ? 'event' : 'status';

    function change(): void {
      const name = `notes-${pick(5)}`;
      if (truth.has(name) && pick(4) === 0) {
        truth.delete(name);
        api.delete('notes', name);
        return;
      }
      const addresses = Array.from({ length: pick(4) }, () => `10.0.${pick(2)}.${pick(8)}`);
      const ready = [...new Set(addresses)].filter(() => pick(4) > 0);
      truth.set(name, ready);
      const conditions = (address: string) => ({
        ready: ready.includes(address),
        serving: ready.includes(address),
        terminating: false,
      });
      const endpoints = addresses.map((address) => endpointOf(address, conditions(address)));
      api.put('notes', 'notes', name, { ports: [{ name: 'http', port: 80 }], endpoints });
    }

    const faults: (() => unknown)[] = [
      () => api.endWatches('ended'),
      () => api.endWatches('cut'),
      () => api.bookmark(),
      () => api.compact(),
      () => api.failNext(1 + pick(2), { status: [500, 503, 410, 401][pick(4)]! }),
      () => api.failNext(1, { status: 200, body: '<html>a proxy on the way</html>' }),
      () => api.failNext(1, { status: 200, body: '' }),
      () => api.raw('{"type":"MODIFIED","object":{"kind":"Pod","apiVersion":"v1"}}\n'),
      () => api.raw('nonsense\n'),
      () => (truth.has('notes-1') ? api.put('notes', 'other', 'elsewhere', { endpoints: null }) : null),
      async () => {
        await api.goDown();
        change();
        await api.comeUp();
      },
    ];

    const expected = (): string =>
      JSON.stringify([...new Set([...truth.values()].flat())].map((one) => `${one}:80`).sort());
    const caughtUp = () =>
      eventually(() => JSON.stringify(heard.now()) === expected(), `the state of the server by seed ${seed}`);

    try {
      for (let count = 0; count < 3; count++) change();
      const end = sources.open(
        { kind: 'kubernetes', name: 'n', namespace: 'notes', service: 'notes', port: 'http' },
        heard,
      );
      for (let step = 0; step < STEPS; step++) {
        change();
        if (pick(4) === 0) await faults[pick(faults.length)]!();
        if (step % 6 === 5) await caughtUp();
        else await new Promise((resolve) => setImmediate(resolve));
      }
      await caughtUp();
      await eventually(() => api.watches === 1, 'an open watch');
      change();
      await caughtUp();
      end();
      await eventually(() => api.watches === 0, 'the end of the watch');
      assert.ok(heard.counts.reads > 0);
    } finally {
      await credentials.close();
      await api.close();
    }
  });
}
