import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { DEFAULT_ADMIN_LISTEN } from '../../../src/config/admin.ts';
import { accessLogSettings, logSettings } from '../../../src/config/logs.ts';
import { DEFAULT_PROXY_LISTEN, drainSettings, proxySettings } from '../../../src/config/proxy.ts';
import { DEFAULT_OPS_LISTEN, DEFAULT_SECRET_NAME, Configuration } from '../../../src/config/schema.ts';
import {
  DEFAULT_CACHE,
  DEFAULT_IDENTITY,
  cookieSettings,
  pathPrefix,
  serviceSettings,
  type ServiceDefinition,
} from '../../../src/config/service.ts';
import { DEFAULT_HISTORY_BYTES, DEFAULT_STORE } from '../../../src/config/store.ts';
import { parseDuration } from '../../../src/schema/duration.ts';
import { SETTINGS } from '../../../src/config/environment.ts';
import { configurationJsonSchema } from '../../../src/config/json-schema.ts';
import { loadConfiguration, type LoadedConfiguration } from '../../../src/config/load.ts';
import { isRecord } from '../../../src/schema/json-value.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const DIRECTORY = path.join(ROOT, 'config');
const EXAMPLES = readdirSync(DIRECTORY).filter((name) => name.endsWith('.yaml'));

/** Loads an example; the files and variables that its tokens come from are there. */
function load(name: string): Promise<LoadedConfiguration> {
  return loadConfiguration({
    file: path.join(DIRECTORY, name),
    env: { SERIN_TOKEN_ON_CALL: 'the-token-of-on-call', SERIN_TOKEN_DASHBOARD: 'the-token-of-dashboard' },
    readFile: async (file) =>
      file.startsWith(DIRECTORY) ? readFileSync(file) : Buffer.from(`the-token-in-${path.basename(file)}`),
  });
}

describe('the example configurations', () => {
  it('are there', () => {
    for (const name of ['minimal.yaml', 'full.yaml', 'production.yaml']) assert.ok(EXAMPLES.includes(name));
  });

  for (const name of EXAMPLES) {
    it(`${name} loads without a warning and names its schema in the first line`, async () => {
      const { warnings } = await load(name);
      assert.deepEqual(warnings, []);
      const [first] = readFileSync(path.join(DIRECTORY, name), 'utf8').split('\n');
      assert.equal(first, '# yaml-language-server: $schema=./serin.schema.json');
    });
  }
});

/** Every field that a schema knows, as a path; names of a record are `*`, entries of a list `-`. */
function fields(schema: unknown, at = ''): string[] {
  if (!isRecord(schema)) return [];
  const inner = (part: unknown, name: string): string[] => [
    `${at}/${name}`,
    ...fields(part, `${at}/${name}`),
  ];
  const { properties, patternProperties, items, anyOf } = schema;
  return [
    ...(isRecord(properties) ? Object.entries(properties).flatMap(([name, part]) => inner(part, name)) : []),
    ...(isRecord(patternProperties)
      ? Object.values(patternProperties).flatMap((part) => inner(part, '*'))
      : []),
    ...(isRecord(items) ? fields(items, `${at}/-`) : []),
    ...(Array.isArray(anyOf) ? anyOf.flatMap((part: unknown) => fields(part, at)) : []),
  ];
}

describe('full.yaml', () => {
  const text = readFileSync(path.join(DIRECTORY, 'full.yaml'), 'utf8');
  const document: unknown = parse(text);

  /** Whether a field of the schema stands in the document. */
  const stands = (value: unknown, [token, ...further]: readonly string[]): boolean => {
    if (token === undefined) return value !== undefined;
    if (token === '-') return Array.isArray(value) && value.some((one: unknown) => stands(one, further));
    if (!isRecord(value)) return false;
    return token === '*'
      ? Object.values(value).some((one) => stands(one, further))
      : stands(value[token], further);
  };

  it('holds every setting that there is', () => {
    // These stand in comments beside their alternatives.
    const elsewhere = new Set([
      '/$schema',
      '/admin/tokens/-/file',
      '/services/*/identity/-/header',
      ...['redis', 'prefix', 'snapshot', 'maxStaleness'].map((name) => `/store/${name}`),
    ]);
    for (const field of elsewhere) assert.ok(text.includes(field.split('/').at(-1) ?? '?'), field);
    const missing = fields(Configuration).filter(
      (field) => !elsewhere.has(field) && !stands(document, field.split('/').slice(1)),
    );
    assert.deepEqual(missing, []);
  });

  it('shows the defaults, where it does not say that a value is an example', async () => {
    const { configuration } = await load('full.yaml');
    const service: ServiceDefinition | undefined = configuration.services?.['notes'];
    assert.ok(service !== undefined);
    const bare: ServiceDefinition = { hosts: service.hosts, stable: service.stable };
    assert.deepEqual(proxySettings(configuration.proxy), proxySettings());
    assert.deepEqual(drainSettings(configuration.proxy), drainSettings());
    assert.deepEqual(serviceSettings(service), serviceSettings(bare));
    assert.deepEqual(cookieSettings(service), cookieSettings(bare));
    assert.deepEqual(logSettings(configuration), logSettings({}));
    assert.deepEqual(accessLogSettings(configuration), accessLogSettings({}));
    assert.equal(pathPrefix(service), pathPrefix(bare));
    assert.deepEqual(service.identity, DEFAULT_IDENTITY);
    assert.equal(service.cache, DEFAULT_CACHE);
    assert.equal(configuration.proxy?.listen, DEFAULT_PROXY_LISTEN);
    assert.equal(configuration.admin?.listen, DEFAULT_ADMIN_LISTEN);
    assert.equal(configuration.ops?.listen, DEFAULT_OPS_LISTEN);
    assert.deepEqual(
      [isRecord(document) && document['store'], isRecord(document) && document['secretFile']],
      [
        { file: DEFAULT_STORE, historyBytes: DEFAULT_HISTORY_BYTES },
        `${DEFAULT_STORE}/${DEFAULT_SECRET_NAME}`,
      ],
    );
  });
});

describe('what is generated or written from the schema is current', () => {
  it('config/serin.schema.json (run `node scripts/emit-schema.ts`, then format)', () => {
    const onDisk: unknown = JSON.parse(readFileSync(path.join(DIRECTORY, 'serin.schema.json'), 'utf8'));
    assert.deepEqual(onDisk, configurationJsonSchema());
  });

  it('docs/configuration.md names every setting and every environment variable', () => {
    const text = readFileSync(path.join(ROOT, 'docs/configuration.md'), 'utf8');
    for (const { variable, path: setting } of SETTINGS) {
      assert.ok(text.includes(`\`${variable}\``), `${variable} is missing`);
      assert.ok(text.includes(`\`${setting.join('.')}\``), `${setting.join('.')} is missing`);
    }
    for (const field of fields(Configuration)) {
      const name = field.split('/').at(-1) ?? '';
      if (name !== '*' && name !== '$schema')
        assert.match(text, new RegExp(`\\b${name}\\b`), `${field} is missing`);
    }
  });

  it('every description fits into the sentence "expected …"', () => {
    for (const description of descriptions(Configuration)) assert.match(description, /^[a-z*/]/, description);
  });
});

function descriptions(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap((part: unknown) => descriptions(part));
  if (!isRecord(schema)) return [];
  const own = typeof schema['description'] === 'string' ? [schema['description']] : [];
  return [...own, ...Object.values(schema).flatMap((part) => descriptions(part))];
}

describe('durations', () => {
  it('have a unit', () => {
    for (const [text, milliseconds] of [
      ['0s', 0],
      ['500ms', 500],
      ['30s', 30_000],
      ['10m', 600_000],
      ['24h', 86_400_000],
      ['7d', 604_800_000],
    ] as const) {
      assert.equal(parseDuration(text), milliseconds);
    }
    for (const text of ['', '30', 's', '1.5s', '-1s', '1 s', '1S', '1w', '9999999999s'])
      assert.throws(() => parseDuration(text), RangeError, text);
  });
});
