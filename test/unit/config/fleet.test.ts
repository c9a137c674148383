import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fleetSettings, type Machine } from '../../../src/config/fleet.ts';
import { faultsOf, load } from './loading.ts';

const machine = (...addresses: string[]): Machine => ({
  hostname: 'serin-0',
  interfaces: {
    lo: [{ address: '127.0.0.1', family: 'IPv4', internal: true }],
    eth0: addresses.map((address) => ({
      address,
      family: address.includes(':') ? 'IPv6' : 'IPv4',
      internal: false,
    })),
  },
});

describe('the settings of the fleet', () => {
  it('have defaults', () => {
    const { advertise, ...rest } = fleetSettings(undefined, machine('10.1.0.7'));
    assert.deepEqual(rest, {
      name: 'serin-0',
      listen: { host: '0.0.0.0', port: 9092 },
      lease: 5000,
      activation: 100,
    });
    assert.equal(advertise(9092), '10.1.0.7:9092');
  });

  it('advertise the first address that others can reach', () => {
    const advertised = (listen: string, ...addresses: string[]): string =>
      fleetSettings({ listen }, machine(...addresses)).advertise(7);
    assert.equal(advertised('0.0.0.0:0', '169.254.1.1', 'fe80::1', '2001:db8::7', '10.1.0.7'), '10.1.0.7:7');
    assert.equal(advertised('[::]:0', 'fe80::1', '2001:db8::7'), '[2001:db8::7]:7');
    assert.equal(advertised('0.0.0.0:0'), '127.0.0.1:7');
    assert.equal(advertised('10.9.9.9:0', '10.1.0.7'), '10.9.9.9:7');
    assert.equal(fleetSettings({ advertise: 'serin-0:1' }, machine('10.1.0.7')).advertise(7), 'serin-0:1');
  });

  it('make a name of any host name', () => {
    const name = (hostname: string): string => fleetSettings({}, { ...machine(), hostname }).name;
    assert.equal(name('serin_0.example'), 'serin_0.example');
    assert.equal(name('-é1.'), '1');
    assert.equal(name(''), 'replica');
  });

  it('come from the file and from the environment', async () => {
    const { configuration } = await load({
      text: 'fleet: { name: a, lease: 2s }',
      env: { SERIN_FLEET_NAME: 'b', SERIN_FLEET_ACTIVATION: '0ms' },
    });
    assert.deepEqual(configuration.fleet, { name: 'b', lease: '2s', activation: '0ms' });
  });

  it('are refused with what would be right', async () => {
    for (const [text, fault] of [
      ['fleet: { leese: 5s }', /^1 \/fleet\/leese: unknown field "leese"; did you mean "lease"\?$/],
      [
        'fleet: { lease: 500ms }',
        /^1 \/fleet\/lease: 500ms is out of range; expected a duration from 1s to 60s$/,
      ],
      ['fleet: { lease: 2m }', /out of range/],
      ['fleet: { activation: 6s }', /^1 \/fleet\/activation: 6s is out of range; .* from 0s to 5s$/],
      ['fleet: { name: "a b" }', /^1 \/fleet\/name: expected a name of letters, digits and inner/],
      ['fleet: { advertise: 10.1.0.7 }', /^1 \/fleet\/advertise: "10\.1\.0\.7" has no port/],
      [
        'fleet: { advertise: "0.0.0.0:9092" }',
        /^1 \/fleet\/advertise: .* is no address that can be connected to/,
      ],
      ['fleet: { listen: here }', /^1 \/fleet\/listen: "here" has no port/],
      [
        'fleet: { listen: "127.0.0.1:9090" }',
        /^1 \/fleet\/listen: 127\.0\.0\.1:9090 is taken by admin\.listen/,
      ],
    ] as const) {
      const [first = '', ...more] = await faultsOf(text);
      assert.match(first, fault);
      assert.deepEqual(more, []);
    }
    assert.deepEqual(await faultsOf('ops: { listen: 127.0.0.1:9092 }'), [], 'alone it takes no port');
  });
});
