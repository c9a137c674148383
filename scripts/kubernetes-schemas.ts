/**
 * Makes the schemas in test/data/kubernetes, by which a test checks what k8s/ renders, from published packages.
 *
 * Kubernetes' own come from the Python package kubernetes-validate (Apache-2.0), strict as it has them; those of custom
 * resources from the npm packages @kubernetes-models/traefik and @kubernetes-models/prometheus-operator (MIT), whose
 * types were made from the published definitions. Only the kinds that k8s/ uses, with what they refer to, without prose.
 *
 *   pip download --no-deps kubernetes-validate==1.37.0    and unpack it; FOLDER has kubernetes_validate in it
 *   npm install --prefix MODELS @kubernetes-models/traefik@2.0.0 @kubernetes-models/prometheus-operator@6.0.0
 *   node scripts/kubernetes-schemas.ts FOLDER MODELS
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

/** The oldest and the newest version of Kubernetes that the manifests are checked against. */
const VERSIONS = ['1.30', '1.37'];

const KINDS = [
  'apps.v1.Deployment',
  'apps.v1.StatefulSet',
  'autoscaling.v2.HorizontalPodAutoscaler',
  'core.v1.ConfigMap',
  'core.v1.Namespace',
  'core.v1.PersistentVolumeClaim',
  'core.v1.Secret',
  'core.v1.Service',
  'core.v1.ServiceAccount',
  'networking.v1.NetworkPolicy',
  'policy.v1.PodDisruptionBudget',
  'rbac.v1.Role',
  'rbac.v1.RoleBinding',
];

const CUSTOM = {
  traefik: ['IngressRoute', 'Middleware', 'ServersTransport', 'TraefikService'],
  'prometheus-operator': ['PrometheusRule', 'ServiceMonitor'],
};

type Json = string | number | boolean | null | readonly Json[] | JsonObject;
interface JsonObject {
  readonly [key: string]: Json;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Without prose. A property that is called "description" has a schema, not a text, and stays. */
function bare(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(bare);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, part]) => !(key === 'description' && typeof part === 'string'))
      .map(([key, part]) => [key, bare(part)]),
  );
}

/** The definitions that `roots` need, directly or not. */
function reachable(all: JsonObject, roots: readonly string[]): JsonObject {
  const found = new Map<string, Json>();
  const visit = (name: string): void => {
    const definition = all[name];
    if (definition === undefined) throw new Error(`there is no definition ${name}`);
    if (found.has(name)) return;
    found.set(name, definition);
    for (const [, other = ''] of JSON.stringify(definition).matchAll(/"#\/\$defs\/([^"]+)"/g)) visit(other);
  };
  for (const root of roots) visit(root);
  return Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function write(name: string, definitions: JsonObject): void {
  const folder = path.join(import.meta.dirname, '../test/data/kubernetes');
  mkdirSync(folder, { recursive: true });
  // One definition a line, so that a difference between two versions can be read.
  const lines = Object.entries(definitions).map(
    ([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  writeFileSync(path.join(folder, name), `{\n${lines.join(',\n')}\n}\n`);
}

function kubernetes(folder: string): void {
  for (const version of VERSIONS) {
    const file = `kubernetes_validate/kubernetes-json-schema/v${version}.0-local-strict/_definitions.json`;
    const document = bare(JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Json);
    const definitions = isObject(document) ? (document['$defs'] ?? document['definitions']) : undefined;
    if (!isObject(definitions)) throw new Error(`${file} has no definitions`);
    write(
      `kubernetes-${version}.json`,
      reachable(
        definitions,
        KINDS.map((kind) => `io.k8s.api.${kind}`),
      ),
    );
  }
}

/** What the models import from elsewhere, as far as the manifests use it. */
const ELSEWHERE: JsonObject = {
  IIoK8sApimachineryPkgUtilIntstrIntOrString: { type: ['integer', 'string'] },
  IIoK8sApimachineryPkgApiResourceQuantity: { type: ['number', 'string'] },
  IIoK8sApimachineryPkgApisMetaV1ObjectMeta: {
    type: 'object',
    properties: {
      name: { type: 'string' },
      namespace: { type: 'string' },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
      annotations: { type: 'object', additionalProperties: { type: 'string' } },
    },
    required: ['name'],
    additionalProperties: false,
  },
  IIoK8sApimachineryPkgApisMetaV1LabelSelector: {
    type: 'object',
    properties: {
      matchLabels: { type: 'object', additionalProperties: { type: 'string' } },
      matchExpressions: { type: 'array' },
    },
    additionalProperties: false,
  },
};

/** The schema of a type as the models' declarations write it. */
function schemaOf(type: string): JsonObject {
  const text = type.trim();
  const list = /^Array<(.+)>$/s.exec(text)?.[1];
  if (list !== undefined) return { type: 'array', items: schemaOf(list) };
  const map = /^\{\s*\[key: string\]: (.+);\s*\}$/s.exec(text)?.[1];
  if (map !== undefined) return { type: 'object', additionalProperties: schemaOf(map) };
  if (text.startsWith('{')) return objectOf(text.slice(1, text.lastIndexOf('}')));
  if (/^"[^"]*"(\s*\|\s*"[^"]*")*$/.test(text)) {
    return { enum: [...text.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? '') };
  }
  if (text === 'string' || text === 'boolean' || text === 'number') return { type: text };
  if (/^I\w+$/.test(text)) return { $ref: `#/$defs/${text}` };
  return {};
}

/** The schema of an interface's body: its properties, and none beside them. */
function objectOf(body: string): JsonObject {
  const properties: [string, JsonObject][] = [];
  const required: string[] = [];
  // A property ends at the semicolon that stands outside of braces.
  for (const [, name = '', optional, type = ''] of body.matchAll(
    /"([^"]+)"(\??): ((?:[^;{}]|\{(?:[^{}]|\{[^{}]*\})*\})+);/g,
  )) {
    properties.push([name, schemaOf(type)]);
    if (optional === '') required.push(name);
  }
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

function custom(modules: string): void {
  const definitions: Record<string, Json> = { ...ELSEWHERE };
  const bases = new Map<string, string>();
  const roots: string[] = [];
  for (const [name, kinds] of Object.entries(CUSTOM)) {
    const folder = path.join(modules, 'node_modules/@kubernetes-models', name);
    for (const file of globSync('**/*.d.ts', { cwd: folder })) {
      const text = readFileSync(path.join(folder, file), 'utf8').replaceAll(/\/\*\*.*?\*\//gs, '');
      const alias = /export type \{ I\w+ as (I\w+)/.exec(text)?.[1];
      if (alias === undefined) continue;
      const [, base, body = ''] = /export interface I\w+(?: extends (\w+))? \{\n(.*?)^\}/ms.exec(text) ?? [];
      const plain = /export type I\w+ = (.+?);/s.exec(text)?.[1];
      definitions[alias] = plain === undefined ? objectOf(body) : schemaOf(plain);
      if (base === 'TypeMeta' && kinds.includes(path.basename(file, '.d.ts'))) roots.push(alias);
      else if (base !== undefined && base !== 'TypeMeta') bases.set(alias, base);
    }
  }
  for (const [alias, base] of bases) {
    if (bases.has(base)) throw new Error(`${alias} extends ${base}, which extends another`);
    definitions[alias] = extended(definitions, alias, base);
  }
  const known: JsonObject = Object.fromEntries(
    Object.entries(definitions).map(([name, definition]) => [
      name,
      // What comes from packages beside these is not looked into.
      JSON.parse(
        JSON.stringify(definition).replaceAll(/\{"\$ref":"#\/\$defs\/(\w+)"\}/g, (whole, other: string) =>
          other in definitions ? whole : '{}',
        ),
      ) as Json,
    ]),
  );
  write('custom-resources.json', reachable(known, roots));
}

/** A definition with the properties of another one, which must not extend a third. */
function extended(definitions: JsonObject, alias: string, base: string): JsonObject {
  const [own, other] = [definitions[alias], definitions[base]];
  if (!isObject(own) || !isObject(other)) throw new Error(`${alias} extends ${base}, which is not known`);
  const list = (value: Json | undefined): readonly Json[] =>
    Array.isArray(value) ? (value as readonly Json[]) : [];
  const [ownParts, otherParts] = [own['properties'], other['properties']].map((part) =>
    isObject(part) ? part : {},
  );
  const required = [...list(other['required']), ...list(own['required'])];
  return {
    ...own,
    properties: { ...otherParts, ...ownParts },
    ...(required.length > 0 ? { required } : {}),
  };
}

const [folder, modules] = process.argv.slice(2);
if (folder === undefined || modules === undefined) {
  process.stderr.write('usage: node scripts/kubernetes-schemas.ts FOLDER MODELS\n');
  process.exitCode = 2;
} else {
  kubernetes(folder);
  custom(modules);
}
