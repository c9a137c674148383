/** What k8s/ comes to: rendered by kubectl, checked against published schemas, and as a pod would see it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import { parse, parseAllDocuments } from 'yaml';

const SCHEMAS = path.join(import.meta.dirname, '../data/kubernetes');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Labels;
    readonly annotations?: Labels;
  };
  readonly spec?: unknown;
  readonly data?: { readonly [key: string]: string };
  readonly stringData?: { readonly [key: string]: string };
}
export interface Labels {
  readonly [name: string]: string;
}

export interface Workload {
  readonly replicas?: number;
  readonly strategy?: {
    readonly type?: string;
    readonly rollingUpdate?: { readonly maxUnavailable?: number; readonly maxSurge?: number };
  };
  readonly selector: { readonly matchLabels: Labels };
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec };
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
}
export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly fsGroup?: number;
    readonly seccompProfile?: { readonly type: string };
  };
  readonly topologySpreadConstraints?: readonly {
    readonly labelSelector: { readonly matchLabels: Labels };
  }[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
}
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly EnvironmentVariable[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle?: unknown;
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly resources: {
    readonly requests: Labels;
    readonly limits: { readonly memory?: string; readonly cpu?: string };
  };
  readonly securityContext: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}
interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string; readonly defaultMode?: number };
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly emptyDir?: unknown;
}
export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
  readonly tcpSocket?: { readonly port: string };
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold?: number;
}

/** Renders a kustomization. Throws an error with kubectl's own words where it can't be. */
export function render(folder: string): Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', folder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return parseManifests(text);
}

/** The objects of a YAML text. */
function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return document.toJS() as Manifest;
  });
}

/** Throws where kubectl is missing or its Kustomize is too old, with what to install. */
export function checkKustomize(): void {
  const remedy =
    'install kubectl 1.27 or newer: the Debian package kubernetes-client (from Debian 13 on), or see kubernetes.io/docs/tasks/tools';
  let text: string;
  try {
    text = execFileSync('kubectl', ['version', '--client', '--output=yaml'], { encoding: 'utf8' });
  } catch (error) {
    throw new Error(`kubectl does not run; ${remedy}`, { cause: error });
  }
  const { kustomizeVersion: version } = parse(text) as { kustomizeVersion?: string };
  const [, major] = /^v([0-9]+)\.[0-9]+/.exec(version ?? '') ?? [];
  if (major === undefined || Number(major) < 5)
    throw new Error(`kubectl has Kustomize ${version ?? 'of unknown version'}; ${remedy}`);
}

export type KubernetesVersion = '1.30' | '1.37';

/**
 * Checks objects by the schemas that Kubernetes publishes for a version, and by those of custom resources; a field that
 * is in neither is a fault. Gives the faults of one object as sentences.
 */
export function schemaCheck(version: KubernetesVersion): (manifest: Manifest) => string[] {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const kinds = new Map<string, string>();
  for (const name of [`kubernetes-${version}`, 'custom-resources']) {
    const definitions = JSON.parse(readFileSync(path.join(SCHEMAS, `${name}.json`), 'utf8')) as Record<
      string,
      { properties?: Record<string, { enum?: string[] }>; 'x-kubernetes-group-version-kind'?: Kind[] }
    >;
    ajv.addSchema({ $id: name, $defs: definitions });
    for (const [definition, schema] of Object.entries(definitions)) {
      const reference = `${name}#/$defs/${definition}`;
      const { apiVersion, kind } = schema.properties ?? {};
      if (apiVersion?.enum !== undefined) kinds.set(`${apiVersion.enum[0]} ${kind?.enum?.[0]}`, reference);
      for (const { group, version: v, kind: k } of schema['x-kubernetes-group-version-kind'] ?? [])
        kinds.set(`${group === '' ? '' : `${group}/`}${v} ${k}`, reference);
    }
  }
  return (manifest) => {
    const what = `${manifest.apiVersion} ${manifest.kind}`;
    const reference = kinds.get(what);
    const validate = reference === undefined ? undefined : ajv.getSchema(reference);
    if (validate === undefined) return [`there is no schema of ${what}; see scripts/kubernetes-schemas.ts`];
    const { kind, metadata } = manifest;
    validate(manifest);
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) =>
        `${kind} ${metadata.name} ${instancePath}: ${message} ${JSON.stringify(params)}`,
    );
  };
}
interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** What a container finds: the files of its ConfigMaps and Secrets by path, and its environment. */
export interface Inside {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly env: { readonly [name: string]: string };
}

/** Throws where something that the pod refers to is not among the manifests. */
export function inside(manifests: readonly Manifest[], pod: PodSpec, container: Container): Inside {
  const find = (kind: string, name: string): Manifest => {
    const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
    if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
    return found;
  };
  const files = new Map<string, Buffer>();
  for (const { name, mountPath } of container.volumeMounts) {
    const volume = pod.volumes?.find((one) => one.name === name);
    if (volume === undefined) continue;
    if (volume.persistentVolumeClaim !== undefined)
      find('PersistentVolumeClaim', volume.persistentVolumeClaim.claimName);
    for (const [key, data] of contents(volume, find)) files.set(path.join(mountPath, key), data);
  }
  const env: Record<string, string> = {};
  for (const { name, value = '', valueFrom } of container.env ?? []) {
    const { fieldRef, secretKeyRef } = valueFrom ?? {};
    if (fieldRef !== undefined)
      env[name] = fieldRef.fieldPath === 'status.podIP' ? '10.42.1.7' : 'serin-5d8f7c9b6d-x2x4z';
    else if (secretKeyRef !== undefined)
      env[name] = secretData(find('Secret', secretKeyRef.name), secretKeyRef.key).toString();
    else env[name] = value.replaceAll(/\$\(([A-Z0-9_]+)\)/g, (_, other: string) => env[other] ?? '');
  }
  return { files, env };
}

function contents(volume: Volume, find: (kind: string, name: string) => Manifest): [string, Buffer][] {
  if (volume.configMap !== undefined) {
    const { data = {} } = find('ConfigMap', volume.configMap.name);
    return Object.entries(data).map(([key, text]) => [key, Buffer.from(text)]);
  }
  if (volume.secret === undefined) return [];
  const secret = find('Secret', volume.secret.secretName);
  return Object.keys(secret.data ?? {}).map((key) => [key, secretData(secret, key)]);
}

function secretData(secret: Manifest, key: string): Buffer {
  const text = secret.data?.[key];
  if (text === undefined) throw new Error(`the Secret ${secret.metadata.name} has no key ${key}`);
  return Buffer.from(text, 'base64');
}

/** Whether labels have all that a selector asks for. */
export function selects(selector: Labels, labels: Labels = {}): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}

/** Bytes of a quantity such as `512Mi`. */
export function bytes(quantity: string): number {
  const [, number, unit = ''] = /^([0-9]+)(Ki|Mi|Gi)?$/.exec(quantity) ?? [];
  return Number(number) * 1024 ** ['', 'Ki', 'Mi', 'Gi'].indexOf(unit);
}
