import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { discoverySettings } from '../../../src/config/discovery.ts';
import { nameOf, parseDnsName, sourceName, targetOf } from '../../../src/config/endpoint-source.ts';
import { checkServiceDefinition } from '../../../src/config/service-checks.ts';
import { faultsOf, withService } from './loading.ts';

const HOSTS = 'hosts: [notes.example.com]';
const fault = async (...lines: string[]): Promise<string> => {
  const found = await faultsOf(withService(HOSTS, ...lines));
  assert.equal(found.length, 1, found.join('\n'));
  return (found[0] ?? '').replace('/services/notes', '');
};

describe('where endpoints are', () => {
  it('is said in one of three ways, for both variants, in the file and through the API', async () => {
    for (const source of [
      'kubernetes: { namespace: notes, service: notes-canary, port: http }',
      'kubernetes: { service: notes, port: 8080 }',
      'dns: "notes.internal:8080"',
      'dns: _http._tcp.notes.internal',
    ]) {
      assert.deepEqual(
        await faultsOf(withService(HOSTS, `stable: { ${source} }`, `canary: { ${source} }`)),
        [],
      );
    }
    assert.deepEqual(
      checkServiceDefinition({ hosts: ['a'], stable: { kubernetes: { service: 'a', port: 80 } } }),
      [],
    );
  });

  it('is said once', async () => {
    assert.equal(
      await fault('stable: { endpoints: ["10.1.0.7:80"], dns: "a.internal:80" }'),
      '4 /stable/dns: dns names endpoints, and endpoints does too; keep one of them',
    );
    assert.equal(
      await fault(
        'stable: { dns: "a.internal:80" }',
        'canary: { endpoints: [], kubernetes: { service: a, port: b } }',
      ),
      '5 /canary/kubernetes: kubernetes names endpoints, and endpoints does too; keep one of them',
    );
    assert.match(
      await fault('stable: { protocol: h2c }'),
      /^4 \/stable: it names no endpoints; give one of endpoints: /,
    );
    assert.deepEqual(
      checkServiceDefinition({ hosts: ['a'], stable: {}, canary: {} }).map(({ pointer }) => pointer),
      ['/stable'],
    );
  });

  it('is a Service by its right names', async () => {
    const kubernetes = (inner: string) => fault(`stable: { kubernetes: ${inner} }`);
    assert.equal(
      await kubernetes('{ service: notes }'),
      `4 /stable/kubernetes: missing field "port" (the name of the Service's port, such as http, or the number of the pods' port)`,
    );
    assert.match(await kubernetes('{ port: http }'), /^4 \/stable\/kubernetes: missing field "service"/);
    assert.match(
      await kubernetes('{ service: Notes, port: http }'),
      /^4 \/stable\/kubernetes\/service: expected a name of at most 63 lower-case letters/,
    );
    assert.match(
      await kubernetes('{ service: notes, namespace: "a/b", port: http }'),
      /^4 \/stable\/kubernetes\/namespace: expected a name/,
    );
    for (const port of ['"8080"', '0', '65536', '1.5', 'HTTP', '-a', '[]'])
      assert.match(
        await kubernetes(`{ service: notes, port: ${port} }`),
        /^4 \/stable\/kubernetes\/port: expected .*(the name of the Service's port, such as http|a whole number from 1 to 65535|the number of the pods' port)/,
      );
    assert.match(
      await kubernetes('{ namespce: a, service: a, port: http }'),
      /unknown field "namespce"; did you mean "namespace"\?$/,
    );
    assert.match(await kubernetes('notes'), /^4 \/stable\/kubernetes: expected an object/);
  });

  it('is a DNS name that nobody takes for something else', () => {
    const right: [string, string, number | null][] = [
      ['notes.internal:8080', 'notes.internal', 8080],
      ['Notes.Internal.:8080', 'notes.internal', 8080],
      ['notes:1', 'notes', 1],
      ['_http._tcp.notes.internal', '_http._tcp.notes.internal', null],
    ];
    for (const [text, host, port] of right) assert.deepEqual(parseDnsName(text), { host, port });
    const wrong: [string, RegExp][] = [
      ['notes.internal', /has no port; expected notes\.internal:8080/],
      ['notes.internal:', /has no valid port/],
      ['notes.internal:0', /has no valid port/],
      ['notes.internal:65536', /has no valid port/],
      ['notes.internal:http', /has no valid port/],
      ['10.1.0.7:8080', /is an address and needs no DNS; list it: endpoints: \["10\.1\.0\.7:8080"\]/],
      ['[2001:db8::1]:80', /is an address/],
      ['2001:db8::1', /is an address/],
      ['0x7f.1:80', /could be read as an address/],
      ['2130706433:80', /could be read as an address/],
      ['http://notes:80', /holds no DNS name/],
      ['a..b:80', /holds no DNS name/],
      ['a b:80', /holds no DNS name/],
      [':80', /holds no DNS name/],
      [`${'a'.repeat(64)}:80`, /holds no DNS name/],
      ['_http._tcp.notes.internal:80', /has a port, but SRV records tell it/],
      ['_http.notes.internal', /begins like an SRV name but is none/],
    ];
    for (const [text, why] of wrong) {
      const said = parseDnsName(text);
      assert.ok(typeof said === 'string', text);
      assert.match(said, why);
    }
  });

  it('has names by which sources are known, and certificates are for the name that led to them', async () => {
    assert.equal(sourceName({ endpoints: [] }), 'listed');
    assert.equal(sourceName({}), 'listed');
    assert.equal(
      sourceName({ kubernetes: { namespace: 'a', service: 'b', port: 'http' } }),
      'kubernetes a/b:http',
    );
    assert.equal(sourceName({ kubernetes: { service: 'b', port: 80 } }), 'kubernetes b:80');
    assert.equal(sourceName({ dns: 'B.internal:80' }), 'dns b.internal:80');
    assert.equal(nameOf(targetOf({ dns: 'b.internal:80' })), 'b.internal');
    assert.equal(nameOf(targetOf({ dns: '_http._tcp.b.internal' })), 'b.internal');
    assert.equal(
      await fault('stable: { kubernetes: { service: notes, port: http }, tls: {} }'),
      "4 /stable/tls: pods are reached by their addresses, which no certificate has; say with serverName which name the pods' certificate is for, such as notes.notes.svc",
    );
    for (const tls of ['{ serverName: notes.notes.svc }', '{ insecureSkipVerify: true }'])
      assert.deepEqual(
        await faultsOf(
          withService(HOSTS, `stable: { kubernetes: { service: notes, port: http }, tls: ${tls} }`),
        ),
        [],
      );
  });
});

describe('how endpoints are discovered', () => {
  it('has defaults', () => {
    const { keepEmpty, startTimeout } = discoverySettings({
      discovery: { keepEmpty: '2m', startTimeout: '0s' },
    });
    assert.deepEqual([keepEmpty, startTimeout], [120_000, 0]);
    assert.deepEqual(discoverySettings({}), {
      keepEmpty: 60_000,
      startTimeout: 10_000,
      dnsServers: [],
      allowLoopback: false,
    });
  });

  it('names DNS servers by their addresses', async () => {
    assert.deepEqual(
      await faultsOf('discovery: { dnsServers: ["10.96.0.10:53", "[2001:db8::53]:5353"] }'),
      [],
    );
    assert.deepEqual(
      await faultsOf(
        'discovery: { dnsServers: ["10.96.0.10:53", "dns.internal:53", "10.96.0.10", "10.96.0.10:0"] }',
      ),
      [
        '1 /discovery/dnsServers/1: "dns.internal:53" is no address of a DNS server; expected an IP address with its port, such as 10.96.0.10:53',
        '1 /discovery/dnsServers/2: "10.96.0.10" has no port; expected 127.0.0.1:8080 or [::1]:8080',
        '1 /discovery/dnsServers/3: "10.96.0.10:0" is no address of a DNS server; expected an IP address with its port, such as 10.96.0.10:53',
      ],
    );
    assert.match(
      (await faultsOf('discovery: { keepEmtpy: 1s }')).join(),
      /unknown field "keepEmtpy"; did you mean "keepEmpty"\?/,
    );
    assert.match(
      (await faultsOf('kubernetes: { kubeconfig: "" }')).join(),
      /^1 \/kubernetes\/kubeconfig: expected a path/,
    );
  });

  it('is said in the configuration file alone', () => {
    for (const field of ['discovery', 'kubernetes', 'kubeconfig']) {
      const [first] = checkServiceDefinition({
        hosts: ['a'],
        stable: { endpoints: ['10.0.0.1:80'] },
        [field]: {},
      });
      assert.match(first?.detail ?? '', new RegExp(`unknown field "${field}"`));
    }
  });
});
