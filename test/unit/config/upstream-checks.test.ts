import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { serviceSettings } from '../../../src/config/service.ts';
import { variantSnapshot } from '../../../src/config/variant.ts';
import { faultsOf, load, withService } from './loading.ts';

const HOSTS = 'hosts: [a.example]';
const STABLE = "stable: { endpoints: ['10.1.0.7:8080'] }";
const stable = (more: string): string => `stable: { endpoints: ['10.1.0.7:8080'], ${more} }`;

async function fault(...lines: string[]): Promise<string> {
  const found = await faultsOf(withService(HOSTS, ...lines));
  assert.equal(found.length, 1, found.join('\n'));
  return found[0]!.replace('/services/notes', '');
}

describe('settings for endpoints in trouble', () => {
  it('have the values of the documentation where nothing is said', () => {
    const settings = serviceSettings({ hosts: ['*'], stable: { endpoints: ['a:1'] } });
    assert.deepEqual(settings.balance, { slowStart: 10_000, latencyDecay: 10_000 });
    assert.deepEqual(settings.outlier, {
      consecutiveFailures: 5,
      failureRatio: 0.5,
      minRequests: 20,
      window: 10_000,
      ejectionTime: 30_000,
      maxEjectionTime: 300_000,
      maxEjected: 0.5,
      panicBelow: 0.5,
      gatewayStatuses: false,
    });
    assert.deepEqual(settings.breaker, {
      failureRatio: 0.5,
      minRequests: 20,
      window: 10_000,
      openTime: 10_000,
      recoveryTime: 10_000,
    });
    assert.deepEqual(settings.retryBudget, { share: 0.2, minPerSecond: 10 });
    assert.equal(settings.maxRetries, 2);
  });

  it('and so have all timeouts', () => {
    const defaults = serviceSettings({ hosts: ['*'], stable: { endpoints: ['a:1'] } });
    const times = [
      defaults.connectTimeout,
      defaults.responseHeadTimeout,
      defaults.requestBodyIdleTimeout,
      defaults.responseIdleTimeout,
      defaults.upstreamKeepAlive,
    ];
    assert.deepEqual(times, [1000, 30_000, 30_000, 30_000, 60_000]);
  });

  it('say what is set', async () => {
    const { configuration } = await load({
      text: withService(
        HOSTS,
        "stable: { endpoints: [{ address: '10.1.0.7:8080', weight: 2.5 }, '10.1.0.8:8080'], circuit: { maxPending: 7 }, healthCheck: { path: '/h?x=1', interval: 1s } }",
        'timeouts: { connect: 1ms, responseHead: 2ms, requestBodyIdle: 3ms, responseIdle: 4ms, upstreamKeepAlive: 5ms }',
        'balance: { slowStart: 0s, latencyDecay: 3s }',
        'outlier: { consecutiveFailures: 0, failurePercentage: 12.5, minRequests: 3, window: 4s, ejection: 400s, maxEjectedPercentage: 0, panicPercentage: 10, gatewayStatuses: true }',
        'breaker: { failurePercentage: 20, minRequests: 2, window: 5s, open: 6s, recovery: 0s }',
        'retryBudget: { percentage: 5, minPerSecond: 0 }',
      ),
    });
    const service = configuration.services!['notes']!;
    const settings = serviceSettings(service);
    assert.deepEqual(
      [
        settings.connectTimeout,
        settings.responseHeadTimeout,
        settings.requestBodyIdleTimeout,
        settings.responseIdleTimeout,
        settings.upstreamKeepAlive,
      ],
      [1, 2, 3, 4, 5],
    );
    assert.deepEqual(settings.balance, { slowStart: 0, latencyDecay: 3000 });
    assert.deepEqual(settings.outlier, {
      consecutiveFailures: 0,
      failureRatio: 0.125,
      minRequests: 3,
      window: 4000,
      ejectionTime: 400_000,
      // Never shorter than the first one, where nothing is said.
      maxEjectionTime: 400_000,
      maxEjected: 0,
      panicBelow: 0.1,
      gatewayStatuses: true,
    });
    assert.deepEqual(settings.breaker, {
      failureRatio: 0.2,
      minRequests: 2,
      window: 5000,
      openTime: 6000,
      recoveryTime: 0,
    });
    assert.deepEqual(settings.retryBudget, { share: 0.05, minPerSecond: 0 });
    const { endpoints, circuit, healthCheck } = variantSnapshot(service.stable);
    assert.deepEqual(endpoints, [
      { host: '10.1.0.7', port: 8080, weight: 2.5 },
      { host: '10.1.0.8', port: 8080, weight: 1 },
    ]);
    assert.deepEqual(circuit, { maxConnections: 0, maxPending: 7, maxRequests: 0 });
    assert.deepEqual(healthCheck, {
      path: '/h?x=1',
      interval: 1000,
      timeout: 1000,
      healthyThreshold: 2,
      unhealthyThreshold: 3,
      expectedStatus: [],
    });
  });
});

describe('faults in them', () => {
  it('endpoints with weights', async () => {
    assert.equal(
      await fault("stable: { endpoints: [{ address: '10.1.0.7:8080', weight: 0 }] }"),
      `4 /stable/endpoints/0/weight: expected a number above 0 and of at most 1000, got 0`,
    );
    assert.equal(
      await fault("stable: { endpoints: [{ addres: '10.1.0.7:8080' }] }"),
      '4 /stable/endpoints/0/addres: unknown field "addres"; did you mean "address"?',
    );
    assert.match(
      await fault("stable: { endpoints: ['10.1.0.7:8080', { address: '10.1.0.8' }] }"),
      /^4 \/stable\/endpoints\/1\/address: "10\.1\.0\.8" has no port; expected /,
    );
    assert.equal(
      await fault("stable: { endpoints: ['a:1', { address: 'A:1', weight: 2 }] }"),
      '4 /stable/endpoints/1/address: "A:1" is listed twice, first at 0; remove one',
    );
  });

  it('times that do nothing', async () => {
    for (const [line, pointer, part] of [
      ['balance: { latencyDecay: 0s }', '/balance/latencyDecay', 'latencies would be forgotten at once'],
      ['outlier: { window: 0ms }', '/outlier/window', 'nothing would be counted'],
      ['outlier: { ejection: 0s }', '/outlier/ejection', 'an ejection would be over at once'],
      ['breaker: { window: 0s }', '/breaker/window', 'nothing would be counted'],
    ] as const) {
      const said = await fault(STABLE, line);
      assert.ok(said.startsWith(`5 ${pointer}: with 0`), said);
      assert.ok(said.includes(`${part}; expected a duration above 0, such as 10s`), said);
    }
  });

  it('an ejection that is longer than the longest', async () => {
    assert.equal(
      await fault(STABLE, 'outlier: { ejection: 30s, maxEjection: 10s }'),
      '5 /outlier/maxEjection: the longest ejection of 10s is shorter than the first one; expected at least 30000 ms',
    );
  });

  it('percentages and counts', async () => {
    assert.equal(
      await fault(STABLE, 'breaker: { failurePercentage: 101 }'),
      '5 /breaker/failurePercentage: expected a number from 0 to 100, got 101',
    );
    assert.match(
      await fault(STABLE, 'retryBudget: { percentage: -1 }'),
      /^5 \/retryBudget\/percentage: expected a number from 0 to 100, got -1$/,
    );
    assert.match(
      await fault(stable('circuit: { maxRequests: 0 }')),
      /^4 \/stable\/circuit\/maxRequests: expected a whole number from 1 to 1000000, got 0$/,
    );
    assert.equal(
      await fault(stable('circuit: { maxConnection: 5 }')),
      '4 /stable/circuit/maxConnection: unknown field "maxConnection"; did you mean "maxConnections"?',
    );
    assert.equal(
      await fault(STABLE, 'outlier: { consecutiveFailure: 5 }'),
      '5 /outlier/consecutiveFailure: unknown field "consecutiveFailure"; did you mean "consecutiveFailures"?',
    );
  });

  it('say what fits a protocol', async () => {
    const wrong = await fault(stable('protocol: h3'));
    assert.match(wrong, /^4 \/stable\/protocol: expected .*"http1" or "h2c".*, got "h3"/);
    const checked = await fault(stable('protocol: h2c, healthCheck: { path: /h }'));
    assert.match(checked, /^4 \/stable\/healthCheck: health checks speak HTTP\/1.1.*leave it out/);
    const secured = await fault(stable('protocol: h2c, tls: {}'));
    assert.match(secured, /^4 \/stable\/protocol: h2c is HTTP\/2 without TLS; leave out protocol/);
    assert.equal(variantSnapshot({ endpoints: [] }).protocol, 'http1');
    assert.equal(variantSnapshot({ endpoints: [], protocol: 'h2c' }).protocol, 'h2c');
  });

  it('health checks', async () => {
    assert.match(await fault(stable('healthCheck: {}')), /^4 \/stable\/healthCheck: missing field "path"/);
    assert.match(
      await fault(stable('healthCheck: { path: healthz }')),
      /^4 \/stable\/healthCheck\/path: expected a path that begins with "\/"/,
    );
    assert.match(
      await fault(stable('healthCheck: { path: "/a b" }')),
      /^4 \/stable\/healthCheck\/path: expected a path/,
    );
    assert.match(
      await fault(stable('healthCheck: { path: "/a#b" }')),
      /^4 \/stable\/healthCheck\/path: expected a path/,
    );
    assert.equal(
      await fault(stable('healthCheck: { path: /, interval: 50ms }')),
      '4 /stable/healthCheck/interval: a check every 50ms is a load of its own; expected 100ms or more',
    );
    assert.equal(
      await fault(STABLE, 'canary: { healthCheck: { path: /, interval: 1s, timeout: 2s } }'),
      '5 /canary/healthCheck/timeout: a timeout of 2s is longer than the interval of 1000 ms, so checks of an endpoint would overlap; expected at most the interval',
    );
    assert.equal(
      await fault(stable('healthCheck: { path: /, timeout: 0s }')),
      '4 /stable/healthCheck/timeout: with 0s no answer would come in time; expected a duration above 0, such as 2s',
    );
    assert.match(
      await fault(stable('healthCheck: { path: /, expectedStatus: [] }')),
      /^4 \/stable\/healthCheck\/expectedStatus: expected at least one entry/,
    );
    assert.match(
      await fault(stable('healthCheck: { path: /, expectedStatus: [99] }')),
      /^4 \/stable\/healthCheck\/expectedStatus\/0: expected a whole number from 200 to 599, got 99$/,
    );
  });
});
