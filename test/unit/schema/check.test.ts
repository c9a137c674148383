import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { Type } from 'typebox';
import * as queries from '../../../src/admin/bodies.ts';
import * as bodies from '../../../src/helper/body-schemas.ts';
import { Configuration } from '../../../src/config/schema.ts';
import { ServiceDefinition } from '../../../src/config/service.ts';
import { RolloutDocument } from '../../../src/policy/schema.ts';
import { checkSchema } from '../../../src/schema/check.ts';
import { type Failure, reduceUnions } from '../../../src/schema/union.ts';

const closed = { additionalProperties: false } as const;
const checkRollout = checkSchema(RolloutDocument);

function faultsOf(schema: Parameters<typeof checkSchema>[0], value: unknown): string[] {
  return checkSchema(schema)(value).map((fault) => `${fault.pointer}: ${fault.detail}`);
}

function rolloutFaults(value: unknown): string[] {
  return checkRollout(value).map((fault) => `${fault.pointer}: ${fault.detail}`);
}

test('the schemas of the program are schemas, by the schema of schemas', () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  const schemas = [...Object.values(bodies), ...Object.values(queries)].filter(Type.IsSchema);
  assert.ok(schemas.length >= 10);
  for (const schema of [Configuration, ServiceDefinition, RolloutDocument, ...schemas])
    assert.equal(ajv.validateSchema(schema), true, JSON.stringify(ajv.errors));
  assert.equal(ajv.validateSchema({ type: 'strng' }), false);
});

test('a document that is right has no fault', () => {
  assert.deepEqual(checkRollout({ rules: [{ name: 'everyone', percentage: 1 }] }), []);
});

test('an unknown field names the nearest one, and hides that that one is missing', () => {
  assert.deepEqual(rolloutFaults({ rules: [{ name: 'everyone', percentge: 1 }] }), [
    '/rules/0/percentge: unknown field "percentge"; did you mean "percentage"?',
  ]);
});

test('an unknown field that resembles none lists what would be right', () => {
  assert.deepEqual(rolloutFaults({ rules: [{ name: 'a', percentage: 1, weight: 1 }] }), [
    '/rules/0/weight: unknown field "weight"; expected "name", "match" or "percentage"',
  ]);
});

test('a field that is there already is not offered again', () => {
  assert.deepEqual(rolloutFaults({ rules: [{ name: 'a', percentage: 1, percentge: 1 }] }), [
    '/rules/0/percentge: unknown field "percentge"; expected "name", "match" or "percentage"',
  ]);
});

test('a missing field is told at the object that lacks it', () => {
  assert.deepEqual(rolloutFaults({ rules: [{ name: 'a' }] }), [
    '/rules/0: missing field "percentage" (percent of users, 0 to 100)',
  ]);
});

test('numbers that are not finite are refused, wherever they are', () => {
  for (const [value, word] of [
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
    [-Infinity, '-Infinity'],
  ] as const) {
    assert.deepEqual(rolloutFaults({ rules: [{ name: 'a', percentage: value }] }), [
      `/rules/0/percentage: expected a finite number, got ${word}`,
    ]);
    assert.deepEqual(faultsOf(Type.Unknown(), { a: [value] }), [
      `/a/0: expected a finite number, got ${word}`,
    ]);
  }
});

test('a type mismatch says what was expected and what was found', () => {
  const schema = Type.Object({
    a: Type.Optional(Type.String()),
    b: Type.Optional(Type.Boolean()),
    c: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
    d: Type.Optional(Type.Array(Type.String())),
    e: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    f: Type.Optional(Type.Null()),
  });
  assert.deepEqual(faultsOf(schema, { a: 5, b: 'yes', c: 1.5, d: {}, e: null, f: true }), [
    '/a: expected a string, got the number 5',
    '/b: expected true or false, got the string "yes"',
    '/c: expected a whole number from 1 to 9, got the number 1.5',
    '/d: expected a list of strings, got an object',
    '/e: expected a number above 0, got null',
    '/f: expected null, got true',
  ]);
  assert.deepEqual(faultsOf(schema, []), [
    ': expected an object with "a", "b", "c", "d", "e" or "f", got an empty list',
  ]);
});

test('bounds, lengths and counts name the bound', () => {
  const schema = Type.Object({
    a: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    b: Type.Optional(Type.String({ minLength: 1 })),
    c: Type.Optional(Type.String({ maxLength: 3 })),
    d: Type.Optional(Type.Array(Type.Number(), { minItems: 1 })),
    e: Type.Optional(Type.Array(Type.Number(), { maxItems: 2 })),
    f: Type.Optional(Type.Array(Type.Number(), { uniqueItems: true })),
    g: Type.Optional(Type.String({ minLength: 3 })),
    h: Type.Optional(Type.Array(Type.Number(), { minItems: 2 })),
  });
  const value = { a: 101, b: '', c: 'long', d: [], e: [1, 2, 3], f: [1, 2, 1], g: 'ab', h: [1] };
  assert.deepEqual(faultsOf(schema, value), [
    '/a: expected a number from 0 to 100, got 101',
    '/b: expected a string that is not empty, got an empty string',
    '/c: expected at most 3 characters, got 4',
    '/d: expected at least one entry, got an empty list',
    '/e: expected at most 2 entries, got 3',
    '/f: expected each entry once, got the same at 0 and 2',
    '/g: expected at least 3 characters, got "ab"',
    '/h: expected at least 2 entries, got 1',
  ]);
});

test('a pattern is told by its description', () => {
  const schema = Type.Object({
    a: Type.Optional(
      Type.String({ pattern: '^[0-9]+s$', description: 'a duration such as 30s; of the bake' }),
    ),
    b: Type.Optional(Type.String({ pattern: '^/' })),
    c: Type.Optional(Type.String({ pattern: '^x+$' })),
  });
  assert.deepEqual(faultsOf(schema, { a: 'long', b: 'x', c: 'y' }), [
    '/a: expected a duration such as 30s, got "long"',
    '/b: expected a string that begins with "/", got "x"',
    '/c: expected a string that matches ^x+$, got "y"',
  ]);
});

test('a union of constants lists them and names the nearest', () => {
  const schema = Type.Object({ role: Type.Union([Type.Literal('viewer'), Type.Literal('operator')]) });
  assert.deepEqual(faultsOf(schema, { role: 'opertor' }), [
    '/role: expected "viewer" or "operator", got "opertor"; did you mean "operator"?',
  ]);
  assert.deepEqual(faultsOf(schema, { role: 5 }), ['/role: expected "viewer" or "operator", got 5']);
});

test('a union of kinds is one fault', () => {
  const schema = Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]);
  assert.deepEqual(faultsOf(schema, 5), [': expected a string or a list of strings, got the number 5']);
  assert.deepEqual(faultsOf(schema, [5]), ['/0: expected a string, got the number 5']);
  assert.deepEqual(faultsOf(schema, []), [': expected at least one entry, got an empty list']);
  const auto = Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 })]);
  assert.deepEqual(faultsOf(auto, 'aut'), [
    ': expected "auto" or a whole number of at least 1, got the string "aut"; did you mean "auto"?',
  ]);
  assert.deepEqual(faultsOf(auto, 0), [': expected a whole number of at least 1, got 0']);
});

test('a union in a union is one fault', () => {
  assert.deepEqual(rolloutFaults({ rules: [{ name: 'a', percentage: 1, match: { device: { os: 5 } } }] }), [
    '/rules/0/match/device/os: expected a string, a list of strings or an object with "name" or "version", got the number 5',
  ]);
  assert.deepEqual(
    rolloutFaults({
      rules: [{ name: 'a', percentage: 1, match: { device: { os: { name: 'ios', versoin: '1' } } } }],
    }),
    ['/rules/0/match/device/os/versoin: unknown field "versoin"; did you mean "version"?'],
  );
});

test('a union of objects is judged by the fields that are there', () => {
  const tier = Type.Union([
    Type.Object({ header: Type.String() }, closed),
    Type.Object({ cookie: Type.String(), mint: Type.Optional(Type.Boolean()) }, closed),
    Type.Object({ fingerprint: Type.Literal(true) }, closed),
  ]);
  assert.deepEqual(faultsOf(tier, { heder: 'x' }), ['/heder: unknown field "heder"; did you mean "header"?']);
  assert.deepEqual(faultsOf(tier, {}), [
    ': expected one of the fields "header", "cookie" or "fingerprint", got none of them',
  ]);
  assert.deepEqual(faultsOf(tier, { header: 'x', cookie: 'y' }), [
    ': the fields "header" and "cookie" exclude each other; remove one',
  ]);
  assert.deepEqual(faultsOf(tier, { mint: true }), [': missing field "cookie"']);
  assert.deepEqual(faultsOf(tier, { fingerprint: false }), ['/fingerprint: expected true, got false']);
  assert.deepEqual(faultsOf(tier, { cookie: 5 }), ['/cookie: expected a string, got the number 5']);
  assert.deepEqual(faultsOf(tier, 'fingerprint'), [
    ': expected an object with "header", an object with "cookie" or "mint" or an object with "fingerprint", got the string "fingerprint"',
  ]);
});

test('faults of two unions in one list are kept apart', () => {
  const schema = Type.Array(Type.Union([Type.String(), Type.Object({ a: Type.Number() }, closed)]));
  assert.deepEqual(faultsOf(schema, ['x', 5, { a: 'y' }]), [
    '/1: expected a string or an object with "a", got the number 5',
    '/2/a: expected a number, got the string "y"',
  ]);
});

const withHeaderTest = (test: object) => ({
  rules: [{ name: 'a', percentage: 1, match: { header: { h: test } } }],
});

test('exactly one of several fields', () => {
  const names = '"present", "equals", "oneOf", "prefix" or "semver"';
  assert.deepEqual(rolloutFaults(withHeaderTest({ equals: 'a', prefix: 'b' })), [
    `/rules/0/match/header/h: expected exactly one of the fields ${names}, got "equals" and "prefix"`,
  ]);
  assert.deepEqual(rolloutFaults(withHeaderTest({})), [
    `/rules/0/match/header/h: expected exactly one of the fields ${names}, got none`,
  ]);
});

test('a name that its record does not allow is one fault at the name', () => {
  const name = Type.String({ pattern: '^[a-z]+$', description: 'a name of lower-case letters' });
  const expected = ['/A~1b: the name "A/b" is not valid; expected a name of lower-case letters'];
  assert.deepEqual(
    faultsOf(Type.Record(name, Type.Number(), { ...closed, propertyNames: name }), { 'A/b': 1 }),
    expected,
  );
  assert.deepEqual(
    faultsOf(Type.Record(Type.String(), Type.Number(), { propertyNames: name }), { 'A/b': 1 }),
    expected,
  );
});

test('a secret is never quoted', () => {
  const schema = Type.Object({
    key: Type.String({ pattern: '^[0-9]{4}$', description: 'four digits', writeOnly: true }),
  });
  for (const value of ['hunter2', 98765]) {
    const text = JSON.stringify(faultsOf(schema, { key: value }));
    assert.doesNotMatch(text, /hunter2|98765/);
    assert.match(text, /expected four digits, got a (string|number)/);
  }
});

test('long values are not repeated whole', () => {
  const [fault = ''] = faultsOf(Type.Object({ a: Type.Literal('x') }), { a: 'y'.repeat(10_000) });
  assert.ok(fault.length < 120, fault);
});

test('what JSON cannot say is refused', () => {
  const any = Type.Unknown();
  assert.deepEqual(faultsOf(any, { a: undefined }), ['/a: expected a JSON value, got nothing']);
  assert.deepEqual(faultsOf(any, { a: 1n }), ['/a: expected a JSON value, got a bigint']);
  assert.deepEqual(faultsOf(any, [() => 1]), ['/0: expected a JSON value, got a function']);
  assert.deepEqual(faultsOf(any, { a: new Map() }), ['/a: expected a plain JSON object']);
  assert.deepEqual(faultsOf(any, { 'a\nb': 1 }), [
    '/a\nb: the key "a\\nb" is not allowed anywhere; expected a plain name',
  ]);
  assert.deepEqual(faultsOf(any, JSON.parse('{"__proto__": {"a": 1}}')), [
    '/__proto__: the key "__proto__" is not allowed anywhere; expected a plain name',
  ]);
});

test('depth and cycles end', () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  let deep: unknown = 0;
  for (let level = 0; level < 100_000; level++) deep = [deep];
  for (const value of [cycle, deep]) {
    assert.deepEqual(faultsOf(Type.Unknown(), value), [
      ': the document is nested over 64 levels deep; expected fewer',
    ]);
  }
});

test('a document that is wrong all over gets a bounded answer', () => {
  const rules = Array.from({ length: 10_000 }, () => ({ name: 5, percentage: 'x', match: { cidr: 5 } }));
  const faults = checkRollout({ rules });
  assert.equal(faults.length, 51);
  assert.match(faults.at(-1)?.detail ?? '', /^and \d+ more faults at least; correct these first$/);
  for (const fault of faults) assert.doesNotMatch(fault.detail, /must match/);
});

test('failures of many unions are looked at a bounded number of times each', () => {
  const reads = (count: number): number => {
    let read = 0;
    const failures = Array.from({ length: count }, (_, index) => `/headers/h${index}`).flatMap((pointer) =>
      ['anyOf/0/type', 'anyOf/1/type', 'anyOf'].map((end): Failure => {
        const path = `#/properties/headers/${end}`;
        const keyword = path.endsWith('type') ? 'type' : 'anyOf';
        const rest = { keyword, params: {}, schema: {}, value: 1, message: '' };
        const expected = [{ type: 'string' }, { type: 'array' }];
        return {
          ...rest,
          expected,
          get pointer() {
            read += 1;
            return pointer;
          },
          get schemaPath() {
            read += 1;
            return path;
          },
        };
      }),
    );
    assert.equal(reduceUnions(failures).length, count);
    return read / count;
  };
  assert.ok(reads(3000) <= reads(30) * 1.1, 'the work for one does not grow with their number');
});

test('an object with very many fields is not repeated in the fault', () => {
  const test = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}`, 'x']));
  const rules = [{ name: 'a', percentage: 1, match: { header: { x: test } } }];
  for (const { detail } of checkRollout({ rules })) assert.ok(detail.length < 500, detail.slice(0, 600));
});

test('property: never throws, and agrees with itself on what is right', () => {
  const part = fc.constantFrom(
    'rules',
    'name',
    'percentage',
    'match',
    'device',
    'os',
    'header',
    'cidr',
    'steps',
    'bake',
    'x',
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      fc.jsonValue({ maxDepth: 0 }),
      fc.dictionary(part, tie('tree'), { maxKeys: 4 }),
      fc.array(tie('tree'), { maxLength: 3 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      for (const fault of checkRollout(value)) {
        assert.equal(typeof fault.detail, 'string');
        assert.doesNotMatch(fault.detail, /must (match|have|be|NOT)|undefined|\[object/);
        assert.ok(fault.pointer === '' || fault.pointer.startsWith('/'));
      }
    }),
    { numRuns: 500 },
  );
});

test('property: one misspelt field anywhere in a good document is exactly one fault that names it', () => {
  const good = {
    rules: [
      {
        name: 'a',
        percentage: 5,
        match: { device: { model: 'iPhone' }, header: { 'x-v': { semver: '>=8' } } },
      },
      { name: 'everyone', percentage: 1 },
    ],
    steps: [{ percentage: 10, bake: '10m' }],
  };
  const places = ['rules', 'steps', 'percentage', 'match', 'device', 'header', 'model', 'semver'];
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.nat(), (place, at) => {
      const index = 1 + (at % (place.length - 1));
      const slip = place.slice(0, index) + place.slice(index + 1);
      const text = JSON.stringify(good).replace(`"${place}":`, `"${slip}":`);
      const faults = checkRollout(JSON.parse(text));
      assert.equal(faults.length, 1, JSON.stringify(faults));
      assert.match(
        faults[0]?.detail ?? '',
        new RegExp(`unknown field "${slip}"; did you mean "${place}"\\?`),
      );
    }),
  );
});
