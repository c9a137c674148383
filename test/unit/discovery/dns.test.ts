import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { targetOf, type DnsTarget } from '../../../src/config/endpoint-source.ts';
import { followName } from '../../../src/discovery/dns/follow.ts';
import { resolveEndpoints } from '../../../src/discovery/dns/resolve.ts';
import { eventually } from '../../support/bounded.ts';
import { type DnsServer, startDnsServer } from '../../support/dns-server.ts';
import { listenerOf, realAfter } from './following.ts';

const NOTES = targetOf({ dns: 'notes.internal:8080' }) as DnsTarget;
const SRV = targetOf({ dns: '_http._tcp.notes.internal' }) as DnsTarget;

describe('endpoints of DNS', () => {
  let server: DnsServer;
  let resolver: Resolver;

  beforeEach(async () => {
    server = await startDnsServer();
    resolver = new Resolver({ timeout: 100, tries: 1 });
    resolver.setServers([server.address]);
  });
  afterEach(async () => {
    resolver.cancel();
    await server.close();
  });

  const ask = async (target = NOTES): Promise<unknown> => {
    const { endpoints, ttl } = await resolveEndpoints(resolver, target);
    return [...endpoints.map(({ host, port, weight }) => `${host} ${port} ${weight}`), ttl];
  };

  it('are the addresses of a name, for as long as the shortest of them lasts', async () => {
    server.records.set('notes.internal', [
      { type: 'A', address: '10.1.0.1', ttl: 30 },
      { type: 'A', address: '10.1.0.2', ttl: 20 },
      { type: 'AAAA', address: '2001:db8:0:0:0:0:0:1', ttl: 5 },
    ]);
    assert.deepEqual(await ask(), ['10.1.0.1 8080 1', '10.1.0.2 8080 1', 20]);
    assert.deepEqual(server.questions, ['A notes.internal'], 'IPv6 only where there is no IPv4');
    server.records.set('notes.internal', [{ type: 'AAAA', address: '2001:db8:0:0:0:0:0:1', ttl: 5 }]);
    assert.deepEqual(await ask(), ['2001:db8::1 8080 1', 5]);
  });

  it('are none where the name has none or does not exist, which is an answer', async () => {
    assert.deepEqual(await ask(), [null]);
    server.records.set('notes.internal', []);
    assert.deepEqual(await ask(), [null]);
    assert.deepEqual(await ask(SRV), [null]);
  });

  it('are unknown where the server fails, refuses or is silent', async () => {
    server.failure = 2;
    await assert.rejects(ask(), {
      reason: 'server_error',
      message: 'DNS does not answer for notes.internal (ESERVFAIL)',
    });
    server.failure = 5;
    await assert.rejects(ask(), { reason: 'forbidden' });
    server.failure = 'silent';
    await assert.rejects(ask(), { reason: 'timeout' });
    await assert.rejects(ask(SRV), { reason: 'timeout' });
  });

  it('have ports and weights where the records are SRV; only the best priority counts', async () => {
    server.records.set('_http._tcp.notes.internal', [
      { type: 'SRV', target: 'a.internal', port: 8080, priority: 1, weight: 30 },
      { type: 'SRV', target: 'b.internal', port: 9090, priority: 1, weight: 10 },
      { type: 'SRV', target: 'z.internal', port: 1, priority: 1, weight: 0 },
      { type: 'SRV', target: 'spare.internal', port: 7070, priority: 2, weight: 10 },
    ]);
    server.records.set('a.internal', [{ type: 'A', address: '10.1.0.1', ttl: 12 }]);
    server.records.set('b.internal', [{ type: 'A', address: '10.1.0.2', ttl: 40 }]);
    server.records.set('z.internal', [{ type: 'A', address: '10.1.0.3', ttl: 40 }]);
    assert.deepEqual(await ask(SRV), ['10.1.0.1 8080 2.25', '10.1.0.2 9090 0.75', '10.1.0.3 1 0.01', 12]);
    assert.ok(!server.questions.includes('A spare.internal'));
    server.records.set('_http._tcp.notes.internal', [{ type: 'SRV', target: '.', port: 1 }]);
    assert.deepEqual(await ask(SRV), [null], 'a service that says that it is not there');
  });

  it('are asked for again when their time is over, and kept while the server fails', async () => {
    const waits: number[] = [];
    const heard = listenerOf();
    server.records.set('notes.internal', [{ type: 'A', address: '10.1.0.1', ttl: 0 }]);
    const end = followName({
      resolver,
      target: NOTES,
      listener: heard,
      after: (ms, run) => {
        waits.push(Math.round(ms));
        return realAfter(1, run);
      },
      random: () => 0.5,
    });
    try {
      await eventually(() => heard.findings.length > 2, 'three answers');
      assert.deepEqual([...new Set(waits)], [950], 'a second at least');
      server.failure = 2;
      await eventually(() => heard.troubles.length > 3, 'four failures');
      const { length } = heard.findings;
      assert.deepEqual(heard.now(), ['10.1.0.1:8080']);
      server.records.set('notes.internal', [{ type: 'A', address: '10.1.0.2', ttl: 86_400 }]);
      server.failure = null;
      await eventually(() => heard.findings.length > length, 'an answer');
      assert.deepEqual(heard.now(), ['10.1.0.2:8080']);
      await eventually(() => waits.includes(57_000), 'a minute at most');
      assert.deepEqual(
        waits.filter((wait) => ![950, 57_000].includes(wait)).slice(0, 4),
        [150, 300, 600, 1200],
        'twice as long after each failure',
      );
    } finally {
      end();
    }
  });
});
