/**
 * Everything under k8s/ renders, is what Kubernetes' published schemas admit, and fits together: references lead
 * somewhere, ports exist, and the pod keeps to what the program needs of it.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { IMAGE_CONFIG, IMAGE_DATA, IMAGE_USER } from '../../scripts/image-root.ts';
import { prometheusRule } from '../../scripts/prometheus-rule.ts';
import { drainSettings } from '../../src/config/proxy.ts';
import { parseListen } from '../../src/net/host-port.ts';
import { fileStoreSettings } from '../../src/config/store.ts';
import { bytes, schemaCheck, selects, type Labels, type Workload } from '../support/kubernetes.ts';
import { FOLDERS, OVERLAYS, renderAll, type PolicySpec, type ServiceSpec } from '../support/overlays.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

const all = renderAll();
after(() => all.remove());
const { of, kind, serin, load } = all;

test('every folder is known, and what is written is what was meant', () => {
  assert.ok(OVERLAYS.length > 0);
  for (const file of globSync('k8s/**/*.{yaml,yml}', { cwd: ROOT })) {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    assert.doesNotMatch(text, /\bTODO\b|\bFIXME\b|change-?me|replace-?me|<[a-z][a-z -]*>/i, file);
  }
});

for (const version of ['1.30', '1.37'] as const) {
  test(`every object is one that Kubernetes ${version} and the operators admit`, () => {
    const faults = schemaCheck(version);
    for (const folder of FOLDERS) {
      assert.ok(of(folder).length > 0, folder);
      assert.deepEqual(of(folder).flatMap(faults), [], folder);
    }
  });
}

test('the schemas refuse what is misspelt, of the wrong type, or of an unknown kind', () => {
  const faults = schemaCheck('1.37');
  const deployment = kind('k8s/overlays/single', 'Deployment')[0]!;
  const spec = deployment.spec as object;
  assert.match(faults({ ...deployment, spec: { ...spec, replica: 1 } })[0] ?? '', /replica/);
  assert.match(faults({ ...deployment, spec: { ...spec, replicas: '1' } })[0] ?? '', /\/spec\/replicas/);
  assert.match(faults({ ...deployment, kind: 'Deploiment' })[0] ?? '', /no schema/);
  const monitor = kind('k8s/monitoring', 'ServiceMonitor')[0]!;
  const endpoints = [{ port: 'ops', intervall: '15s' }];
  assert.match(
    faults({ ...monitor, spec: { ...(monitor.spec as object), endpoints } })[0] ?? '',
    /intervall/,
  );
});

test('the alerts are those of docs/metrics.md (run `node scripts/prometheus-rule.ts`)', () => {
  const { file, text } = prometheusRule();
  assert.equal(readFileSync(file, 'utf8'), text);
});

test('Prometheus scrapes a port that there is, under the name that the alerts know', () => {
  const spec = kind('k8s/monitoring', 'ServiceMonitor')[0]!.spec as {
    jobLabel: string;
    selector: { matchLabels: Labels };
    endpoints: { port: string }[];
  };
  for (const overlay of OVERLAYS) {
    const services = kind(overlay, 'Service').filter(({ metadata }) =>
      selects(spec.selector.matchLabels, metadata.labels),
    );
    const scraped = services.filter((service) =>
      (service.spec as ServiceSpec).ports.some(({ name }) => name === spec.endpoints[0]!.port),
    );
    assert.equal(scraped.length, 1, `${overlay}: each replica is scraped once`);
    assert.equal(scraped[0]!.metadata.labels?.[spec.jobLabel], 'serin');
  }
});

const workloads = (folder: string): Workload[] =>
  of(folder)
    .filter((one) => ['Deployment', 'StatefulSet'].includes(one.kind))
    .map((one) => one.spec as Workload);

/** The names of the ports, and the numbers, of all containers that labels select. */
function portsOf(folder: string, selector: Labels): (string | number)[] {
  return workloads(folder)
    .filter(({ template }) => selects(selector, template.metadata.labels))
    .flatMap(({ template }) => template.spec.containers)
    .flatMap(({ ports }) => ports.flatMap((port) => [port.name, port.containerPort]));
}

for (const overlay of OVERLAYS) {
  describe(overlay, () => {
    test('selectors find their pods, and ports are there', () => {
      for (const { selector, template } of workloads(overlay)) {
        assert.ok(selects(selector.matchLabels, template.metadata.labels));
        for (const { labelSelector } of template.spec.topologySpreadConstraints ?? [])
          assert.ok(selects(labelSelector.matchLabels, template.metadata.labels));
        for (const { ports, startupProbe, readinessProbe, livenessProbe } of template.spec.containers) {
          const names = ports.map(({ name }) => name);
          for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
            const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
            assert.ok(probe === undefined || names.includes(port!), `a probe asks ${port}`);
          }
        }
      }
      for (const { metadata, spec } of kind(overlay, 'Service')) {
        const { selector, ports } = spec as ServiceSpec;
        const there = portsOf(overlay, selector);
        for (const { targetPort } of ports) assert.ok(there.includes(targetPort), metadata.name);
      }
      for (const { metadata, spec } of kind(overlay, 'NetworkPolicy')) {
        const { podSelector, ingress = [] } = spec as PolicySpec;
        const there = portsOf(overlay, podSelector.matchLabels);
        for (const { port } of ingress.flatMap(({ ports = [] }) => ports))
          assert.ok(there.includes(port), `${metadata.name} admits to ${port}`);
      }
    });

    test('all is in one namespace, which is there, and kept to the restricted standard', () => {
      const namespaces = kind(overlay, 'Namespace');
      assert.deepEqual(
        namespaces.map(({ metadata }) => metadata.labels?.['pod-security.kubernetes.io/enforce']),
        ['restricted'],
      );
      for (const { kind: what, metadata } of of(overlay)) {
        if (what !== 'Namespace') assert.equal(metadata.namespace, namespaces[0]!.metadata.name, what);
      }
      for (const { template } of workloads(overlay)) {
        const { securityContext, containers } = template.spec;
        assert.equal(securityContext.runAsNonRoot, true);
        assert.equal(securityContext.seccompProfile?.type, 'RuntimeDefault');
        for (const container of containers) {
          const context = container.securityContext;
          assert.equal(context.allowPrivilegeEscalation, false);
          assert.equal(context.readOnlyRootFilesystem, true);
          assert.deepEqual(context.capabilities, { drop: ['ALL'] });
        }
      }
    });

    test('the pod is the image: its user, its version, its paths, and nothing else to write to', () => {
      const { pod, container } = serin(overlay);
      assert.equal(pod.securityContext.runAsUser, IMAGE_USER);
      assert.equal(pod.securityContext.fsGroup, IMAGE_USER);
      assert.equal(container.image, `serin:${packageJson.version}`);
      const mounts = container.volumeMounts.map(({ mountPath }) => mountPath);
      assert.ok(mounts.includes(path.dirname(IMAGE_CONFIG)));
      assert.ok(mounts.includes(IMAGE_DATA));
      assert.equal(pod.enableServiceLinks, false, 'SERIN_… of other Services would be taken for settings');
      assert.ok(
        kind(overlay, 'ServiceAccount').some(({ metadata }) => metadata.name === pod.serviceAccountName),
      );
    });

    test('Serin takes the configuration as the pod sees it', async () => {
      const { configuration, warnings } = await load(overlay);
      assert.deepEqual(warnings, []);
      const { container } = serin(overlay);
      const { proxy, admin, ops, fleet } = configuration;
      const parts = [proxy, admin, ops, ...('redis' in configuration.store ? [fleet] : [])];
      const listening = parts.map((part) => {
        const address = parseListen(part?.listen ?? '');
        return typeof address === 'string' ? address : address.port;
      });
      const declared = container.ports.map(({ containerPort }) => containerPort);
      for (const port of listening) assert.ok(declared.includes(Number(port)), `${port} is declared`);
      for (const network of configuration.trustedProxies ?? []) assert.doesNotMatch(network, /\/0$/);
    });

    test('as many workers as cores are requested, and the memory that they need', async () => {
      const { configuration } = await load(overlay);
      const { requests, limits } = serin(overlay).container.resources;
      const { workers } = configuration.proxy!;
      assert.equal(Number(requests['cpu']), workers);
      assert.equal(limits.cpu, undefined, 'a CPU limit stops all threads at once');
      // docs/operations.md: 160 MB and 35 MB for each worker, before the first connection; work is refused at 90 %.
      const needed = (160 + 35 * Number(workers)) * 1024 * 1024;
      assert.ok(bytes(requests['memory']!) > needed);
      assert.ok(bytes(limits.memory!) * 0.9 > needed * 2);
    });

    test('the drain has the time that it needs', async () => {
      const { configuration } = await load(overlay);
      const { pod, container } = serin(overlay);
      const { delay, grace } = drainSettings(configuration.proxy);
      const spare = pod.terminationGracePeriodSeconds * 1000 - delay - grace;
      assert.ok(spare >= 5_000, 'it ends by itself before it is killed');
      const { periodSeconds, failureThreshold, timeoutSeconds, httpGet } = container.readinessProbe!;
      assert.equal(httpGet!.path, '/readyz');
      const noticed = (periodSeconds! * failureThreshold! + timeoutSeconds!) * 1000;
      assert.ok(delay >= noticed + 3_000, 'a replica that is not ready is known as such, and 3 s to spread');
      assert.equal(container.lifecycle, undefined, 'the delay is the preStop hook');
      assert.equal(container.livenessProbe!.httpGet!.path, '/livez');
    });

    test('the network admits what Serin needs, and the proxy port to Traefik alone', async () => {
      const policies = kind(overlay, 'NetworkPolicy').map(({ spec }) => spec as PolicySpec);
      const { template } = serin(overlay).workload;
      const own = policies.filter(({ podSelector }) =>
        selects(podSelector.matchLabels, template.metadata.labels),
      );
      const ingress = own.flatMap((policy) => policy.ingress ?? []);
      const admitted = (port: string): (string | undefined)[] =>
        ingress
          .filter(({ ports = [] }) => ports.some((one) => one.port === port))
          .flatMap(({ from = [] }) => from)
          .map(({ namespaceSelector }) => namespaceSelector?.matchLabels['kubernetes.io/metadata.name']);
      assert.deepEqual(admitted('http'), ['traefik']);
      assert.deepEqual(admitted('ops'), ['monitoring']);
      for (const { from = [], ports = [] } of ingress)
        assert.ok(from.length > 0 && ports.length > 0, 'every rule says from whom and to which port');

      const egress = own.flatMap((policy) => policy.egress ?? []);
      const reaches = (namespace: string, port: number): boolean =>
        egress.some(
          ({ to = [], ports = [] }) =>
            ports.some((one) => one.port === port) &&
            to.some(
              (peer) => peer.namespaceSelector?.matchLabels['kubernetes.io/metadata.name'] === namespace,
            ),
        );
      assert.ok(reaches('kube-system', 53), 'DNS');
      const { configuration } = await load(overlay);
      const variants = Object.values(configuration.services ?? {}).flatMap(({ stable, canary }) =>
        canary === undefined ? [stable] : [stable, canary],
      );
      const named = variants.flatMap((variant) => ('endpoints' in variant ? (variant.endpoints ?? []) : []));
      for (const one of named) {
        const endpoint = typeof one === 'string' ? one : one.address;
        const [, namespace, port] =
          /^[a-z0-9-]+\.([a-z0-9-]+)\.svc\.cluster\.local:([0-9]+)$/.exec(endpoint) ?? [];
        assert.ok(namespace !== undefined && reaches(namespace, Number(port)), endpoint);
      }
      const watched = variants.flatMap(({ kubernetes }) => (kubernetes === undefined ? [] : [kubernetes]));
      for (const { namespace } of watched) assert.ok(reaches(namespace ?? '', 8080), namespace);
      if (watched.length > 0) {
        assert.equal(serin(overlay).pod.automountServiceAccountToken, true, 'it needs its token');
        const anywhere = egress.filter(({ to }) => to === undefined).flatMap(({ ports = [] }) => ports);
        assert.deepEqual(
          anywhere.map(({ port }) => port),
          [443, 6443],
          'the API server, and no other port of the world',
        );
        const granted = kind('k8s/access', 'Role').map(({ metadata }) => metadata.namespace);
        for (const { namespace } of watched) assert.ok(granted.includes(namespace));
      }
    });
  });
}

test('one replica with its own volume: the old pod ends before the new one starts', async () => {
  const { workload, pod } = serin('k8s/overlays/single');
  assert.deepEqual([workload.replicas, workload.strategy], [1, { type: 'Recreate' }]);
  assert.equal(pod.automountServiceAccountToken, false);
  assert.equal(kind('k8s/overlays/single', 'PodDisruptionBudget').length, 0, 'it would forbid every drain');
  const { configuration } = await load('k8s/overlays/single');
  assert.ok(fileStoreSettings(configuration.store).directory.startsWith(`${IMAGE_DATA}/`));
  assert.ok(configuration.secretFile.startsWith(`${IMAGE_DATA}/`));
  assert.ok(pod.volumes!.some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === 'serin'));
});

test('Serin may only look at EndpointSlices, in one namespace', () => {
  const [role] = kind('k8s/access', 'Role') as unknown as { rules: unknown }[];
  assert.deepEqual(role!.rules, [
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
  ]);
  const [binding] = kind('k8s/access', 'RoleBinding') as unknown as {
    subjects: unknown;
    roleRef: { kind: string };
  }[];
  assert.equal(binding!.roleRef.kind, 'Role');
  assert.deepEqual(binding!.subjects, [{ kind: 'ServiceAccount', name: 'serin', namespace: 'serin' }]);
});
