import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { describeRedis, parseRedisUrl } from '../../../src/config/redis-url.ts';
import { faultsOf, load } from './loading.ts';

const SECRET = 'secretFile: /run/secret';
const URL = 'redis://:hunter2@redis:6379/0';

const store = (settings: string, ...lines: string[]): string =>
  [`store: { ${settings} }`, ...lines].join('\n');

describe('the store in the configuration', () => {
  it('is a directory unless said, and Redis with its defaults', async () => {
    const plain = await load({ text: 'store: {}' });
    assert.deepEqual(plain.configuration.store, { file: `${process.cwd()}/data`, historyBytes: 67_108_864 });
    const { configuration } = await load({ text: store(`redis: "${URL}"`, SECRET) });
    assert.deepEqual(configuration.store, {
      redis: URL,
      prefix: 'serin',
      snapshot: `${process.cwd()}/data/snapshot`,
      maxStaleness: '10m',
      historyBytes: 67_108_864,
    });
    const other = await load({
      text: SECRET,
      env: {
        SERIN_STORE_REDIS: 'redis://redis',
        SERIN_STORE_PREFIX: 'blue',
        SERIN_STORE_SNAPSHOT: '/var/lib/serin/last',
        SERIN_STORE_MAX_STALENESS: '1m',
        SERIN_STORE_HISTORY_BYTES: '2000000',
      },
    });
    assert.deepEqual(other.configuration.store, {
      redis: 'redis://redis',
      prefix: 'blue',
      snapshot: '/var/lib/serin/last',
      maxStaleness: '1m',
      historyBytes: 2_000_000,
    });
  });

  it('is one of the two', async () => {
    assert.deepEqual(await faultsOf(store(`file: ./data, redis: "${URL}"`, SECRET)), [
      '1 /store/redis: there is store.file as well; keep one of them: store.redis for several replicas, store.file for one (`serin store migrate` moves from one to the other)',
    ]);
    assert.deepEqual(await faultsOf(store('prefix: x, snapshot: y, maxStaleness: 1m')), [
      '1 /store/prefix: it matters only with store.redis; remove it, or set that',
      '1 /store/snapshot: it matters only with store.redis; remove it, or set that',
      '1 /store/maxStaleness: it matters only with store.redis; remove it, or set that',
    ]);
  });

  it('in Redis needs a key ring that is given', async () => {
    assert.deepEqual(await faultsOf(store(`redis: "${URL}"`)), [
      '1 /store/redis: replicas must have the same key ring, so none is made; set secretFile to a file that you give to all of them',
    ]);
  });

  it('has a prefix without braces, and a staleness in range', async () => {
    assert.deepEqual(await faultsOf(store(`redis: "${URL}", prefix: "{a}"`, SECRET)), [
      '1 /store/prefix: expected a prefix of letters, digits, ".", "_", ":" and "-", got "{a}"',
    ]);
    assert.deepEqual(await faultsOf(store(`redis: "${URL}", maxStaleness: 25h`, SECRET)), [
      '1 /store/maxStaleness: 25h is out of range; expected a duration from 1s to 24h',
    ]);
    assert.deepEqual(await faultsOf(store(`redis: "${URL}", maxStaleness: 4s`, SECRET)), [
      '1 /store/maxStaleness: 4s is shorter than fleet.lease; expected at least that',
    ]);
    const quick = store(`redis: "${URL}", maxStaleness: 4s`, SECRET, 'fleet: { lease: 2s }');
    assert.deepEqual(await faultsOf(quick), []);
  });

  it('never shows the password', async () => {
    for (const [url, part] of [
      ['redis://:hunter2@', /no host/],
      ['redis://:hunter2@redis:6379/zero', /number of a database/],
      ['redis://:hunter2@redis:99999', /65535/],
      ['redis://:hun/ter2@redis', /percent|encoded/],
      ['redis://:hun@ter2@redis', /encoded/],
      ['redis://hunter2@redis', /a name without a password/],
      ['http://:hunter2@redis', /not the URL of a Redis/],
      ['redis+sentinel://:hunter2@a,b', /no name of the master/],
      ['redis+cluster://:hunter2@a/3', /only the database 0/],
      ['redis://:hunter2@a,b', /several hosts/],
      ['redis://:hunter2@a?x=hunter2', /unknown parameter "x"/],
    ] as const) {
      const [found = '', ...others] = await faultsOf(store(`redis: "${url}"`, SECRET));
      assert.deepEqual(others, []);
      assert.match(found, /^1 \/store\/redis: /);
      assert.match(found, part);
      assert.doesNotMatch(found, /hunter2|ter2/);
    }
    for (const value of ['7', '[a, b]', '""', '{ hunter2: hunter2 }']) {
      const found = await faultsOf(store(`redis: ${value}`, SECRET));
      assert.equal(found.length, 1);
      assert.doesNotMatch(found.join(), /hunter2/);
    }
  });
});

describe('the URL of a Redis', () => {
  it('is a server, Sentinels or a Cluster', () => {
    const server = {
      kind: 'server',
      tls: false,
      master: '',
      database: 0,
      username: null,
      password: null,
      sentinelPassword: null,
    };
    assert.deepEqual(parseRedisUrl('redis://redis'), {
      ...server,
      addresses: [{ host: 'redis', port: 6379 }],
    });
    assert.deepEqual(parseRedisUrl('rediss://serin:p%40ss%2F@[2001:db8::7]:7000/3'), {
      ...server,
      tls: true,
      addresses: [{ host: '2001:db8::7', port: 7000 }],
      database: 3,
      username: 'serin',
      password: 'p@ss/',
    });
    assert.deepEqual(parseRedisUrl('redis+sentinel://:a@s1,s2:26380/my%20master/2?sentinelPassword=b'), {
      ...server,
      kind: 'sentinel',
      addresses: [
        { host: 's1', port: 26_379 },
        { host: 's2', port: 26_380 },
      ],
      master: 'my master',
      database: 2,
      password: 'a',
      sentinelPassword: 'b',
    });
    assert.deepEqual(parseRedisUrl('rediss+cluster://n1:7000,n2/'), {
      ...server,
      kind: 'cluster',
      tls: true,
      addresses: [
        { host: 'n1', port: 7000 },
        { host: 'n2', port: 6379 },
      ],
    });
  });

  it('is described without what is secret', () => {
    const target = parseRedisUrl('redis+sentinel://u:hunter2@s1/main?sentinelPassword=hunter2');
    assert.ok(typeof target !== 'string');
    assert.equal(describeRedis(target), 'redis+sentinel://s1:26379/main');
  });

  it('is read or refused, whatever it is', () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('redis', 's', '+sentinel', '://', ':', '@', 'a', '/', '7', '?', '%', '[', ','))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (url) => {
        const target = parseRedisUrl(url);
        if (typeof target !== 'string') assert.ok(describeRedis(target).startsWith('redis'));
      }),
      { numRuns: 2000 },
    );
  });
});
