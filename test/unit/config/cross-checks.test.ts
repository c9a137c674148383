import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { faultsOf, load, shown } from './loading.ts';

describe('listeners and the admin API', () => {
  it('an address that others can reach needs tokens, and says which setting', async () => {
    for (const listen of ['0.0.0.0:9090', '"[::]:9090"', '10.0.0.1:9090', 'admin.example:9090']) {
      const [fault = '', ...more] = await faultsOf(`admin: { listen: ${listen} }`);
      assert.match(
        fault,
        /^1 \/admin\/listen: .* can be reached from other machines, so the API needs tokens; set admin\.tokens, or listen on 127\.0\.0\.1$/,
      );
      assert.deepEqual(more, []);
      const tokens = `tokens: [{ name: a, role: admin, sha256: ${'a'.repeat(64)} }]`;
      assert.deepEqual(await faultsOf(`admin: { listen: ${listen}, ${tokens} }`), []);
    }
    for (const listen of [
      '127.0.0.1:9090',
      '127.9.9.9:1',
      '"[::1]:9090"',
      'localhost:9090',
      '"[::ffff:127.0.0.1]:9090"',
    ]) {
      assert.deepEqual(await faultsOf(`admin: { listen: ${listen} }`), [], listen);
    }
  });

  it('two listeners on one address', async () => {
    assert.deepEqual(await faultsOf('proxy: { listen: 127.0.0.1:9090 }'), [
      '1 /admin/listen: 127.0.0.1:9090 is taken by proxy.listen; give each listener its own port',
    ]);
    assert.deepEqual(await faultsOf('ops: { listen: 0.0.0.0:9090 }'), [
      '1 /ops/listen: 0.0.0.0:9090 is taken by admin.listen; give each listener its own port',
    ]);
    assert.deepEqual(
      await faultsOf(
        'proxy: { listen: 127.0.0.1:0 }\nadmin: { listen: 127.0.0.1:0 }\nops: { listen: 127.0.0.1:0 }',
      ),
      [],
    );
    assert.deepEqual(await faultsOf('proxy: { listen: 127.0.0.2:9090 }'), []);
  });

  it('a public URL is scheme and host', async () => {
    const wrong = [
      'https://a.example/path',
      'https://a.example?x',
      'https://u:p@a.example',
      'https://',
      'https://a.example/#x',
    ];
    for (const url of wrong) {
      assert.deepEqual(await faultsOf(`admin: { publicUrl: '${url}' }`), [
        '1 /admin/publicUrl: expected scheme and host only, such as https://canary.example.com',
      ]);
    }
    assert.deepEqual(await faultsOf('admin: { publicUrl: ftp://a.example }'), [
      '1 /admin/publicUrl: expected a URL such as https://canary.example.com, got "ftp://a.example"',
    ]);
    for (const url of ['https://a.example', 'http://a.example:8443/'])
      assert.deepEqual(await faultsOf(`admin: { publicUrl: '${url}' }`), []);
  });

  it('limits that contradict each other', async () => {
    assert.deepEqual(await faultsOf('proxy: { limits: { head: 4096 } }'), [
      '1 /proxy/limits/head: a request line of 8192 bytes does not fit into a head of 4096; expected requestLine to be at most head',
    ]);
    assert.deepEqual(await faultsOf('proxy: { limits: { requestLine: 65536 } }'), [
      '1 /proxy/limits/requestLine: a request line of 65536 bytes does not fit into a head of 32768; expected requestLine to be at most head',
    ]);
    assert.deepEqual(await faultsOf('proxy: { limits: { head: 4096, requestLine: 4096 } }'), []);
  });
});

describe('what is allowed but unwise is a warning', () => {
  it('a segment inside the trusted proxies, and trusting everybody', async () => {
    const { warnings } = await load({
      text: 'trustedProxies: [10.0.0.0/8, "::/0"]\nsegments:\n  far: [203.0.113.0/24]\n  office: [10.9.0.0/16]\n',
    });
    assert.deepEqual(
      warnings.map((one) => shown(one)),
      [
        "1 /trustedProxies/1: ::/0 trusts everybody's X-Forwarded-For, so any user can claim any address; name only your own proxies",
        '4 /segments/office: the segment "office" overlaps with trustedProxies: its users could claim any address by X-Forwarded-For; narrow one of them',
      ],
    );
  });
});

describe('TLS and the PROXY protocol', () => {
  const pair = '{ certificate: a.crt, key: a.key }';
  const service = (variant: string) =>
    `services:\n  notes:\n    hosts: ['*']\n    stable:\n      endpoints: ['10.0.0.1:80']\n      tls: ${variant}`;

  it('need files, a version in quotes and a port of their own', async () => {
    const fault = async (tls: string) => (await faultsOf(`proxy: { tls: ${tls} }`)).join('\n');
    assert.match(await fault('{}'), /^1 \/proxy\/tls: .*"certificates"/);
    assert.match(await fault('{ certificates: [] }'), /^1 \/proxy\/tls\/certificates: .*at least (one|1)/);
    assert.match(
      await fault('{ certificates: [{ certificate: a.crt }] }'),
      /\/proxy\/tls\/certificates\/0: .*"key"/,
    );
    assert.match(
      await fault(`{ certificates: [${pair}], minVersion: 1.2 }`),
      /\/minVersion: expected "1\.2" or "1\.3", got 1\.2$/,
    );
    assert.match(
      await fault(`{ certificates: [${pair}], minVersion: '1.1' }`),
      /\/minVersion: .*"1\.2" or "1\.3"/,
    );
    assert.match(await fault(`{ certificates: [${pair}], clientCA: x }`), /did you mean "clientCa"/);
    assert.equal(
      await fault(`{ certificates: [${pair}], listen: 127.0.0.1:8080 }`),
      '1 /proxy/tls/listen: 127.0.0.1:8080 is taken by proxy.listen; give each listener its own port',
    );
    assert.match(
      await fault(`{ certificates: [${pair}], listen: nowhere }`),
      /^1 \/proxy\/tls\/listen: "nowhere" has no port/,
    );
    assert.equal(await fault(`{ certificates: [${pair}], listen: 127.0.0.1:8443 }`), '');
  });

  it('to endpoints: a certificate with its key, and no authority where nobody is checked', async () => {
    const fault = async (tls: string) => (await faultsOf(service(tls))).join('\n');
    assert.equal(await fault('{}'), '');
    assert.equal(
      await fault('{ certificate: a.crt }'),
      '6 /services/notes/stable/tls/certificate: a certificate is of no use alone; add the key',
    );
    assert.equal(
      await fault('{ key: a.key }'),
      '6 /services/notes/stable/tls/key: a key is of no use alone; add the certificate',
    );
    assert.match(await fault('{ ca: a.crt, insecureSkipVerify: true }'), /ca would say nothing; remove one$/);
    assert.match(
      await fault('{}\n      protocol: h2c'),
      /^7 \/services\/notes\/stable\/protocol: h2c is HTTP\/2 without TLS/,
    );
    assert.match(await fault('{ serverName: "a b" }'), /\/serverName: expected a host name/);
    const { warnings } = await load({ text: service('{ insecureSkipVerify: true }') });
    assert.match(
      warnings.map(shown).join(),
      /^6 \/services\/notes\/stable\/tls\/insecureSkipVerify: .*anybody on the way/,
    );
  });

  it('headers are believed from networks that are named, and not from everybody without a warning', async () => {
    assert.match((await faultsOf('proxy: { proxyProtocol: {} }')).join(), /\/proxy\/proxyProtocol: .*"from"/);
    assert.match(
      (await faultsOf('proxy: { proxyProtocol: { from: [] } }')).join(),
      /\/from: .*at least (one|1)/,
    );
    assert.match(
      (await faultsOf('proxy: { proxyProtocol: { from: [10.0.0.1/99] } }')).join(),
      /^1 \/proxy\/proxyProtocol\/from\/0: /,
    );
    const { warnings, networks } = await load({ text: 'proxy: { proxyProtocol: { from: [0.0.0.0/0] } }' });
    assert.match(warnings.map(shown).join(), /^1 \/proxy\/proxyProtocol\/from\/0: .*takes everybody's word/);
    assert.equal(networks.proxyProtocol.size, 1);
  });
});
