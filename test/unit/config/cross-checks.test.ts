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
