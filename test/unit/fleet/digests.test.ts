import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServiceDefinition } from '../../../src/config/schema.ts';
import { createDigests, digestRegion, type DigestSources } from '../../../src/fleet/digests.ts';
import { compileNetworks } from '../../../src/policy/network.ts';

const notes: ServiceDefinition = {
  hosts: ['a.example', 'b.example'],
  stable: { endpoints: ['10.0.0.1:80'] },
};
const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

const sources = (more: Partial<DigestSources> = {}): DigestSources => ({
  services: { notes },
  segments: { office: compileNetworks(['10.0.0.0/8', '2001:db8::/32']) },
  keys: [{ id: 'k1', secret: secret(1) }],
  region: '',
  bucketAlgorithms: ['xxh64-1'],
  ...more,
});

describe('digests of what replicas must have alike', () => {
  it('are equal for equal contents, however they are written', () => {
    const written = sources({
      services: {
        notes: {
          identity: [{ mint: true, cookie: 'serin_id' }, { fingerprint: true }],
          pathPrefix: '/',
          hosts: ['B.example', 'a.example'],
          stable: { endpoints: ['10.9.9.9:81'] },
          retries: 5,
        },
      },
      segments: { office: compileNetworks(['2001:db8::/32', '10.128.0.0/9', '10.0.0.0/9']) },
    });
    assert.deepEqual(createDigests(written), createDigests(sources()));
  });

  it('differ where the contents do', () => {
    const own = createDigests(sources());
    const segment = (...list: string[]): string =>
      createDigests(sources({ segments: { office: compileNetworks(list) } })).segments['office']!;
    assert.notEqual(segment('10.0.0.0/8'), own.segments['office']);
    assert.notEqual(segment('2001:db8::/32'), segment());
    const service = (more: Partial<ServiceDefinition>): string =>
      createDigests(sources({ services: { notes: { ...notes, ...more } } })).services['notes']!;
    for (const more of [
      { hosts: ['a.example'] },
      { pathPrefix: '/x' },
      { identity: [{ header: 'x-user' }] },
      { follow: ['shop'] },
    ]) {
      assert.notEqual(service(more), own.services['notes']);
    }
  });

  it('tell keys apart and nothing of their secrets', () => {
    const digest = (fill: number): string =>
      createDigests(sources({ keys: [{ id: 'k1', secret: secret(fill) }] })).keys['k1']!;
    assert.equal(digest(1), digest(1));
    assert.notEqual(digest(1), digest(2));
    assert.ok(!Buffer.from(digest(1), 'base64url').includes(Buffer.from(secret(1).subarray(0, 4))));
  });

  it('cover the whole region database', async () => {
    const database = new SharedArrayBuffer(5_000_000);
    const before = await digestRegion(database);
    assert.equal(await digestRegion(database), before);
    new Uint8Array(database)[4_999_999] = 1;
    assert.notEqual(await digestRegion(database), before);
    assert.equal(await digestRegion(null), '');
  });
});
