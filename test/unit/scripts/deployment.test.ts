/** The Dockerfile and the Kubernetes example agree with the program, with each other, and with the image's layout. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import packageJson from '../../../package.json' with { type: 'json' };
import { IMAGE_CONFIG, IMAGE_DATA, IMAGE_USER } from '../../../scripts/image-root.ts';
import { drainSettings } from '../../../src/config/defaults.ts';
import { loadConfiguration } from '../../../src/config/load.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const dockerfile = readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8');

interface Manifest {
  readonly kind: string;
  readonly data?: Record<string, string>;
  readonly spec?: {
    readonly template?: { readonly spec: PodSpec };
  };
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: { readonly runAsUser: number };
  readonly containers: readonly {
    readonly image: string;
    readonly volumeMounts: readonly { readonly mountPath: string }[];
  }[];
}

const manifests = parseAllDocuments(readFileSync(path.join(ROOT, 'k8s/serin.yaml'), 'utf8')).map(
  (document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest;
  },
);
const pod = manifests.find(({ kind }) => kind === 'Deployment')!.spec!.template!.spec;
const text = manifests.find(({ kind }) => kind === 'ConfigMap')!.data!['serin.yaml']!;

test("the example's configuration is valid and writes only to the volume", async () => {
  const { configuration } = await loadConfiguration({
    file: IMAGE_CONFIG,
    env: {},
    readFile: () => Promise.resolve(Buffer.from(text)),
  });
  assert.ok(configuration.store.file.startsWith(`${IMAGE_DATA}/`));
  assert.ok(configuration.secretFile.startsWith(`${IMAGE_DATA}/`));
  const { delay, grace } = drainSettings(configuration.proxy);
  assert.ok(pod.terminationGracePeriodSeconds * 1_000 > delay + grace, 'the drain may end by itself');
});

test('the example runs the image as its user, with its paths', () => {
  const [container] = pod.containers;
  assert.equal(pod.securityContext.runAsUser, IMAGE_USER);
  assert.equal(container!.image, `serin:${packageJson.version}`);
  const mounts = container!.volumeMounts.map(({ mountPath }) => mountPath);
  assert.deepEqual(mounts, [path.dirname(IMAGE_CONFIG), IMAGE_DATA]);
});

test('the Dockerfile builds on the pinned Node.js and names the same user and paths', () => {
  const node = packageJson.devDependencies.node;
  assert.ok(dockerfile.includes(`\nFROM node:${node}-bookworm-slim AS build\n`));
  assert.ok(dockerfile.includes(`\nUSER ${IMAGE_USER}:${IMAGE_USER}\n`));
  assert.ok(dockerfile.includes(`\nWORKDIR ${IMAGE_DATA}\n`));
  assert.ok(dockerfile.includes(`"${IMAGE_CONFIG}"`));
});
