/** The overlays with many replicas: their secrets, their Redis, and that they are never gone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { IMAGE_DATA } from '../../scripts/image-root.ts';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { parseKeyRing } from '../../src/config/secret.ts';
import { Redis } from 'ioredis';
import { within } from '../support/bounded.ts';
import { freePort } from '../support/ports.ts';
import { inside, render, selects, type Labels, type Manifest, type Workload } from '../support/kubernetes.ts';
import {
  OVERLAYS,
  renderAll,
  wantsSecrets,
  type PolicyPeer,
  type PolicySpec,
  type ServiceSpec,
} from '../support/overlays.ts';

const all = renderAll();
after(() => all.remove());
const { of, kind, serin, load } = all;

/** The name of the Secret with the key ring. */
function serinSecret(manifests: readonly Manifest[]): string {
  const deployment = manifests.find((one) => one.kind === 'Deployment' && one.metadata.name === 'serin')!;
  const { volumes = [] } = (deployment.spec as Workload).template.spec;
  return volumes.find(({ name }) => name === 'secrets')!.secret!.secretName;
}

for (const overlay of OVERLAYS.filter(wantsSecrets)) {
  describe(`${overlay}: many replicas`, () => {
    test('it does not render without its secrets', () => {
      const folder = path.join(all.root, overlay, 'secrets');
      renameSync(folder, `${folder}.away`);
      try {
        assert.throws(() => render(path.join(all.root, overlay)), /secrets/);
      } finally {
        renameSync(`${folder}.away`, folder);
      }
    });

    test('its secrets are random, kept, readable by their owner alone, and rotate by a new first key', () => {
      const folder = path.join(all.root, overlay, 'secrets');
      const read = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
      for (const name of readdirSync(folder)) assert.equal(statSync(path.join(folder, name)).mode & 0o077, 0);
      const before = parseKeyRing(read('keyring'), 'keyring');
      const tokens = [read('token-pipeline'), read('token-operator')];
      assert.notEqual(tokens[0], tokens[1]);
      all.makeSecrets(overlay);
      assert.deepEqual(parseKeyRing(read('keyring'), 'keyring'), before);
      all.makeSecrets(overlay, 'rotate');
      const [first, ...others] = parseKeyRing(read('keyring'), 'keyring');
      assert.deepEqual(others, before);
      assert.notEqual(first!.id, before[0]!.id);
      assert.deepEqual([read('token-pipeline'), read('token-operator')], tokens);
      const rendered = render(path.join(all.root, overlay));
      assert.notEqual(serinSecret(rendered), serinSecret(of(overlay)), 'the pods are replaced');
    });

    test('each replica has a name and an address of its own, and the same key ring and store', async () => {
      const { configuration } = await load(overlay);
      assert.equal(configuration.fleet?.name, 'serin-5d8f7c9b6d-x2x4z');
      assert.equal(configuration.fleet?.advertise, '10.42.1.7:9092');
      assert.ok('redis' in configuration.store);
      assert.equal(typeof parseRedisUrl(configuration.store.redis), 'object');
      assert.ok(configuration.store.snapshot.startsWith(`${IMAGE_DATA}/`));
      const { pod, container } = serin(overlay);
      const { files } = inside(of(overlay), pod, container);
      assert.ok(parseKeyRing(files.get(configuration.secretFile)!.toString(), 'keyring').length > 0);
      const { secret } = pod.volumes!.find(({ name }) => name === 'secrets')!;
      assert.equal((secret!.defaultMode ?? 0o644) & 0o007, 0, 'Serin refuses a key ring that all can read');
    });

    test('it is never gone: surge first, spread, scaled from three, drained one by one', () => {
      const { workload } = serin(overlay);
      assert.deepEqual(workload.strategy?.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
      assert.ok(workload.template.spec.topologySpreadConstraints!.length > 0);
      assert.equal(workload.replicas, undefined, 'the autoscaler says how many');
      const scaler = kind(overlay, 'HorizontalPodAutoscaler')[0]!.spec as {
        scaleTargetRef: { kind: string; name: string };
        minReplicas: number;
      };
      assert.deepEqual([scaler.scaleTargetRef.name, scaler.minReplicas], ['serin', 3]);
      const budget = kind(overlay, 'PodDisruptionBudget')[0]!.spec as {
        maxUnavailable: number;
        selector: { matchLabels: Labels };
      };
      assert.equal(budget.maxUnavailable, 1);
      assert.ok(selects(budget.selector.matchLabels, workload.template.metadata.labels));
    });

    test('replicas reach each other and their Redis; the API is for the pipeline', () => {
      const { template } = serin(overlay).workload;
      const policies = kind(overlay, 'NetworkPolicy').map(({ spec }) => spec as PolicySpec);
      const own = policies.filter(({ podSelector }) =>
        selects(podSelector.matchLabels, template.metadata.labels),
      );
      const rules = (side: 'ingress' | 'egress', port: string | number): PolicyPeer[] =>
        own
          .flatMap((policy) => policy[side] ?? [])
          .filter(({ ports = [] }) => ports.some((one) => one.port === port))
          .flatMap((rule) => (side === 'ingress' ? rule.from : rule.to) ?? []);
      const peers = [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'serin' } } }];
      assert.deepEqual(rules('ingress', 'fleet'), peers);
      assert.deepEqual(rules('egress', 'fleet'), peers);
      const namespaces = rules('ingress', 'admin').map(
        ({ namespaceSelector }) => namespaceSelector?.matchLabels,
      );
      assert.deepEqual(namespaces, [{ 'kubernetes.io/metadata.name': 'spinnaker' }]);
    });
  });
}

test('the Redis of the example is reached by Serin alone, and by the URL that was made', async () => {
  const overlay = 'k8s/overlays/redis';
  const { configuration } = await load(overlay);
  assert.ok('redis' in configuration.store);
  const target = parseRedisUrl(configuration.store.redis);
  assert.ok(typeof target === 'object');
  const [address] = target.addresses;
  const service = kind(overlay, 'Service').find(({ metadata }) => metadata.name === address!.host);
  const { ports } = service!.spec as ServiceSpec;
  assert.deepEqual(
    ports.map(({ port }) => port),
    [address!.port],
  );
  const policy = kind(overlay, 'NetworkPolicy').find(({ metadata }) => metadata.name === 'serin-redis');
  const { ingress, egress } = policy!.spec as PolicySpec;
  assert.deepEqual(ingress![0]!.from, [
    { podSelector: { matchLabels: { 'app.kubernetes.io/name': 'serin' } } },
  ]);
  assert.equal(egress, undefined, 'it reaches nobody');
});

test('a real Redis takes the configuration of the example, and wants its password', async () => {
  const folder = path.join(all.root, 'k8s/overlays/redis/secrets');
  const port = await freePort();
  const text = readFileSync(path.join(all.root, 'k8s/redis/redis.conf'), 'utf8')
    .replace('dir /data', `dir ${folder}`)
    .replace('/etc/redis-secret/', `${folder}/`);
  const file = path.join(folder, 'redis-test.conf');
  writeFileSync(file, text, { mode: 0o600 });
  const server = spawn('redis-server', [file, '--port', String(port), '--bind', '127.0.0.1'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const url = readFileSync(path.join(folder, 'url'), 'utf8').replace('serin-redis:6379', `127.0.0.1:${port}`);
  const stranger = new Redis({ host: '127.0.0.1', port, lazyConnect: true, enableReadyCheck: false });
  const known = new Redis(url);
  for (const client of [stranger, known]) client.on('error', () => {});
  try {
    const settings = await within(known.config('GET', 'append*', 'maxmemory*', 'save'), 'the settings');
    const get = (name: string): string | undefined => settings[settings.indexOf(name) + 1];
    assert.equal(get('appendonly'), 'yes');
    assert.equal(get('appendfsync'), 'always');
    assert.equal(get('maxmemory-policy'), 'noeviction');
    assert.equal(get('save'), '');
    await assert.rejects(within(stranger.get('x'), 'an answer'), /NOAUTH/);
  } finally {
    known.disconnect();
    stranger.disconnect();
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await within(ended, 'the end of Redis');
  }
});
