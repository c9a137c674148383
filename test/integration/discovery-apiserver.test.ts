/**
 * Serin at a real kube-apiserver, with the rights that docs/discovery.md names and the token of a ServiceAccount. The endpoints that it
 * finds are never asked anything: an API server takes no loopback addresses.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { type ApiServer, missingApiServer, startApiServer } from '../support/apiserver.ts';
import { eventually } from '../support/bounded.ts';
import { endpointOf, type SliceSpec } from '../support/kube-api.ts';
import { kubeconfigOf } from '../support/kubeconfig.ts';
import { type Serin, startSerin } from '../support/serin.ts';

const SLICES = '/apis/discovery.k8s.io/v1/namespaces/notes/endpointslices';
const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/notes';
const SOURCE = 'kubernetes notes/notes:http';
const NOT_READY = { ready: false, serving: false, terminating: false };
const missing = missingApiServer();

describe('Serin at a real API server', missing === null ? {} : { skip: missing }, () => {
  let directory: string;
  let api: ApiServer;
  let serin: Serin;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'serin-real-'));
    api = await startApiServer();
    for (const name of ['notes', 'serin'])
      await api.call('POST', '/api/v1/namespaces', { metadata: { name } });
    await api.call('POST', '/api/v1/namespaces/serin/serviceaccounts', { metadata: { name: 'serin' } });
    await newToken();
    const user = { tokenFile: 'token' };
    await writeFile(
      join(directory, 'kubeconfig'),
      kubeconfigOf({ server: api.url, ca: api.ca, user, namespace: 'notes' }),
    );
    await slice('notes-1', [endpointOf('10.1.0.1'), endpointOf('10.1.0.2')]);
    serin = await startSerin({
      readyWithin: 150_000,
      configuration: {
        discovery: { keepEmpty: '5s', startTimeout: '1s' },
        kubernetes: { kubeconfig: join(directory, 'kubeconfig') },
      },
      services: {
        notes: {
          hosts: ['*'],
          stable: { kubernetes: { namespace: 'notes', service: 'notes', port: 'http' } },
        },
        here: { hosts: ['here.test'], stable: { kubernetes: { service: 'notes', port: 8080 } } },
      },
    });
  });
  after(async () => {
    await serin?.stop();
    await api?.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  /** A new token for Serin's ServiceAccount, in the file that its kubeconfig names. */
  async function newToken(): Promise<void> {
    const path = '/api/v1/namespaces/serin/serviceaccounts/serin/token';
    const { status } = await api.call('POST', path, { spec: { expirationSeconds: 3600 } });
    await writeFile(join(directory, 'token'), (status as { token: string }).token);
  }

  async function slice(name: string, endpoints: SliceSpec['endpoints'], more: object = {}): Promise<void> {
    const labels = { 'kubernetes.io/service-name': 'notes' };
    await api.call('POST', SLICES, {
      metadata: { name, labels },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints,
      ...more,
    });
  }
  const patch = (name: string, value: object): Promise<unknown> =>
    api.call('PATCH', `${SLICES}/${name}`, value, 'application/merge-patch+json');

  async function stable(service = 'notes'): Promise<string[]> {
    const { body } = await serin.admin('GET', '/v1/endpoints');
    const { endpoints } = body as { endpoints: { service: string; address: string }[] };
    return endpoints.filter((one) => one.service === service).map(({ address }) => address);
  }
  const says = (expected: readonly string[], what: string, service?: string) =>
    eventually(
      async () => JSON.stringify(await stable(service)) === JSON.stringify(expected),
      what,
      20_000,
      20,
    );
  const metric = (name: string, labels: Record<string, string> = {}) =>
    serin.metric(name, { source: SOURCE, ...labels });

  it('has no rights at first, and says which are missing', async () => {
    await eventually(
      async () => (await metric('serin_discovery_errors_total', { reason: 'forbidden' })) > 0,
      'a refusal',
    );
    assert.match(
      serin.output(),
      /endpointslices\.discovery\.k8s\.io is forbidden: User \\"system:serviceaccount:serin:serin\\" cannot list resource.*grant it with a Role in the namespace notes/,
    );
    assert.deepEqual(await stable(), []);
  });

  it('follows with the rights that the documentation names, and no others', async () => {
    const text = await readFile(join(import.meta.dirname, '../../docs/discovery.md'), 'utf8');
    const block = [...text.matchAll(/```yaml\n(.*?)```/gs)]
      .map(([, yaml = '']) => yaml)
      .find((yaml) => yaml.includes('RoleBinding'));
    for (const document of parseAllDocuments(block ?? '')) {
      const value = document.toJS() as { kind: string };
      await api.call('POST', `${RBAC}/${value.kind.toLowerCase()}s`, value);
    }
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'the endpoints');
    // It is a source of its own, which tries again when its own pause is over.
    await says(['10.1.0.1:8080', '10.1.0.2:8080'], 'by number, in the namespace of the context', 'here');
    await eventually(async () => (await metric('serin_discovery_synced')) === 1, 'a source in step');
  });

  it('sees pods come, turn unready, terminate and go', async () => {
    await slice('notes-2', [endpointOf('10.1.0.3')], { ports: [{ name: 'http', port: 9090 }] });
    await says(['10.1.0.1:8080', '10.1.0.2:8080', '10.1.0.3:9090'], 'another slice');
    await patch('notes-1', { endpoints: [endpointOf('10.1.0.1'), endpointOf('10.1.0.2', NOT_READY)] });
    await says(['10.1.0.1:8080', '10.1.0.3:9090'], 'one that is not ready');
    await patch('notes-2', { metadata: { labels: { 'kubernetes.io/service-name': 'other' } } });
    await says(['10.1.0.1:8080'], 'a slice of another Service');
    await slice('notes-6', [endpointOf('2001:db8::1')], { addressType: 'IPv6' });
    await patch('notes-1', {
      endpoints: [endpointOf('10.1.0.1', { ready: false, serving: true, terminating: true })],
    });
    await says(['10.1.0.1:8080'], 'the last one, which terminates');
    await patch('notes-1', { endpoints: [endpointOf('10.1.0.1', NOT_READY)] });
    await says(['[2001:db8::1]:8080'], 'the other family');
    await api.call('DELETE', `${SLICES}/notes-6`);
    await patch('notes-1', { endpoints: null });
    await eventually(async () => (await metric('serin_discovery_holding')) === 1, 'the alarm');
    await says([], 'nothing, after a while');
    await patch('notes-1', { endpoints: [endpointOf('10.1.0.1')] });
    await says(['10.1.0.1:8080'], 'one again');
    assert.equal(await metric('serin_discovery_reads_total'), 1, 'all of it by one watch');
  });

  it('lists more slices than fit on a page, after versions were forgotten', async () => {
    for (let index = 0; index < 250; index++) await slice(`many-${index}`, [endpointOf(`10.2.${index}.1`)]);
    await eventually(async () => (await stable()).length === 251, 'all of them');
    await api.restart(async () => {
      await eventually(
        async () => (await metric('serin_discovery_synced')) === 0,
        'word that the server is gone',
      );
      assert.equal((await stable()).length, 251, 'the last known ones');
      await api.compact();
    });
    await api.call('DELETE', SLICES);
    await slice('notes-9', [endpointOf('10.9.0.1')]);
    await says(['10.9.0.1:8080'], 'the new state');
    assert.equal(
      await metric('serin_discovery_reads_total'),
      2,
      'listed anew: the watch was answered with 410',
    );
    await slice('notes-10', [endpointOf('10.9.0.2')]);
    await says(['10.9.0.1:8080', '10.9.0.2:8080'], 'what came after it');
  });

  it('reads a new token when the old one is no longer taken', async () => {
    await api.call('DELETE', '/api/v1/namespaces/serin/serviceaccounts/serin');
    await api.call('POST', '/api/v1/namespaces/serin/serviceaccounts', { metadata: { name: 'serin' } });
    const before = await metric('serin_discovery_errors_total', { reason: 'unauthorized' });
    await api.restart();
    await eventually(
      async () => (await metric('serin_discovery_errors_total', { reason: 'unauthorized' })) > before,
      'a token that is not taken any more',
      60_000,
    );
    await newToken();
    await eventually(async () => (await metric('serin_discovery_synced')) === 1, 'the new token', 60_000);
    await slice('notes-11', [endpointOf('10.9.0.3')]);
    await says(['10.9.0.1:8080', '10.9.0.2:8080', '10.9.0.3:8080'], 'what came after it');
  });
});
