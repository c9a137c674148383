/**
 * Serin follows the EndpointSlices of Services at a stand-in for the API server, under traffic: pods come and go, the API server goes
 * and comes back, and no request fails.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { endpointOf, type KubeApi, startKubeApi, type SliceSpec } from '../support/kube-api.ts';
import { answer, type Origin, startOrigin } from '../support/origin.ts';
import { type Serin, startSerin } from '../support/serin.ts';
import { startTraffic, type Traffic } from '../support/traffic.ts';

const NOT_READY = { ready: false, serving: false, terminating: false };
const TERMINATING = { ready: false, serving: true, terminating: true };
const SOURCE = 'kubernetes notes/notes:http';

/** A pod in a slice of its own: all pods of the test have one address and differ in their ports. */
function pod(origin: Origin, conditions?: object): SliceSpec {
  return {
    ports: [{ name: 'http', protocol: 'TCP', port: origin.port }],
    endpoints: [endpointOf('127.0.0.1', conditions)],
  };
}

describe('endpoints of Kubernetes', () => {
  let directory: string;
  let kube: KubeApi;
  let pods: Origin[];
  let canary: Origin;
  let serin: Serin;
  let traffic: Traffic | null = null;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'serin-kube-'));
    kube = await startKubeApi();
    pods = await Promise.all(['a', 'b', 'c'].map((name) => startOrigin(name)));
    canary = await startOrigin('canary');
    kube.put('notes', 'notes', 'notes-a', pod(pods[0]!));
    kube.put('notes', 'notes', 'notes-b', pod(pods[1]!));
    kube.put('notes', 'notes-canary', 'canary-1', pod(canary));
    await writeFile(join(directory, 'kubeconfig'), kube.kubeconfig());
    serin = await startSerin({
      readyWithin: 150_000,
      workers: 2,
      configuration: {
        discovery: { keepEmpty: '10m', allowLoopback: true },
        kubernetes: { kubeconfig: join(directory, 'kubeconfig') },
      },
      services: {
        notes: {
          hosts: ['*'],
          stable: { kubernetes: { namespace: 'notes', service: 'notes', port: 'http' } },
          canary: { kubernetes: { namespace: 'notes', service: 'notes-canary', port: 'http' } },
        },
      },
    });
  });
  after(async () => {
    await serin?.stop();
    await Promise.all([...(pods ?? []), canary].map((one) => one?.close()));
    await kube?.close();
    await rm(directory, { recursive: true, force: true });
  });
  afterEach(async () => {
    await traffic?.stop();
    traffic = null;
  });

  const serving = async (variant: string): Promise<string[]> => {
    const { body } = await serin.admin('GET', '/v1/endpoints');
    const { endpoints } = body as { endpoints: { variant: string; address: string; source: string }[] };
    return endpoints.filter((one) => one.variant === variant).map(({ address }) => address);
  };
  const serves = (origins: readonly Origin[], what: string, variant = 'stable') =>
    eventually(
      async () =>
        JSON.stringify(await serving(variant)) ===
        JSON.stringify(origins.map(({ endpoint }) => endpoint).sort()),
      what,
    );

  it('are known when Serin is ready, and shown with their source', async () => {
    const { body } = await serin.admin('GET', '/v1/endpoints');
    const { endpoints } = body as { endpoints: { variant: string; address: string; source: string }[] };
    assert.deepEqual(
      endpoints.map(({ variant, source }) => `${variant} ${source}`),
      [`stable ${SOURCE}`, `stable ${SOURCE}`, 'canary kubernetes notes/notes-canary:http'],
    );
    assert.equal(await serin.metric('serin_discovery_synced', { source: SOURCE }), 1);
    assert.equal(await serin.metric('serin_discovery_endpoints', { source: SOURCE }), 2);
  });

  it('come and go under traffic without a failed request', async () => {
    traffic = startTraffic(serin.proxyPort, 8);
    const [a, b, c] = pods as [Origin, Origin, Origin];
    for (let round = 0; round < 5; round++) {
      kube.put('notes', 'notes', 'notes-c', pod(c));
      await serves([a, b, c], 'three pods');
      await traffic.more(100);
      kube.put('notes', 'notes', 'notes-a', pod(a, NOT_READY));
      await serves([b, c], 'two pods after one turned unready');
      kube.put('notes', 'notes', 'notes-a', pod(a));
      kube.put('notes', 'notes', 'notes-b', pod(b, TERMINATING));
      await serves([a, c], 'two pods while one terminates');
      kube.delete('notes', 'notes-b');
      kube.put('notes', 'notes', 'notes-b', pod(b));
      kube.delete('notes', 'notes-c');
      await serves([a, b], 'two pods again');
      await traffic.more(100);
    }
    assert.deepEqual(traffic.failures, []);
  });

  it('get no new request once they are unready, while their running ones finish', async () => {
    const [a, b] = pods as [Origin, Origin, Origin];
    const waiting: (() => void)[] = [];
    for (const one of [a, b])
      one.route('/slow', (request) => void waiting.push(() => answer(request, { body: 'done' })));
    const slow = Array.from({ length: 4 }, () => fetch(`http://127.0.0.1:${serin.proxyPort}/slow`));
    await eventually(() => waiting.length === 4, 'four running requests');
    kube.put('notes', 'notes', 'notes-a', pod(a, NOT_READY));
    await serves([b], 'one pod');
    await eventually(
      async () => (await serin.metric('serin_upstream_endpoints', { variant: 'stable' })) === 1,
      'workers that know it',
    );
    const before = a.requests.length;
    traffic = startTraffic(serin.proxyPort, 4);
    await traffic.more(100);
    assert.equal(a.requests.length, before);
    for (const finish of waiting) finish();
    for (const response of await Promise.all(slow)) assert.equal(await response.text(), 'done');
    kube.put('notes', 'notes', 'notes-a', pod(a));
    await serves([a, b], 'both again');
    assert.deepEqual(traffic.failures, []);
  });

  it('stay while the API server is gone, and follow it when it is back', async () => {
    traffic = startTraffic(serin.proxyPort, 4);
    const [a, b, c] = pods as [Origin, Origin, Origin];
    await kube.goDown();
    await eventually(
      async () => (await serin.metric('serin_discovery_synced', { source: SOURCE })) === 0,
      'word of it',
    );
    await eventually(
      async () =>
        (await serin.metric('serin_discovery_errors_total', { source: SOURCE, reason: 'connect' })) > 1,
      'failed tries',
    );
    assert.ok((await serin.metric('serin_discovery_stale_seconds', { source: SOURCE })) > 0);
    await traffic.more(200);
    kube.put('notes', 'notes', 'notes-c', pod(c));
    await kube.comeUp();
    await serves([a, b, c], 'what has changed meanwhile');
    await eventually(
      async () => (await serin.metric('serin_discovery_synced', { source: SOURCE })) === 1,
      'a source in step',
    );
    kube.delete('notes', 'notes-c');
    await serves([a, b], 'the next change');
    assert.deepEqual(traffic.failures, []);
    assert.match(serin.output(), /a source of endpoints fails, the last known ones are used: /);
    assert.match(serin.output(), /a source of endpoints answers again/);
  });

  it('are kept when all vanish at once, with an alarm, until there are others', async () => {
    traffic = startTraffic(serin.proxyPort, 4);
    const [a, b] = pods as [Origin, Origin, Origin];
    kube.delete('notes', 'notes-a');
    kube.delete('notes', 'notes-b');
    await eventually(
      async () => (await serin.metric('serin_discovery_holding', { source: SOURCE })) === 1,
      'the alarm',
    );
    await serves([a, b], 'the last known endpoints, although they vanished one after the other');
    await traffic.more(100);
    kube.put('notes', 'notes', 'notes-a', pod(a));
    await serves([a], 'the new one');
    assert.equal(await serin.metric('serin_discovery_holding', { source: SOURCE }), 0);
    await traffic.more(50);
    assert.deepEqual(traffic.failures, []);
    kube.put('notes', 'notes', 'notes-b', pod(b));
    await serves([a, b], 'both again');
  });

  it('of a canary that is scaled to zero in order send its users to stable at once', async () => {
    await serin.admin('PUT', '/v1/services/notes/rollout', {
      rules: [{ name: 'everyone', percentage: 100 }],
    });
    await eventually(
      async () => (await fetch(`http://127.0.0.1:${serin.proxyPort}/`)).headers.get('x-origin') === 'canary',
      'the canary',
    );
    const explained = await serin.admin('POST', '/v1/services/notes/explain', { path: '/' });
    assert.equal((explained.body as { decision: { variant: string } }).decision.variant, 'canary');
    traffic = startTraffic(serin.proxyPort, 4);
    kube.put('notes', 'notes-canary', 'canary-1', pod(canary, TERMINATING));
    await serves([canary], 'the one that terminates but serves, while there is no other', 'canary');
    kube.delete('notes', 'canary-1');
    await serves([], 'no canary', 'canary');
    assert.equal(await serin.metric('serin_discovery_holding'), 0);
    await traffic.more(50);
    assert.deepEqual(traffic.failures, []);
    const again = await serin.admin('POST', '/v1/services/notes/explain', { path: '/' });
    assert.equal((again.body as { decision: { variant: string } }).decision.variant, 'stable');
    kube.put('notes', 'notes-canary', 'canary-1', pod(canary));
    await serves([canary], 'the canary again', 'canary');
  });

  it('of a service that the API made are known by the time that it serves', async () => {
    const definition = {
      hosts: ['api.test'],
      stable: { kubernetes: { namespace: 'notes', service: 'notes', port: pods[0]!.port } },
    };
    const put = await serin.admin('PUT', '/v1/services/made', definition);
    assert.equal(put.status, 202);
    const { body } = await serin.admin('GET', '/v1/endpoints');
    const { endpoints } = body as { endpoints: { service: string; address: string }[] };
    assert.deepEqual(
      endpoints.filter(({ service }) => service === 'made').map(({ address }) => address),
      [pods[0]!.endpoint],
      'pods with the port that it names',
    );
    assert.equal(kube.watches, 2, 'the Service is watched already');
  });
});
