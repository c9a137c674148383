import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mergeSlices } from '../../../src/discovery/kubernetes/merge.ts';
import { readList, type Slice } from '../../../src/discovery/kubernetes/objects.ts';

/** Slices as the API has them. */
function slices(...items: object[]): readonly Slice[] {
  const list = {
    kind: 'EndpointSliceList',
    metadata: { resourceVersion: '9' },
    items: items.map((item, index) => ({
      metadata: { name: `s-${index}`, resourceVersion: '9' },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      ...item,
    })),
  };
  return readList(Buffer.from(JSON.stringify(list))).slices;
}
const at = (
  address: string,
  ready?: boolean | null,
  serving?: boolean | null,
  terminating?: boolean | null,
): object => ({
  addresses: [address],
  conditions: { ready, serving, terminating },
});

function merge(
  port: string | number,
  ...items: object[]
): { used: string[]; out: string[]; leaving: string[] } {
  const { usable, out } = mergeSlices(slices(...items), port);
  const name = ({ host, port: number }: { host: string; port: number }): string => `${host} ${number}`;
  return {
    used: usable.map(name).sort(),
    out: [...out].sort(),
    leaving: usable.filter(({ leaving }) => leaving).map(name),
  };
}
const used = (port: string | number, ...items: object[]): string[] => merge(port, ...items).used;

describe('slices of a Service', () => {
  it('have endpoints that are ready where nothing else is said', () => {
    assert.deepEqual(
      used('http', {
        endpoints: [
          { addresses: ['10.0.0.1'] },
          at('10.0.0.2'),
          at('10.0.0.3', null),
          at('10.0.0.4', true),
          at('10.0.0.5', false),
        ],
      }),
      ['10.0.0.1 8080', '10.0.0.2 8080', '10.0.0.3 8080', '10.0.0.4 8080'],
    );
  });

  it('have endpoints that terminate but serve, used only where none is ready', () => {
    const leaving = at('10.0.0.1', false, true, true);
    assert.deepEqual(merge('http', { endpoints: [leaving, at('10.0.0.2', true, true, false)] }), {
      used: ['10.0.0.2 8080'],
      out: ['10.0.0.1:8080'],
      leaving: [],
    });
    assert.deepEqual(
      merge('http', {
        endpoints: [leaving, at('10.0.0.2', false, false, true), at('10.0.0.3', false, true, false)],
      }),
      {
        used: ['10.0.0.1 8080'],
        out: ['10.0.0.2:8080', '10.0.0.3:8080'],
        leaving: ['10.0.0.1 8080'],
      },
    );
    // An older server says nothing about serving: it is as ready is.
    assert.deepEqual(used('http', { endpoints: [at('10.0.0.1', false, null, true)] }), []);
    // publishNotReadyAddresses: ready, whatever else.
    assert.deepEqual(merge('http', { endpoints: [at('10.0.0.1', true, true, true)] }).leaving, [
      '10.0.0.1 8080',
    ]);
  });

  it('are put together; an endpoint that is in two of them counts once, and as well as either says', () => {
    const ready = { endpoints: [at('10.0.0.1'), at('10.0.0.2')] };
    const unready = { endpoints: [at('10.0.0.2', false), at('10.0.0.3', false)] };
    for (const order of [
      [ready, unready],
      [unready, ready],
    ]) {
      assert.deepEqual(merge('http', ...order), {
        used: ['10.0.0.1 8080', '10.0.0.2 8080'],
        out: ['10.0.0.3:8080'],
        leaving: [],
      });
    }
  });

  it('have ports of their own, found by name or by number; only those of TCP', () => {
    const ports = [
      { name: 'http', port: 8080 },
      { name: 'grpc', port: 9090, protocol: null },
      { name: 'quic', port: 8443, protocol: 'UDP' },
      { name: 'odd', port: 70_000 },
    ];
    const first = { ports, endpoints: [at('10.0.0.1')] };
    const second = { ports: [{ name: 'http', port: 80 }], endpoints: [at('10.0.0.2')] };
    assert.deepEqual(used('http', first, second), ['10.0.0.1 8080', '10.0.0.2 80']);
    assert.deepEqual(used('grpc', first, second), ['10.0.0.1 9090']);
    assert.deepEqual(used('quic', first), []);
    assert.deepEqual(used('odd', first), []);
    assert.deepEqual(used(80, first, second), ['10.0.0.2 80']);
    assert.deepEqual(used(8443, first), []);
  });

  it('may leave the port open: without a name, without a number, or without ports', () => {
    assert.deepEqual(used(8080, { ports: [{ port: 8080 }], endpoints: [at('10.0.0.1')] }), ['10.0.0.1 8080']);
    assert.deepEqual(used(8080, { ports: [{ name: '', port: 8080 }], endpoints: [at('10.0.0.1')] }), [
      '10.0.0.1 8080',
    ]);
    for (const ports of [null, [], [{ name: 'any' }]])
      assert.deepEqual(used(7070, { ports, endpoints: [at('10.0.0.1')] }), ['10.0.0.1 7070']);
    assert.deepEqual(
      used('any', { ports: [{ name: 'any' }], endpoints: [at('10.0.0.1')] }),
      [],
      'no number anywhere',
    );
  });

  it('are of two families in a dual-stack cluster: IPv4 is used where it has anything to use', () => {
    const v4 = { endpoints: [at('10.0.0.1'), at('10.0.0.2', false)] };
    const v6 = { addressType: 'IPv6', endpoints: [at('2001:db8::1'), at('2001:db8::2', false)] };
    assert.deepEqual(used('http', v6, v4), ['10.0.0.1 8080']);
    assert.deepEqual(merge('http', v6, { endpoints: [at('10.0.0.1', false)] }), {
      used: ['2001:db8::1 8080'],
      out: ['10.0.0.1:8080', '[2001:db8::2]:8080'],
      leaving: [],
    });
    assert.deepEqual(used('http', v6), ['2001:db8::1 8080']);
  });

  it('have one endpoint for one address, in whatever slice and notation it is', () => {
    const v6 = { addressType: 'IPv6', endpoints: [at('::ffff:10.0.0.1'), at('2001:DB8::1')] };
    const v4 = { endpoints: [at('10.0.0.1'), at('10.0.0.2')] };
    for (const order of [
      [v6, v4],
      [v4, v6],
    ])
      assert.deepEqual(merge('http', ...order), {
        used: ['10.0.0.1 8080', '10.0.0.2 8080'],
        out: ['[2001:db8::1]:8080'],
        leaving: [],
      });
    const zones = { addressType: 'IPv6', endpoints: [at('2001:db8::1'), at('2001:db8:0::1')] };
    assert.deepEqual(used('http', zones), ['2001:db8::1 8080']);
  });

  it('leave out what is no address, and hints about zones say nothing', () => {
    assert.deepEqual(
      used(
        'http',
        { addressType: 'FQDN', endpoints: [at('notes.internal')] },
        {
          endpoints: [
            at('notes.internal'),
            { addresses: [] },
            { addresses: null },
            null,
            { ...at('10.0.0.1'), zone: 'a', hints: { forZones: [{ name: 'b' }] } },
            { ...at('10.0.0.2'), addresses: ['10.0.0.2', '10.0.0.3'] },
          ],
        },
        { endpoints: null, ports: null },
      ),
      ['10.0.0.1 8080', '10.0.0.2 8080'],
    );
  });
});
