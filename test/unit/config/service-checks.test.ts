import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { faultsOf, load, withService } from './loading.ts';

const HOSTS = 'hosts: [a.example]';
const STABLE = "stable: { endpoints: ['10.1.0.7:8080'] }";

describe('a service', () => {
  const fault = async (...lines: string[]): Promise<string> => {
    const found = await faultsOf(withService(...lines));
    assert.equal(found.length, 1, found.join('\n'));
    return (found[0] ?? '').replace('/services/notes', '');
  };

  it('needs hosts and stable endpoints, and says where and how', async () => {
    assert.equal(
      await fault(STABLE),
      '2 : missing field "hosts" (the host names that the service answers to, such as ["notes.example.com"])',
    );
    assert.equal(
      await fault('hosts: []', STABLE),
      '3 /hosts: expected at least one entry (the host names that the service answers to, such as ["notes.example.com"]), got an empty list',
    );
    assert.equal(
      await fault(HOSTS),
      '2 : missing field "stable" (the version that runs now, such as { endpoints: ["10.1.0.7:8080"] })',
    );
    assert.equal(
      await fault(HOSTS, 'stable:'),
      '4 /stable: expected an object with "protocol", "endpoints", "kubernetes", "dns", "tls", "circuit" or "healthCheck" (the version that runs now, such as { endpoints: ["10.1.0.7:8080"] }), got null',
    );
    assert.equal(
      await fault(HOSTS, 'stable: {}'),
      '4 /stable: it names no endpoints; give one of endpoints: ["10.1.0.7:8080"], kubernetes: { service: notes, port: http }, dns: notes.internal:8080',
    );
    assert.equal(
      await fault(HOSTS, 'stable: { endpoints: [] }'),
      '4 /stable/endpoints: expected at least one entry (where the version runs, such as ["10.1.0.7:8080"]), got an empty list',
    );
    for (const canary of ['canary: {}', 'canary: { endpoints: [] }'])
      assert.deepEqual(await faultsOf(withService(HOSTS, STABLE, canary)), []);
  });

  it('hears of what this version cannot do, and what to do instead', async () => {
    assert.deepEqual(await faultsOf('admin: { tls: { cert: x } }'), [
      '1 /admin/tls: TLS is not available for this listener in this version; reach it over a loopback address or a tunnel',
    ]);
  });

  it('has host names in one of three shapes, each once', async () => {
    for (const [host, part] of [
      ['https://a.example', 'is not a host name; expected one without scheme and path'],
      ['a.example/x', 'is not a host name; expected one without scheme and path'],
      ['a.example:8080', 'has a port; hosts are matched without it'],
      ['"[::1]:80"', 'has a port; hosts are matched without it'],
      ['"a*.example"', 'has a "*" where none can be'],
      ['"*.*.example"', 'has a "*" where none can be'],
      ['a..example', 'is not a host name; expected notes.example.com, *.example.com or *'],
      ['"a b"', 'is not a host name; expected notes.example.com, *.example.com or *'],
      ['-a.example', 'is not a host name; expected notes.example.com, *.example.com or *'],
    ] as const) {
      assert.ok((await fault(`hosts: [${host}]`, STABLE)).includes(part), host);
    }
    assert.equal(
      await fault('hosts: [a.example, A.example.]', STABLE),
      '3 /hosts/1: "A.example." is listed twice, first at 0; remove one',
    );
    assert.deepEqual(
      await faultsOf(
        withService(
          'hosts: ["*", "*.a.example", A.example, "[2001:db8::1]", 10.0.0.1, under_score.example]',
          STABLE,
        ),
      ),
      [],
    );
  });

  it('has a path prefix in its normal form', async () => {
    for (const [prefix, part] of [
      ['notes', 'expected a path that begins with "/", got "notes"'],
      ['/a/../b', 'is not in its normal form; write /b'],
      ['/%7euser', 'is not in its normal form; write /~user'],
      ['/a//b', 'has an empty segment; write single slashes'],
      ['/a?b', 'is not a path; percent-encode'],
      ['/a%2', 'is not a path; percent-encode'],
      ['/é', 'is not a path; percent-encode'],
    ] as const) {
      const text = await fault(HOSTS, STABLE, `pathPrefix: '${prefix}'`);
      assert.ok(text.startsWith('5 /pathPrefix: ') && text.includes(part), text);
    }
    for (const prefix of ['/', '/notes', '/notes/', '/a%2Fb', '/a.b/c'])
      assert.deepEqual(await faultsOf(withService(HOSTS, STABLE, `pathPrefix: ${prefix}`)), []);
  });

  it('has an identity chain that makes sense', async () => {
    const chain = (text: string) => fault(HOSTS, STABLE, `identity: [${text}]`);
    assert.equal(
      await chain('{ fingerprint: true }, { header: x-user-id }'),
      '5 /identity/0: the fingerprint is always present, so no tier after it would count; move it to the end',
    );
    assert.equal(
      await chain('{ cookie: uid, mint: true }'),
      '5 /identity/0/mint: only the cookie serin_id is minted; write { cookie: serin_id, mint: true }, or leave out mint',
    );
    assert.equal(
      await chain('{ cookie: uid }, { cookie: uid }'),
      '5 /identity/1: the tier "cookie uid" is there already; remove one',
    );
    assert.equal(
      await chain('{ header: X-User }, { header: x-user }'),
      '5 /identity/1: the tier "header x-user" is there already; remove one',
    );
    assert.equal(
      await chain('{ cookie: serin_override }'),
      '5 /identity/0/cookie: the cookie "serin_override" is the proxy\'s own; expected a cookie of the application or serin_id',
    );
    assert.equal(
      await chain('{ header: Cookie }'),
      '5 /identity/0/header: the header "Cookie" cannot be an identity; expected one that names the user, such as x-user-id',
    );
    assert.equal(
      await chain('{ heder: x-user-id }'),
      '5 /identity/0/heder: unknown field "heder"; did you mean "header"?',
    );
    assert.equal(
      await chain(''),
      '5 /identity: expected at least one entry (where the identity of a user is found; the first tier present counts), got an empty list',
    );
    assert.match(await chain('{ header: "x user" }'), /expected the name of a request header, got "x user"/);
    assert.deepEqual(
      await faultsOf(
        withService(
          HOSTS,
          STABLE,
          'identity: [{ header: x-user-id }, { cookie: uid }, { cookie: serin_id, mint: true }, { fingerprint: true }]',
        ),
      ),
      [],
    );
  });

  it('sets cookies that browsers take', async () => {
    assert.equal(
      await fault(HOSTS, STABLE, 'cookies: { sameSite: None }'),
      '5 /cookies/sameSite: browsers refuse SameSite=None without Secure; add secure: always',
    );
    assert.equal(
      await fault(HOSTS, STABLE, 'cookies: { partitioned: true }'),
      '5 /cookies/partitioned: browsers refuse Partitioned without Secure; add secure: always',
    );
    assert.equal(
      await fault(HOSTS, STABLE, 'cookies: { sameSite: lax }'),
      '5 /cookies/sameSite: expected "Lax", "Strict" or "None", got "lax"; did you mean "Lax"?',
    );
    assert.deepEqual(
      await faultsOf(
        withService(HOSTS, STABLE, 'cookies: { sameSite: None, secure: always, partitioned: true }'),
      ),
      [],
    );
  });

  it('is warned of where both variants have an endpoint', async () => {
    const { warnings } = await load({
      text: withService(
        HOSTS,
        "stable: { endpoints: ['10.1.0.7:1', '10.1.0.8:1'] }",
        "canary: { endpoints: ['10.1.0.9:1', '[::ffff:10.1.0.8]:1'] }",
      ),
    });
    assert.deepEqual(
      warnings.map(({ pointer }) => pointer),
      ['/services/notes/canary/endpoints/1'],
    );
    assert.match(warnings[0]?.detail ?? '', /is an endpoint of stable too/);
  });

  it('has endpoints that can be connected to, each once', async () => {
    for (const [one, other] of [
      ['10.1.0.7:1', '[::ffff:10.1.0.7]:1'],
      ['[2001:db8::7]:1', '[2001:DB8:0::7]:1'],
      ['[::1]:1', '{ address: "[0:0:0:0:0:0:0:1]:1", weight: 2 }'],
    ] as const) {
      assert.match(
        await fault(
          HOSTS,
          `stable: { endpoints: ["${one}", ${other.startsWith('{') ? other : `"${other}"`}] }`,
        ),
        /^4 \/stable\/endpoints\/1(\/address)?: .* is listed twice, first at 0; remove one$/,
      );
    }
    assert.match(
      await fault(HOSTS, "stable: { endpoints: ['a:1', 'A:1'] }"),
      /^4 \/stable\/endpoints\/1: "A:1" is listed twice, first at 0; remove one$/,
    );
    assert.match(
      await fault(HOSTS, STABLE, "canary: { endpoints: ['169.254.169.254:80'] }"),
      /^5 \/canary\/endpoints\/0: .* is a link-local address, which is refused/,
    );
  });

  it('has a mirror and limits that make sense', async () => {
    const mirror = (text: string): Promise<string> => fault(HOSTS, STABLE, `mirror: ${text}`);
    assert.equal(
      await mirror('{}'),
      '5 /mirror: missing field "percentage" (percent of the requests of stable)',
    );
    assert.equal(
      await mirror('{ percentage: 101 }'),
      '5 /mirror/percentage: expected a number from 0 to 100, got 101',
    );
    assert.equal(
      await mirror('{ percentage: 5, methods: [get] }'),
      '5 /mirror/methods/0: expected "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH" or "DELETE", got "get"; did you mean "GET"?',
    );
    assert.equal(
      await mirror('{ percentage: 5, timeout: 0s }'),
      '5 /mirror/timeout: with 0s no answer would come in time; expected a duration above 0, such as 10s',
    );
    assert.equal(
      await mirror('{ percentage: 5, maxConcurent: 7 }'),
      '5 /mirror/maxConcurent: unknown field "maxConcurent"; did you mean "maxConcurrent"?',
    );
    assert.equal(
      await fault(HOSTS, STABLE, 'limits: { requests: 0 }'),
      '5 /limits/requests: expected a whole number from 1 to 10000000, got 0',
    );
    assert.equal(
      await fault(HOSTS, STABLE, 'limits: { tunnel: 1 }'),
      '5 /limits/tunnel: unknown field "tunnel"; did you mean "tunnels"?',
    );
    assert.deepEqual(await faultsOf('proxy: { limits: { latches: 10 } }'), [
      '1 /proxy/limits/latches: expected a whole number from 1000 to 10000000, got 10',
    ]);
    assert.deepEqual(await faultsOf('proxy: { limits: { memory: 1GB } }'), [
      '1 /proxy/limits/memory: expected "auto", "off" or a whole number of at least 1048576, got the string "1GB"',
    ]);
  });

  it('has a name that URLs, cookies and metrics can hold', async () => {
    for (const name of ['Notes', 'no tes', '-notes', 'notes-', 'n'.repeat(64), 'a_b']) {
      const [one = ''] = await faultsOf(
        `services:\n  "${name}": { hosts: [a], stable: { endpoints: ['b:1'] } }`,
      );
      assert.match(
        one,
        /^2 .*the name ".*" is not valid; expected a name of at most 63 lower-case letters, digits and inner hyphens/,
      );
    }
    const [proto = ''] = await faultsOf(
      'services:\n  __proto__: { hosts: [a], stable: { endpoints: ["b:1"] } }',
    );
    assert.match(proto, /__proto__/);
  });

  it('shares no place with another', async () => {
    const two = (a: string, b: string) =>
      `services:\n  one: { ${a}, stable: { endpoints: ['a:1'] } }\n  two: { ${b}, stable: { endpoints: ['b:1'] } }`;
    assert.deepEqual(await faultsOf(two('hosts: [a.example]', 'hosts: [b.example, A.EXAMPLE.]')), [
      '3 /services/two/hosts/1: the service "one" answers to A.EXAMPLE. under / already; change the host or the pathPrefix of one',
    ]);
    assert.equal(
      (await faultsOf(two('hosts: ["*"], pathPrefix: /x', 'hosts: ["*"], pathPrefix: /x/'))).length,
      1,
    );
    assert.deepEqual(
      await faultsOf(two('hosts: [a.example], pathPrefix: /x', 'hosts: [a.example], pathPrefix: /y')),
      [],
    );
    assert.deepEqual(await faultsOf(two('hosts: [a.example]', 'hosts: ["*.example"]')), []);
  });
});
