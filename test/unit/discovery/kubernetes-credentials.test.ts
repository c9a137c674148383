import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { readKubeconfig } from '../../../src/discovery/kubernetes/kubeconfig.ts';
import { createKubernetesApi } from '../../../src/discovery/kubernetes/api.ts';
import { SourceError } from '../../../src/discovery/source.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { sliceOf, startKubeApi } from '../../support/kube-api.ts';
import { credentialsOf } from './following.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function config(parts: { user?: object; cluster?: object; context?: object; more?: object } = {}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    contexts: [{ name: 'one', context: { cluster: 'c', user: 'u', ...parts.context } }],
    clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...parts.cluster } }],
    users: [{ name: 'u', user: { token: 'secret-token', ...parts.user } }],
    ...parts.more,
  });
}
const read = (text: string | Uint8Array, context: string | null = null) =>
  readKubeconfig([{ file: '/home/a/.kube/config', bytes: Buffer.from(text) }], context);
const refusal = (text: string, context: string | null = null): string => {
  try {
    read(text, context);
  } catch (error) {
    assert.ok(error instanceof SourceError && error.reason === 'credentials', String(error));
    assert.ok(!error.message.includes('secret'), 'no secret in a message');
    return error.message;
  }
  return assert.fail('it was taken');
};

describe('a kubeconfig', () => {
  it('says where the API server is and what it is shown', () => {
    assert.deepEqual(read(config()), {
      server: 'https://10.0.0.1:6443',
      namespace: 'default',
      ca: null,
      serverName: null,
      verify: true,
      token: { text: 'secret-token' },
      certificate: null,
      key: null,
    });
    const full = config({
      context: { namespace: 'notes' },
      cluster: {
        server: 'https://kube.example.com/clusters/a/',
        'certificate-authority-data': base64('CA'),
        'certificate-authority': 'ignored.crt',
        'tls-server-name': 'kubernetes',
        'insecure-skip-tls-verify': true,
      },
      user: { tokenFile: 'token', 'client-certificate': '../serin.crt', 'client-key-data': base64('KEY') },
    });
    assert.deepEqual(read(full), {
      server: 'https://kube.example.com/clusters/a',
      namespace: 'notes',
      ca: { text: 'CA' },
      serverName: 'kubernetes',
      verify: false,
      token: { file: '/home/a/.kube/token' },
      certificate: { file: '/home/a/serin.crt' },
      key: { text: 'KEY' },
    });
    assert.equal(
      read(config({ cluster: { server: 'http://127.0.0.1:8001' } })).server,
      'http://127.0.0.1:8001',
    );
  });

  it('has contexts, also in several files; what comes first counts', () => {
    const two = stringify({
      contexts: [{ name: 'two', context: { cluster: 'c', user: 'other', namespace: 'second' } }],
      clusters: [{ name: 'c', cluster: { server: 'https://never:1' } }],
      users: [{ name: 'other', user: { token: 'second' } }],
      'current-context': 'two',
    });
    const files = [
      { file: '/a/one', bytes: Buffer.from(config()) },
      { file: '/b/two', bytes: Buffer.from(two) },
    ];
    assert.deepEqual(readKubeconfig(files, null).token, { text: 'secret-token' });
    const { namespace, server, token } = readKubeconfig(files, 'two');
    assert.deepEqual([namespace, server, token], ['second', 'https://10.0.0.1:6443', { text: 'second' }]);
    assert.equal(
      refusal(config(), 'three'),
      '/home/a/.kube/config: there is no context "three" among its contexts, only one',
    );
    assert.equal(
      refusal(config({ more: { 'current-context': '' } })),
      '/home/a/.kube/config: there is no current-context; name one with kubernetes.context',
    );
    assert.match(refusal(config({ more: { clusters: [] } })), /there is no cluster "c" among its clusters$/);
    assert.match(
      refusal(config({ context: { user: 'x' } })),
      /there is no user "x" among its users, only u$/,
    );
  });

  it('runs no programs, and says what to use instead', () => {
    assert.equal(
      refusal(config({ user: { exec: { command: 'aws', args: ['secret'] } } })),
      '/home/a/.kube/config: the user "u" gets its credentials from a program (exec), which Serin does not run; use a ServiceAccount\'s token: token, tokenFile, or a client certificate',
    );
    assert.match(
      refusal(config({ user: { 'auth-provider': { name: 'gcp' } } })),
      /from a program \(auth-provider\)/,
    );
    assert.match(refusal(config({ user: { username: 'a', password: 'secret' } })), /has a password/);
    assert.match(refusal(config({ user: { as: 'root' } })), /acts as somebody else/);
    assert.match(refusal(config({ cluster: { 'proxy-url': 'http://secret@proxy' } })), /by a proxy/);
    assert.match(refusal(config({ user: { 'client-key-data': base64('secret') } })), /a key without one/);
  });

  it('names a server that is reached in a safe way', () => {
    assert.match(refusal(config({ cluster: { server: 'http://10.0.0.1:8080' } })), /not reached by https/);
    assert.match(
      refusal(config({ cluster: { server: 'https://a:secret@10.0.0.1' } })),
      /has a password in its URL/,
    );
    for (const server of ['', '10.0.0.1:6443', 'kubernetes', 7])
      assert.match(refusal(config({ cluster: { server } })), /no URL|not reached by https/);
  });

  it('ends in a sentence when it is hostile', () => {
    const bomb = `a0: &a0 [x]\n${Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${'*a' + n + ','.repeat(0)}, *a${n}, *a${n}, *a${n}, *a${n}, *a${n}, *a${n}]`).join('\n')}\nclusters: [*a12]`;
    for (const text of [
      '',
      '[]',
      'x',
      '\0',
      'a: [',
      bomb,
      '['.repeat(100_000),
      'clusters: 7',
      'a: !!js/function x',
      'clusters: [{name: c}, null, 7]\ncurrent-context: c',
    ])
      assert.ok(refusal(text).startsWith('/home/a/.kube/config'));
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom('contexts', 'clusters', 'users', 'current-context', 'user', 'cluster', 'context'),
        (value, where) => {
          const text = ['user', 'cluster', 'context'].includes(where)
            ? config({
                [where]:
                  typeof value === 'object' && value !== null
                    ? value
                    : { token: value, server: value, user: value },
              })
            : config({ more: { [where]: value } });
          try {
            read(text);
          } catch (error) {
            assert.ok(error instanceof SourceError, String(error));
          }
        },
      ),
    );
  });
});

describe('credentials', () => {
  it('of a pod are its token, authority and namespace; the token is read again every minute', async () => {
    const api = await startKubeApi();
    const files: Record<string, string> = {
      '/sa/token': 'first\n',
      '/sa/ca.crt': api.ca,
      '/sa/namespace': 'notes\n',
    };
    let now = 0;
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(api.port) };
    const credentials = credentialsOf(() => '', {
      kubeconfig: null,
      env,
      serviceAccount: '/sa',
      readFile: async (file) => Buffer.from(files[file] ?? assert.fail(file)),
      monotonicNow: () => now,
    });
    try {
      api.put('notes', 'notes', 'notes-1', sliceOf(['10.0.0.1'], 80));
      const reader = createKubernetesApi({ credentials, random: () => 0 });
      const { signal } = new AbortController();
      const subject = { namespace: null, service: 'notes' };
      assert.equal((await reader.list(subject, '', signal)).slices.length, 1, 'in its own namespace');
      files['/sa/token'] = 'second\n';
      await reader.list(subject, '', signal);
      now = 61_000;
      await reader.list(subject, '', signal);
      assert.deepEqual(
        api.requests.map(({ token }) => token),
        ['first', 'first', 'second'],
      );
      const [, v6] = await Promise.all([
        credentials.get(),
        credentialsOf(() => '', {
          kubeconfig: null,
          env: { ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' },
          serviceAccount: '/sa',
          readFile: async () => Buffer.from('x'),
        }).get(),
      ]);
      assert.equal(v6.server, `https://[fd00::1]:${api.port}`);
    } finally {
      await credentials.close();
      await api.close();
    }
  });

  it('come from KUBECONFIG where the configuration names none, before those of the pod', async () => {
    const asked: string[] = [];
    const credentials = credentialsOf(() => '', {
      kubeconfig: null,
      env: { KUBECONFIG: '/a:/b', KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' },
      readFile: async (file) => {
        asked.push(file);
        return Buffer.from(config());
      },
    });
    assert.equal((await credentials.get()).server, 'https://10.0.0.1:6443');
    assert.deepEqual(asked, ['/a', '/b']);
    await credentials.close();
  });

  it('say what is missing, and are tried again', async () => {
    const nothing = credentialsOf(() => '', { kubeconfig: null, env: {} });
    await assert.rejects(nothing.get(), {
      reason: 'credentials',
      message:
        'Serin runs in no pod (KUBERNETES_SERVICE_HOST is not set), and no kubeconfig is named; set kubernetes.kubeconfig or KUBECONFIG',
    });
    let there = false;
    const missing = credentialsOf(() => {
      if (there) return config();
      throw Object.assign(new Error('no'), { code: 'ENOENT' });
    });
    await assert.rejects(missing.get(), {
      message: 'cannot read the kubeconfig from /etc/kubeconfig: there is no such file',
    });
    there = true;
    assert.equal((await missing.get()).token, 'secret-token');
    const broken = credentialsOf(() => config({ user: { token: 'two\nlines' } }));
    await assert.rejects(broken.get(), {
      message: 'the token holds characters that no token has; expected one line of visible ASCII',
    });
  });

  it('may be a client certificate', async () => {
    const authority = makeAuthority('Test cluster');
    const server = authority.issue(['127.0.0.1']);
    const client = authority.issue(['serin']);
    const seen: string[] = [];
    const listener = createServer(
      {
        cert: server.certificate,
        key: server.key,
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
      },
      (request, response) => {
        seen.push(String((request.socket as TLSSocket).getPeerCertificate().subject.CN));
        response.end(
          JSON.stringify({ kind: 'EndpointSliceList', metadata: { resourceVersion: '1' }, items: [] }),
        );
      },
    ).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const credentials = credentialsOf(() =>
      config({
        cluster: {
          server: `https://127.0.0.1:${(listener.address() as AddressInfo).port}`,
          'certificate-authority-data': base64(authority.certificate),
        },
        user: {
          'client-certificate-data': base64(client.certificate),
          'client-key-data': base64(client.key),
        },
      }),
    );
    try {
      const api = createKubernetesApi({ credentials, random: () => 0 });
      await api.list({ namespace: 'a', service: 'b' }, '', new AbortController().signal);
      assert.deepEqual(seen, ['serin']);
    } finally {
      await credentials.close();
      listener.close();
    }
  });
});
