/** Endpoints in trouble: slow, resetting, refusing, sick by their own word; and what their users get. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { answer, startOrigin, type Origin } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { value } from '../support/strict-head.ts';

let serin: Serin;
const origins: Origin[] = [];

/** Endpoints of the tests, by name. */
const NAMES = ['one', 'two', 'three', 'canary', 'sick'] as const;
const origin = (name: (typeof NAMES)[number]): Origin => origins[NAMES.indexOf(name)]!;

interface EndpointRow {
  readonly service: string;
  readonly variant: string;
  readonly address: string;
  readonly standing: string;
  readonly weight: number;
  readonly load: {
    readonly inFlight: number;
    readonly connections: number;
    readonly latencyMs: number | null;
  };
  readonly health: { readonly state: string; readonly failure: string | null } | null;
}

async function endpointOf(service: string, address: string): Promise<EndpointRow> {
  const { body } = await serin.admin('GET', '/v1/endpoints');
  const rows = (body as { endpoints: EndpointRow[] }).endpoints;
  return rows.find((row) => row.service === service && row.address === address)!;
}

before(async () => {
  for (const name of NAMES) origins.push(await startOrigin(name));
  const at = (name: (typeof NAMES)[number]): string => origin(name).endpoint;
  const closed = `127.0.0.1:${await freePort()}`;
  const closedToo = `127.0.0.1:${await freePort()}`;
  // Long enough for a busy machine, short enough to be waited for.
  const quick = { ejection: '4s' };
  const identity = [{ header: 'x-user' }, { fingerprint: true }];
  const own = (name: string, definition: object): Record<string, object> => ({
    [name]: { hosts: [`${name}.test`], identity, ...definition },
  });
  serin = await startSerin({
    workers: 2,
    configuration: { log: { level: 'error' } },
    services: {
      ...own('balanced', {
        stable: { endpoints: [at('one'), at('two')] },
        balance: { latencyDecay: '500ms' },
      }),
      ...own('weighted', {
        stable: { endpoints: [{ address: at('one'), weight: 4 }, at('two')] },
      }),
      ...own('resetting', { stable: { endpoints: [at('one'), at('two'), at('three')] }, outlier: quick }),
      ...own('gateway', {
        stable: { endpoints: [at('one'), at('two'), at('three')] },
        outlier: { gatewayStatuses: true },
      }),
      ...own('broken', {
        stable: { endpoints: [at('one')] },
        canary: { endpoints: [at('canary')] },
        outlier: { consecutiveFailures: 0, failurePercentage: 100 },
        breaker: { minRequests: 10, open: '4s', recovery: '4s' },
      }),
      ...own('dead', {
        stable: { endpoints: [at('one')] },
        canary: { endpoints: [closed, closedToo] },
        retries: 0,
      }),
      ...own('checked', {
        stable: {
          endpoints: [at('one'), at('sick')],
          healthCheck: { path: '/healthz', interval: '200ms', unhealthyThreshold: 2, healthyThreshold: 2 },
        },
      }),
      ...own('budgeted', {
        stable: { endpoints: [at('one'), at('two'), at('three')] },
        outlier: { consecutiveFailures: 0, failurePercentage: 100 },
        retryBudget: { percentage: 0, minPerSecond: 1 },
      }),
    },
  });
  for (const service of ['broken', 'dead']) {
    const rollout = { rules: [{ name: 'everyone', percentage: 100 }] };
    const { status } = await serin.admin('PUT', `/v1/services/${service}/rollout`, rollout);
    assert.equal(status, 202);
    await eventually(async () => {
      const answered = await ask(serin.proxyPort, request('/warm', { host: `${service}.test` }));
      return value(answered, 'x-origin') !== undefined;
    }, 'the rollout');
  }
});

after(async () => {
  await serin?.stop();
  for (const one of origins) await one.close();
});

/** The bodies' first word: which origin answered. `count` requests on one connection. */
async function answerers(
  host: string,
  path: string,
  count: number,
  headers: string[] = [],
): Promise<string[]> {
  const client = await connect(serin.proxyPort);
  const names: string[] = [];
  for (let n = 0; n < count; n += 1) {
    client.write(request(path, { host, headers }));
    const message = await client.answer();
    names.push(message.status === 200 ? (value(message, 'x-origin') ?? '?') : String(message.status));
  }
  client.destroy();
  return names;
}

const share = (names: readonly string[], name: string): number =>
  names.filter((one) => one === name).length / names.length;

/** Answers plainly, after `ms`. */
const slowly = (name: string, ms: number) => (received: Parameters<typeof answer>[0]) =>
  void setTimeout(() => answer(received, { headers: [['X-Origin', name]], body: name }), ms);

test('a slow endpoint gets less', async () => {
  origin('one').route('/slow', slowly('one', 100));
  origin('two').route('/slow', slowly('two', 0));
  // A peak of the fast one counts for a while, so a busy machine may need more than one try.
  await eventually(
    async () => share(await answerers('balanced.test', '/slow', 50), 'two') > 0.85,
    'most requests go to the fast one',
  );
  await eventually(async () => {
    const { standing, load } = await endpointOf('balanced', origin('two').endpoint);
    return standing === 'good' && load.connections > 0 && load.latencyMs !== null;
  }, 'its load shows');
});

test('weights divide the requests', async () => {
  // Alike in latency, so that nothing but the weights tells them apart.
  for (const name of ['one', 'two'] as const) origin(name).route('/alike', slowly(name, 20));
  // Where the machine is busy one of them is slower for a while, so it may need more than one try.
  await eventually(async () => {
    const clients = Array.from({ length: 8 }, () => answerers('weighted.test', '/alike', 40));
    return Math.abs(share((await Promise.all(clients)).flat(), 'one') - 0.8) < 0.12;
  }, 'one gets four fifths');
  assert.equal((await endpointOf('weighted', origin('one').endpoint)).weight, 4);
});

test('an endpoint that resets is ejected, and comes back', async () => {
  let resets = true;
  origin('three').route('/resetting', (received) => {
    if (resets) received.connection.socket.resetAndDestroy();
    else answer(received, { headers: [['X-Origin', 'three']], body: 'three' });
  });
  const ejections = (): Promise<number> =>
    serin.metric('serin_upstream_ejections_total', { service: 'resetting' });
  await eventually(async () => {
    const names = await answerers('resetting.test', '/resetting', 20);
    assert.equal(share(names, '502'), 0, 'a GET is sent again to another endpoint');
    return (await ejections()) > 0;
  }, 'the ejection');
  await eventually(
    async () => (await endpointOf('resetting', origin('three').endpoint)).standing === 'ejected',
    'the ejection shows',
  );
  resets = false;
  await eventually(
    async () => (await answerers('resetting.test', '/resetting', 30)).includes('three'),
    'the endpoint is back',
  );
  await eventually(
    async () => (await endpointOf('resetting', origin('three').endpoint)).standing === 'good',
    'its return shows',
  );
});

test('answers of 502 to 504 are failures where the service says so', async () => {
  origin('three').route('/gateway', (received) => answer(received, { status: 503 }));
  const ejections = (): Promise<number> =>
    serin.metric('serin_upstream_ejections_total', { service: 'gateway' });
  let relayed = 0;
  await eventually(async () => {
    const names = await answerers('gateway.test', '/gateway', 30);
    relayed += names.filter((name) => name === '503').length;
    return (await ejections()) > 0;
  }, 'the ejection');
  assert.equal(relayed, origin('three').at('/gateway').length, 'they are relayed');
  const results = { service: 'gateway', outcome: 'gateway_error' };
  assert.equal(await serin.metric('serin_upstream_results_total', results), relayed);
});

test('a canary that fails: the breaker opens, its users get stable, and the lowest buckets probe', async () => {
  let fails = true;
  const probes = new Set<string>();
  origin('canary').route('/broken', (received) => {
    probes.add(value(received.message, 'x-user')!);
    if (fails) received.connection.socket.resetAndDestroy();
    else answer(received, { headers: [['X-Origin', 'canary']], body: 'canary' });
  });
  const users = Array.from({ length: 40 }, (_, index) => `user-${index}`);
  const round = async (): Promise<string[]> =>
    (
      await Promise.all(users.map((user) => answerers('broken.test', '/broken', 1, [`X-User: ${user}`])))
    ).flat();
  await round();
  const state = (state: string): Promise<number> =>
    serin.metric('serin_breaker_state', { service: 'broken', state });
  await eventually(async () => (await state('open')) === 1, 'the breaker is open');
  probes.clear();
  assert.equal(share(await round(), 'one'), 1, 'everybody gets stable');
  assert.equal(probes.size, 0);
  assert.ok(
    (await serin.metric('serin_fallbacks_total', { service: 'broken', from: 'canary' })) >= users.length,
  );
  fails = false;
  const buckets = new Map<string, number>();
  for (const user of users) {
    const described = { headers: { 'x-user': user, host: 'broken.test' }, path: '/broken' };
    const { body } = await serin.admin('POST', '/v1/services/broken/explain', described);
    buckets.set(user, (body as { decision: { bucket: number } }).decision.bucket);
  }
  let partly = 0;
  await eventually(async () => {
    probes.clear();
    const halfOpen = (await state('halfOpen')) === 1;
    await round();
    if (halfOpen && probes.size > 0 && probes.size < users.length) partly += 1;
    const kept = users.filter((user) => !probes.has(user)).map((user) => buckets.get(user)!);
    const let_ = [...probes].map((user) => buckets.get(user)!);
    // The gate may move by one step within a round.
    const misplaced = let_.filter((bucket) => kept.some((other) => other < bucket)).length;
    assert.ok(misplaced <= 8, `${misplaced} of ${let_.length}`);
    return (await state('closed')) === 1;
  }, 'the breaker is closed');
  assert.ok(partly > 0, 'some probed before the others');
  assert.equal(share(await round(), 'canary'), 1);
  assert.equal(await serin.metric('serin_breaker_opens_total', { service: 'broken' }), 1);
  assert.equal(await serin.metric('serin_flips_total', { service: 'broken' }), 0);
});

test('a canary that accepts no connection: stable answers, with no retries allowed too, and each POST once', async () => {
  for (const method of ['GET', 'POST']) {
    for (let n = 0; n < 20; n += 1) {
      const path = `/dead/${method}/${n}`;
      const options = { host: 'dead.test', method, ...(method === 'POST' ? { body: 'x' } : {}) };
      const message = await ask(serin.proxyPort, request(path, options));
      assert.equal(value(message, 'x-origin'), 'one');
      assert.equal(origin('one').at(path).length, 1);
    }
  }
});

test('an endpoint that its health checks find sick is left out until it is well', async () => {
  let status = 200;
  origin('sick').route('/healthz', (received) => answer(received, { status }));
  origin('one').route('/healthz', (received) => answer(received, { status: 204 }));
  const verdict = async (): Promise<string | undefined> =>
    (await endpointOf('checked', origin('sick').endpoint)).health?.state;
  await eventually(async () => (await verdict()) === 'healthy', 'it is healthy');
  status = 500;
  // On a busy machine a check may also time out; the next one tells the status.
  await eventually(async () => {
    const { standing, health } = await endpointOf('checked', origin('sick').endpoint);
    return standing === 'unhealthy' && health?.failure === 'status 500';
  }, 'it is unhealthy, and says why');
  await eventually(
    async () => share(await answerers('checked.test', '/c', 20), 'one') === 1,
    'it is left out',
  );
  assert.equal(
    await serin.metric('serin_upstream_endpoints', { service: 'checked', standing: 'unhealthy' }),
    1,
  );
  status = 200;
  await eventually(async () => (await answerers('checked.test', '/c', 20)).includes('sick'), 'it is back');
  assert.ok((await serin.metric('serin_health_checks_total', { service: 'checked', result: 'bad' })) >= 2);
});

test('without a budget there are no retries', async () => {
  for (const name of ['one', 'two', 'three'] as const)
    origin(name).route('/budgeted', (received) => received.connection.socket.resetAndDestroy());
  const names = await answerers('budgeted.test', '/budgeted', 60);
  assert.equal(share(names, '502'), 1);
  const delivered = (['one', 'two', 'three'] as const).flatMap((name) => origin(name).at('/budgeted'));
  // Ten retries in ten seconds, in each of two workers.
  assert.ok(delivered.length <= 60 + 20, `${delivered.length} deliveries`);
  assert.equal(await serin.metric('serin_retries_total', { service: 'budgeted' }), delivered.length - 60);
  assert.ok((await serin.metric('serin_retries_refused_total', { service: 'budgeted' })) > 0);
});

test('a POST is never delivered twice, whatever breaks', async () => {
  let serial = 0;
  for (const name of ['one', 'two', 'three'] as const) {
    origin(name).otherwise({
      end(received) {
        serial += 1;
        if (serial % 3 === 0) received.connection.socket.resetAndDestroy();
        else if (serial % 7 === 0) received.connection.socket.end();
        else answer(received, { headers: [['X-Origin', name]], body: name });
      },
    });
  }
  const client = await connect(serin.proxyPort);
  for (let n = 0; n < 120; n += 1) {
    const path = `/once/${n}`;
    client.write(request(path, { host: 'resetting.test', method: 'POST', body: n % 2 === 0 ? 'x' : '' }));
    const { status } = await client.answer();
    const delivered = (['one', 'two', 'three'] as const).flatMap((name) => origin(name).at(path));
    assert.ok(delivered.length <= 1, `${path} was delivered ${delivered.length} times`);
    if (status === 200) assert.equal(delivered.length, 1);
  }
  client.destroy();
});
