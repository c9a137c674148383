/** Serin follows names at a real DNS server, under traffic; and starts while its sources are gone. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { type Serin, startSerin } from '../support/serin.ts';
import { startTraffic, type Traffic } from '../support/traffic.ts';

describe('endpoints of DNS', () => {
  const ends: (() => Promise<unknown> | undefined)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function started(names: readonly string[]): Promise<{ dns: DnsServer; origins: Origin[] }> {
    const dns = await startDnsServer();
    const origins = await Promise.all(names.map((name) => startOrigin(name)));
    ends.push(() => dns.close(), ...origins.map((origin) => () => origin.close()));
    return { dns, origins };
  }

  const endpoints = async (serin: Serin): Promise<string[]> => {
    const { body } = await serin.admin('GET', '/v1/endpoints');
    return (body as { endpoints: { address: string; source: string; weight: number }[] }).endpoints.map(
      ({ address, source, weight }) => `${address} ${weight} ${source}`,
    );
  };

  it('come and go with its answers, stay while it fails, and a failed request is none of it', async () => {
    const { dns, origins } = await started(['a', 'b']);
    const [a, b] = origins as [Origin, Origin];
    const srv = (origin: Origin, weight: number) =>
      ({ type: 'SRV', target: 'pods.internal', port: origin.port, weight, ttl: 1 }) as const;
    dns.records.set('pods.internal', [{ type: 'A', address: '127.0.0.1', ttl: 1 }]);
    dns.records.set('_http._tcp.notes.internal', [srv(a, 3), srv(b, 1)]);
    const serin = await startSerin({
      configuration: { discovery: { dnsServers: [dns.address], allowLoopback: true } },
      services: { notes: { hosts: ['*'], stable: { dns: '_http._tcp.notes.internal' } } },
    });
    ends.push(() => serin.stop());
    const source = 'dns _http._tcp.notes.internal';
    assert.deepEqual(
      (await endpoints(serin)).sort(),
      [`${a.endpoint} 1.5 ${source}`, `${b.endpoint} 0.5 ${source}`].sort(),
    );
    const traffic: Traffic = startTraffic(serin.proxyPort, 4);
    ends.push(() => traffic.stop());
    dns.records.set('_http._tcp.notes.internal', [srv(b, 0)]);
    await eventually(async () => (await endpoints(serin)).length === 1, 'the next answer');
    dns.failure = 2;
    await eventually(
      async () =>
        (await serin.metric('serin_discovery_errors_total', { source, reason: 'server_error' })) > 1,
      'failures',
    );
    assert.equal(await serin.metric('serin_discovery_synced', { source }), 0);
    await traffic.more(100);
    dns.failure = null;
    dns.records.set('_http._tcp.notes.internal', [srv(a, 1), srv(b, 1)]);
    await eventually(async () => (await endpoints(serin)).length === 2, 'both again');
    dns.records.delete('_http._tcp.notes.internal');
    await eventually(
      async () => (await serin.metric('serin_discovery_holding', { source })) === 1,
      'the alarm',
    );
    await traffic.more(100);
    assert.equal((await endpoints(serin)).length, 2, 'the last known ones');
    assert.deepEqual(traffic.failures, []);
  });

  it('are never on this machine, nor where metadata services are, whatever a record says', async () => {
    const { dns } = await started([]);
    dns.records.set('notes.internal', [
      { type: 'A', address: '127.0.0.1' },
      { type: 'A', address: '169.254.169.254' },
      { type: 'A', address: '0.0.0.0' },
    ]);
    const serin = await startSerin({
      configuration: { discovery: { dnsServers: [dns.address] } },
      services: { notes: { hosts: ['*'], stable: { dns: 'notes.internal:9090' } } },
    });
    ends.push(() => serin.stop());
    assert.deepEqual(await endpoints(serin), []);
    assert.equal(await serin.metric('serin_discovery_refused_addresses_total'), 3);
    assert.equal((await fetch(`http://127.0.0.1:${serin.proxyPort}/`)).status, 503);
    assert.match(serin.output(), /an endpoint is left out: 127\.0\.0\.1:9090 is a loopback address/);
    assert.match(serin.output(), /an endpoint is left out: 169\.254\.169\.254:9090 is a link-local address/);
  });

  it('are waited for at the start, for as long as is said; other services serve all the same', async () => {
    const { dns, origins } = await started(['listed']);
    dns.failure = 2;
    const begun = performance.now();
    const serin = await startSerin({
      configuration: {
        discovery: { dnsServers: [dns.address], startTimeout: '4s' },
      },
      services: {
        notes: { hosts: ['notes.test'], stable: { dns: 'notes.internal:80' } },
        other: { hosts: ['*'], stable: { endpoints: [origins[0]!.endpoint] } },
      },
    });
    ends.push(() => serin.stop());
    assert.ok(performance.now() - begun >= 4000, 'not ready before');
    assert.match(
      serin.output(),
      /a source of endpoints fails, the last known ones are used: DNS does not answer for notes\.internal \(ESERVFAIL\)/,
    );
    assert.equal((await fetch(`http://127.0.0.1:${serin.proxyPort}/`)).status, 200);
    assert.equal(await serin.metric('serin_ready'), 1);
  });
});
