/**
 * Three replicas of Serin with a Redis behind Traefik, all real: while each is replaced, as Kubernetes replaces pods, no request is
 * lost and no user meets another variant, whichever replica answers.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { within } from '../support/bounded.ts';
import { HOST, passes, startBackend, startLoad } from '../support/echo-load.ts';
import { freePort } from '../support/ports.ts';
import { startRedis } from '../support/redis.ts';
import { putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { startTraefik, traefikVersion } from '../support/traefik.ts';

const version = traefikVersion();
const skip =
  version === null ? 'there is no traefik on the path (docs/traefik.md says how to get one)' : false;
const REPLICAS = 3;

test(
  'replicas are replaced one by one under load: no request is lost, no user moves',
  { skip },
  async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'serin-replaced-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const keyring = path.join(folder, 'keyring');
    await writeFile(keyring, `k1:${Buffer.alloc(32, 7).toString('base64url')}\n`, { mode: 0o600 });
    const redis = await startRedis(t);
    const [stable, canary] = [await startBackend('stable'), await startBackend('canary')];
    t.after(() => {
      stable.close();
      canary.close();
    });
    let starts = 0;
    const start = async (): Promise<Serin> => {
      const name = `serin-${starts++}`;
      const serin = await startSerin({
        workers: 1,
        configuration: {
          trustedProxies: ['127.0.0.1/32'],
          proxy: { drain: { delay: '3s', grace: '5s', idle: '1s' } },
          store: { redis: redis.url, snapshot: path.join(folder, name) },
          // As a Deployment's pods: each has a name of its own.
          fleet: { name, listen: `127.0.0.1:${await freePort()}` },
          secretFile: keyring,
        },
        services: {
          notes: {
            hosts: [HOST],
            identity: [{ header: 'x-user-id' }, { fingerprint: true }],
            stable: { endpoints: [stable.address] },
            canary: { endpoints: [canary.address] },
          },
        },
      });
      t.after(() => serin.stop());
      return serin;
    };
    let replicas: Serin[] = [];
    while (replicas.length < REPLICAS) replicas.push(await start());
    await putRollout(replicas[0]!, 'notes', { rules: [{ name: 'everyone', percentage: 50 }] });

    const addresses = (): string[] => replicas.map(({ proxyPort }) => `127.0.0.1:${proxyPort}`);
    const traefik = await startTraefik({
      straight: [stable.address],
      serin: addresses(),
      opsPort: 1,
      adapt(_, { http }) {
        // Endpoints come and go by their list, as in Kubernetes.
        delete http.services['serin']!.loadBalancer!.healthCheck;
        http.services['notes-rollout'] = { weighted: { services: [{ name: 'serin', weight: 1 }] } };
      },
    });
    t.after(() => traefik.stop());
    await traefik.route('notes-rollout.yaml');

    const load = startLoad(traefik.port, 8);
    const served: number[] = [];
    try {
      for (let index = 0; index < REPLICAS; index++) {
        await passes(load, 300);
        // Its successor first, then it ends.
        const [old, ...others] = replicas as [Serin, ...Serin[]];
        replicas = [...others, await start()];
        served.push(await old.metric('serin_requests_total'));
        process.kill(old.pid, 'SIGTERM');
        await traefik.serinAt(addresses());
        assert.equal(await within(old.exit, 'the end of a replica'), 0);
      }
      await passes(load, 300);
    } finally {
      const { requests, failures, routed, variants } = await load.stop();
      t.diagnostic(
        `Traefik ${version}: ${requests} requests over ${starts} replicas, ${failures.length} lost`,
      );
      assert.deepEqual(failures, []);
      assert.equal(routed, requests);
      assert.ok(
        served.every((count) => count > 50),
        `each served: ${served.join(', ')}`,
      );
      assert.deepEqual(
        [...variants].filter(([, got]) => got.size > 1),
        [],
      );
      const onCanary = [...variants.values()].filter((got) => got.has('canary')).length;
      assert.ok(onCanary > 150 && onCanary < 350, `${onCanary} of ${variants.size} have the canary`);
      const twice = [...stable.posts, ...canary.posts].filter(([, times]) => times > 1);
      assert.deepEqual(twice, []);
    }
  },
);
