/**
 * A real kube-apiserver takes what k8s/ renders: every object as it is, one overlay after the other, the pods under the namespace's
 * pod security standard, and the rights that the service account then has.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { missingApiServer, startApiServer, type ApiServer } from '../support/apiserver.ts';
import { kubeconfigOf } from '../support/kubeconfig.ts';
import { type Workload } from '../support/kubernetes.ts';
import { OVERLAYS, renderAll, type Rendered } from '../support/overlays.ts';

const missing = missingApiServer();
const ACCOUNT = 'system:serviceaccount:serin:serin';

describe('k8s/ at a real API server', missing === null ? {} : { skip: missing }, () => {
  let api: ApiServer;
  let all: Rendered;

  const kubeconfig = (): string => path.join(all.root, 'kubeconfig');
  /** Runs kubectl as the administrator; gives what it says on both outputs. */
  function kubectl(...args: string[]): { readonly status: number | null; readonly text: string } {
    const { status, stdout, stderr } = spawnSync('kubectl', ['--kubeconfig', kubeconfig(), ...args], {
      encoding: 'utf8',
    });
    return { status, text: stdout + stderr };
  }
  /** Applies a kustomization; gives what kubectl says. */
  function apply(folder: string): string {
    const { status, text } = kubectl('apply', '-k', path.join(all.root, folder));
    assert.equal(status, 0, text);
    return text;
  }

  before(async () => {
    all = renderAll();
    api = await startApiServer();
    const user = { token: 'administrator-of-the-test' };
    writeFileSync(kubeconfig(), kubeconfigOf({ server: api.url, ca: api.ca, user }), { mode: 0o600 });
    await api.call('POST', '/api/v1/namespaces', { metadata: { name: 'notes' } });
  });
  after(async () => {
    await api?.close();
    all?.remove();
  });

  // One replica first: the way to several must be open.
  for (const overlay of [...OVERLAYS].sort(
    (a, b) => Number(b.endsWith('single')) - Number(a.endsWith('single')),
  )) {
    test(`${overlay} is applied without a warning, and its pods are admitted`, async () => {
      const text = apply(overlay);
      assert.doesNotMatch(text, /warning/i);
      const lines = text.trim().split('\n');
      assert.equal(lines.length, all.of(overlay).length, text);
      for (const { kind, metadata, spec } of all.of(overlay)) {
        if (kind !== 'Deployment' && kind !== 'StatefulSet') continue;
        const { template, volumeClaimTemplates = [] } = spec as Workload;
        // What the controller of a StatefulSet would put in.
        const claimed = volumeClaimTemplates.map((claim) => ({ name: claim.metadata.name, emptyDir: {} }));
        await api.call('POST', `/api/v1/namespaces/serin/pods?dryRun=All`, {
          metadata: { ...template.metadata, name: metadata.name },
          spec: { ...template.spec, volumes: [...(template.spec.volumes ?? []), ...claimed] },
        });
      }
    });
  }

  test('from one replica to several nothing of the former is left in the deployment', async () => {
    for (const overlay of ['k8s/overlays/single', 'k8s/overlays/redis']) apply(overlay);
    const { spec } = await api.call('GET', '/apis/apps/v1/namespaces/serin/deployments/serin');
    const { strategy, template } = spec as Workload;
    assert.deepEqual(strategy, { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
    const data = template.spec.volumes!.find(({ name }) => name === 'data')!;
    assert.ok(data.emptyDir !== undefined && data.persistentVolumeClaim === undefined);
  });

  test('the namespace refuses a pod that asks for more', async () => {
    const { spec } = all.kind('k8s/overlays/single', 'Deployment')[0]!;
    const { template } = spec as Workload;
    const [container] = template.spec.containers;
    const bold = { ...container, securityContext: { ...container!.securityContext, privileged: true } };
    await assert.rejects(
      api.call('POST', '/api/v1/namespaces/serin/pods?dryRun=All', {
        metadata: { ...template.metadata, name: 'bold' },
        spec: { ...template.spec, containers: [bold] },
      }),
      /violates PodSecurity|allowPrivilegeEscalation/,
    );
  });

  test('the service account may look at the EndpointSlices of the application, and do nothing else', () => {
    apply('k8s/access');
    const may = (...what: string[]): boolean =>
      kubectl('auth', 'can-i', ...what, `--as=${ACCOUNT}`)
        .text.trim()
        .startsWith('yes');
    for (const verb of ['list', 'watch']) {
      assert.ok(may(verb, 'endpointslices.discovery.k8s.io', '-n', 'notes'), verb);
      assert.ok(!may(verb, 'endpointslices.discovery.k8s.io', '-n', 'kube-system'), verb);
    }
    for (const what of ['secrets', 'pods', 'configmaps', 'deployments.apps'])
      for (const verb of ['get', 'list', 'create', 'delete'])
        for (const namespace of ['notes', 'serin']) assert.ok(!may(verb, what, '-n', namespace), what);
  });
});
