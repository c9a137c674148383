import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Configuration } from '../../../src/config/schema.ts';
import type { ServiceDefinition } from '../../../src/config/service.ts';
import { createDigester } from '../../../src/replication/digests.ts';
import type { Digests } from '../../../src/replication/replica-record.ts';

const notes: ServiceDefinition = {
  hosts: ['a.example', 'b.example'],
  stable: { endpoints: ['10.0.0.1:80'] },
};
const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const KEYS = [{ id: 'k1', secret: secret(1) }];

function digests(
  services: NonNullable<Configuration['services']>,
  office: readonly string[] = ['10.0.0.0/8', '2001:db8::/32'],
  region: SharedArrayBuffer | null = null,
): Digests {
  return createDigester(KEYS, ['xxh64-1'])({ services, segments: { office: [...office] } }, region);
}

describe('digests of what replicas must have alike', () => {
  const own = digests({ notes });

  it('are equal for equal contents, however they are written', () => {
    const written = digests(
      {
        notes: {
          identity: [{ mint: true, cookie: 'serin_id' }, { fingerprint: true }],
          pathPrefix: '/',
          hosts: ['B.example', 'a.example'],
          stable: { endpoints: ['10.9.9.9:81'] },
          retries: 5,
        },
      },
      ['2001:DB8::/32', '10.0.0.0/8', '10.0.0.0/8'],
    );
    assert.deepEqual(written, own);
  });

  it('differ where the contents do', () => {
    assert.notEqual(digests({ notes }, ['10.0.0.0/8']).segments['office'], own.segments['office']);
    for (const more of [
      { hosts: ['a.example'] },
      { pathPrefix: '/x' },
      { identity: [{ header: 'x-user' }] },
      { follow: ['shop'] },
    ]) {
      assert.notEqual(digests({ notes: { ...notes, ...more } }).services['notes'], own.services['notes']);
    }
  });

  it('tell keys apart and nothing of their secrets', () => {
    const digest = (fill: number): string =>
      createDigester([{ id: 'k1', secret: secret(fill) }], [])({}, null).keys['k1']!;
    assert.equal(digest(1), digest(1));
    assert.notEqual(digest(1), digest(2));
    assert.ok(!Buffer.from(digest(1), 'base64url').includes(Buffer.from(secret(1).subarray(0, 4))));
  });

  it('cover the whole region database', () => {
    const database = new SharedArrayBuffer(5_000_000);
    const before = digests({}, [], database).region;
    const other = new SharedArrayBuffer(5_000_000);
    assert.equal(digests({}, [], other).region, before);
    new Uint8Array(other)[4_999_999] = 1;
    assert.notEqual(digests({}, [], other).region, before);
    assert.equal(own.region, '');
  });

  it('are made anew only where something is another', () => {
    const read = createDigester(KEYS, []);
    const configuration: Configuration = { services: { notes } };
    const database = new SharedArrayBuffer(8);
    const first = read(configuration, database);
    assert.equal(read(configuration, database), first);
    assert.notEqual(read(configuration, null).region, first.region);
    assert.deepEqual(read({ services: {} }, database).services, {});
  });
});
