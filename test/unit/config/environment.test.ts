import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SETTINGS } from '../../../src/config/environment.ts';
import { faultsOf, load } from './loading.ts';

describe('environment variables', () => {
  it('override single values, and make what is not there', async () => {
    const { configuration } = await load({
      text: 'proxy: { listen: 127.0.0.1:1, workers: 2 }',
      env: {
        SERIN_PROXY_LISTEN: '127.0.0.1:7',
        SERIN_PROXY_WORKERS: 'auto',
        SERIN_PROXY_LIMITS_HEAD: '65536',
        SERIN_PROXY_TIMEOUTS_KEEP_ALIVE: '5s',
        SERIN_ADMIN_PUBLIC_URL: 'https://canary.example.com',
        SERIN_TRUSTED_PROXIES: '10.0.0.0/24, 10.0.1.0/24',
        SERIN_FOLLOW_PEERS: '',
        SERIN_STORE_FILE: '/var/lib/serin',
        SERIN_LOG_PRETTY: 'true',
        SERIN_ACCESS_LOG_PERCENTAGE: '2.5',
        PATH: '/bin',
      },
    });
    assert.deepEqual(configuration, {
      proxy: {
        listen: '127.0.0.1:7',
        workers: 'auto',
        limits: { head: 65536 },
        timeouts: { keepAlive: '5s' },
      },
      admin: { publicUrl: 'https://canary.example.com' },
      trustedProxies: ['10.0.0.0/24', '10.0.1.0/24'],
      followPeers: [],
      store: { file: '/var/lib/serin', historyBytes: 67_108_864 },
      secretFile: '/var/lib/serin/secret',
      log: { pretty: true },
      accessLog: { percentage: 2.5 },
    });
    const { configuration: two } = await load({ text: 'ops: {}', env: { SERIN_PROXY_WORKERS: '3' } });
    assert.deepEqual(two.proxy, { workers: 3 });
  });

  it('with a bad value are named in the fault', async () => {
    const fault = async (name: string, value: string) =>
      (await faultsOf({ text: 'ops: {}', env: { [name]: value } })).join('\n');
    assert.equal(
      await fault('SERIN_PROXY_LISTEN', 'x'),
      '- /proxy/listen: the environment variable SERIN_PROXY_LISTEN: "x" has no port; expected 127.0.0.1:8080 or [::1]:8080',
    );
    assert.equal(
      await fault('SERIN_PROXY_WORKERS', '0'),
      '- /proxy/workers: the environment variable SERIN_PROXY_WORKERS: expected a whole number from 1 to 256, got 0',
    );
    assert.equal(
      await fault('SERIN_PROXY_LIMITS_HEAD', '1e4'),
      '- /proxy/limits/head: the environment variable SERIN_PROXY_LIMITS_HEAD: expected a whole number from 1024 to 4194304, got the string "1e4"',
    );
    assert.equal(
      await fault('SERIN_ACCESS_LOG_PERCENTAGE', 'NaN'),
      '- /accessLog/percentage: the environment variable SERIN_ACCESS_LOG_PERCENTAGE: expected a number from 0 to 100, got the string "NaN"',
    );
    assert.equal(
      await fault('SERIN_LOG_PRETTY', 'yes'),
      '- /log/pretty: the environment variable SERIN_LOG_PRETTY: expected true or false, got the string "yes"',
    );
    assert.match(
      await fault('SERIN_TRUSTED_PROXIES', '10.0.0.0/24,x'),
      /^- \/trustedProxies\/1: the environment variable SERIN_TRUSTED_PROXIES: "x" is not a network/,
    );
  });

  it('that name no setting are refused, with the nearest that does', async () => {
    const fault = async (name: string) =>
      (await faultsOf({ text: 'ops: {}', env: { [name]: 'x' } })).join('\n');
    assert.equal(
      await fault('SERIN_PROXY_LISTN'),
      '- : the environment variable SERIN_PROXY_LISTN overrides no setting; did you mean SERIN_PROXY_LISTEN?',
    );
    assert.equal(
      await fault('SERIN_WHATEVER'),
      '- : the environment variable SERIN_WHATEVER overrides no setting; docs/configuration.md lists those there are',
    );
  });

  it('that others read are left alone', async () => {
    const env = {
      SERIN_URL: 'http://x',
      SERIN_TOKEN: 'x',
      SERIN_CONFIG: 'x',
      SERIN_TOKEN_OF_A_TOKEN_THAT_WAS_REMOVED: 'x',
      // What Kubernetes sets for Services named serin, serin-admin and serin-proxy.
      SERIN_SERVICE_HOST: '10.0.0.1',
      SERIN_SERVICE_PORT: '80',
      SERIN_SERVICE_PORT_HTTP: '80',
      SERIN_PORT: 'tcp://10.0.0.1:80',
      SERIN_PORT_80_TCP: 'tcp://10.0.0.1:80',
      SERIN_PORT_80_TCP_PROTO: 'tcp',
      SERIN_PORT_80_TCP_PORT: '80',
      SERIN_PORT_80_TCP_ADDR: '10.0.0.1',
      SERIN_ADMIN_SERVICE_HOST: '10.0.0.2',
      SERIN_PROXY_PORT: 'tcp://10.0.0.3:80',
    };
    assert.deepEqual(await faultsOf({ text: 'ops: {}', env }), []);
    const text = 'admin: { tokens: [{ name: a, role: admin, env: SERIN_MINE }] }';
    assert.deepEqual(await faultsOf({ text, env: { SERIN_MINE: '0123456789abcdef' } }), []);
  });

  it('do not hide that the file is wrong in their place', async () => {
    assert.deepEqual(await faultsOf({ text: 'proxy: 5', env: { SERIN_PROXY_LISTEN: '127.0.0.1:7' } }), [
      '1 /proxy: expected an object with "listen", "workers", "limits", "timeouts", "tls", "proxyProtocol", "sharePort", "http2" or "drain", got the number 5',
    ]);
    assert.equal((await faultsOf({ text: '- 5', env: { SERIN_PROXY_LISTEN: '127.0.0.1:7' } })).length, 1);
  });

  it('are all different', () => {
    assert.equal(new Set(SETTINGS.map((setting) => setting.variable)).size, SETTINGS.length);
    assert.ok(SETTINGS.length > 20);
  });
});
