import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileNetworks } from '../../../src/ip/network.ts';
import { faultsOf, FILE, load, withService } from './loading.ts';

const HOSTS = 'hosts: [a.example]';
const STABLE = "stable: { endpoints: ['10.1.0.7:8080'] }";

describe('a configuration that is right', () => {
  it('comes with absolute paths, compiled networks and the files it was read from', async () => {
    const loaded = await load({
      text: [
        'segments: { office: [203.0.113.0/24] }',
        'trustedProxies: [10.3.0.0/24]',
        withService(HOSTS, STABLE),
      ].join('\n'),
    });
    assert.deepEqual(loaded.networks.segments['office'], compileNetworks(['203.0.113.0/24']));
    assert.deepEqual(loaded.networks.trustedProxies, compileNetworks(['10.3.0.0/24']));
    assert.equal(loaded.networks.followPeers.size, 0);
    assert.deepEqual(loaded.files, [FILE]);
    assert.deepEqual(loaded.warnings, []);
    assert.deepEqual(loaded.configuration.store, { file: `${process.cwd()}/data`, historyBytes: 67_108_864 });
    assert.equal(loaded.configuration.secretFile, `${process.cwd()}/data/secret`);
  });

  it('keeps absolute paths, and puts the key ring into the store unless told otherwise', async () => {
    const { configuration } = await load({
      text: 'store: { file: /var/lib/serin }\nregion: { database: /x/city.mmdb }',
    });
    assert.equal(configuration.secretFile, '/var/lib/serin/secret');
    assert.deepEqual(configuration.region, { database: '/x/city.mmdb' });
    const other = await load({ text: 'secretFile: /run/secret' });
    assert.equal(other.configuration.secretFile, '/run/secret');
  });

  it('may be JSON, use anchors and merge keys, and name its schema', async () => {
    const json = JSON.stringify({
      $schema: './serin.schema.json',
      services: { notes: { hosts: ['a'], stable: { endpoints: ['b:80'] } } },
    });
    assert.deepEqual(await faultsOf(json), []);
    const yaml = [
      'services:',
      '  one: &defaults',
      '    hosts: [one.example]',
      '    timeouts: &times { connect: 2s }',
      '    stable: { endpoints: [one:80] }',
      '  two: { <<: *defaults, hosts: [two.example], timeouts: *times }',
    ].join('\n');
    const { configuration } = await load({ text: yaml });
    assert.deepEqual(configuration.services?.['two'], {
      hosts: ['two.example'],
      timeouts: { connect: '2s' },
      stable: { endpoints: ['one:80'] },
    });
  });

  it('has the same digest whatever its comments and layout', async () => {
    const one = await load({ text: 'ops: { listen: 127.0.0.1:1 } # here' });
    const two = await load({ text: 'ops:\n  listen: 127.0.0.1:1\n' });
    const three = await load({ text: 'ops: { listen: 127.0.0.1:2 }' });
    assert.equal(one.digest, two.digest);
    assert.notEqual(one.digest, three.digest);
  });
});

describe('every fault has its pointer and line', () => {
  it('a misspelt key at any depth names the nearest one', async () => {
    assert.deepEqual(await faultsOf('proxi: {}'), ['1 /proxi: unknown field "proxi"; did you mean "proxy"?']);
    assert.deepEqual(await faultsOf(withService(HOSTS, STABLE, 'timeouts:', '  conect: 1s')), [
      '6 /services/notes/timeouts/conect: unknown field "conect"; did you mean "connect"?',
    ]);
  });

  it('through anchors and merge keys, where the value is written', async () => {
    const yaml = ['x-times: &times', '  connect: soon', withService(HOSTS, STABLE, 'timeouts: *times')].join(
      '\n',
    );
    assert.deepEqual(await faultsOf(yaml), [
      '1 /x-times: unknown field "x-times"; expected "$schema", "proxy", "admin", "ops", "trustedProxies", "followPeers", "store", "fleet", "secretFile", "region", "segments", "services", "discovery", "kubernetes", "log" or "accessLog"',
      '2 /services/notes/timeouts/connect: expected a duration such as 30s, got "soon"',
    ]);
    const merged = [
      'services:',
      '  a: &a',
      '    hosts: [a]',
      "    stable: { endpoints: ['x'] }",
      '  b: { <<: *a, hosts: [b] }',
    ].join('\n');
    assert.deepEqual(
      (await faultsOf(merged)).map((fault) => fault.slice(0, 38)),
      ['4 /services/a/stable/endpoints/0: "x" ', '4 /services/b/stable/endpoints/0: "x" '],
    );
  });

  it('in the order of the file', async () => {
    const found = await faultsOf('ops: { listen: x }\nadmin: { listen: y }\nproxy: { listen: z }\n');
    assert.deepEqual(
      found.map((fault) => fault.slice(0, 14).trim()),
      ['1 /ops/listen:', '2 /admin/liste', '3 /proxy/liste'],
    );
  });

  it('a bad network', async () => {
    const yaml = [
      'segments:',
      '  office:',
      '    - 203.0.113.0/24',
      '    - 203.0.113.0/33',
      '    - office',
      'trustedProxies: [10.0.0.0.0]',
      'followPeers: ["fe80::%eth0/64"]',
    ];
    assert.deepEqual(
      (await faultsOf(yaml.join('\n'))).map((fault) => fault.split(';')[0]),
      [
        '4 /segments/office/1: "203.0.113.0/33" has no valid prefix length',
        '5 /segments/office/2: "office" is not a network',
        '6 /trustedProxies/0: "10.0.0.0.0" is not a network',
        '7 /followPeers/0: "fe80::%eth0/64" is not a network',
      ],
    );
  });
});
