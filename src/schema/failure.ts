/**
 * Puts one failed keyword of a schema into a sentence: what is wrong, what would be right.
 *
 * It quotes at most a few dozen characters of the value, and nothing at all of a field whose schema says
 * `writeOnly: true` (a secret).
 */
import type { Fault } from './faults.ts';
import { isRecord, joinPointer } from './json-value.ts';
import { nearest } from './nearest.ts';
import type { Failure } from './union.ts';

/** Names of one object's fields that are quoted. */
const MOST_NAMES = 10;

/** A fault, and the field that the author evidently meant where one was misspelt. */
export interface Described {
  readonly fault: Fault;
  readonly meant?: string;
}

export function describeFailure(failure: Failure): Described {
  const { pointer, schema, params, value } = failure;
  const got = schema['writeOnly'] === true ? kindOf(value) : quote(value);
  const say = (detail: string): Described => ({ fault: { pointer, detail } });
  switch (failure.keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return describeUnknown(failure, plain(params['additionalProperty'] ?? params['unevaluatedProperty']));
    case 'required':
      return say(
        `missing field "${plain(params['missingProperty'])}"${meaning(schema, params['missingProperty'])}`,
      );
    case 'propertyName':
      return say(describeName(String(value), schema));
    case 'exclusive':
      return say(
        `the fields "${plain(params['one'])}" and "${plain(params['other'])}" exclude each other; remove one`,
      );
    case 'type': {
      const meaning = schema['type'] === 'object' ? meaningOf(schema) : '';
      const found = schema['writeOnly'] === true ? kindOf(value) : describeValue(value);
      return say(`expected ${describeSchema(schema)}${meaning}, got ${found}`);
    }
    case 'const':
      return say(`expected ${quote(failure.expected)}, got ${got}`);
    case 'enum':
      return say(oneOf(Array.isArray(failure.expected) ? failure.expected : [], value));
    case 'union':
      return say(describeUnion(Array.isArray(failure.expected) ? failure.expected : [], value));
    case 'pattern':
    case 'format':
      return say(`expected ${describeText(schema)}, got ${got}`);
    case 'minimum':
    case 'exclusiveMinimum':
    case 'maximum':
    case 'exclusiveMaximum':
    case 'multipleOf':
      return say(`expected ${describeSchema(schema)}, got ${got}`);
    case 'minLength':
      return value === ''
        ? say(`expected ${describeText(schema)}, got an empty string`)
        : say(`expected at least ${plain(failure.expected)} characters, got ${got}`);
    case 'maxLength':
      return say(`expected at most ${plain(failure.expected)} characters, got ${lengthOf(value)}`);
    case 'minItems':
      return failure.expected === 1
        ? say(`expected at least one entry${meaningOf(schema)}, got an empty list`)
        : say(`expected at least ${plain(failure.expected)} entries, got ${lengthOf(value)}`);
    case 'maxItems':
      return say(`expected at most ${plain(failure.expected)} entries, got ${lengthOf(value)}`);
    case 'uniqueItems':
      return say(`expected each entry once, got the same at ${plain(params['i'])} and ${plain(params['j'])}`);
    case 'minProperties':
    case 'maxProperties':
      return say(describePropertyCount(schema, value));
    default:
      return say(failure.message);
  }
}

function describeUnknown(failure: Failure, key: string): Described {
  const pointer = joinPointer(failure.pointer, key);
  const properties = isRecord(failure.schema['properties']) ? Object.keys(failure.schema['properties']) : [];
  const [pattern] = isRecord(failure.schema['patternProperties'])
    ? Object.keys(failure.schema['patternProperties'])
    : [];
  if (properties.length === 0 && pattern !== undefined) {
    const names = isRecord(failure.schema['propertyNames']) ? failure.schema['propertyNames'] : { pattern };
    return { fault: { pointer, detail: describeName(key, names) } };
  }
  const present = isRecord(failure.value) ? failure.value : {};
  // A field that is there already was not misspelt.
  const meant = nearest(
    key,
    properties.filter((name) => !Object.hasOwn(present, name)),
  );
  if (meant !== undefined) {
    return { fault: { pointer, detail: `unknown field ${quote(key)}; did you mean "${meant}"?` }, meant };
  }
  const known = properties.length === 0 ? 'expected none here' : `expected ${anyOfNames(properties)}`;
  return { fault: { pointer, detail: `unknown field ${quote(key)}; ${known}` } };
}

function describeName(name: string, schema: Failure['schema']): string {
  return `the name ${quote(name)} is not valid; expected ${describeText(schema)}`;
}

function describePropertyCount(schema: Failure['schema'], value: unknown): string {
  const names = isRecord(schema['properties']) ? Object.keys(schema['properties']) : [];
  const given = isRecord(value) ? Object.keys(value) : [];
  const more = given.length > MOST_NAMES ? ` and ${given.length - MOST_NAMES} more` : '';
  const shown = given.slice(0, MOST_NAMES).map((name) => quote(name));
  const got = given.length === 0 ? 'none' : `${shown.join(' and ')}${more}`;
  const count =
    schema['minProperties'] === 1 && schema['maxProperties'] === 1
      ? 'exactly one'
      : given.length === 0
        ? 'at least one'
        : schema['maxProperties'] === undefined
          ? `at least ${plain(schema['minProperties'])}`
          : `at most ${plain(schema['maxProperties'])}`;
  return names.length === 0
    ? `expected ${count} ${count.endsWith('one') ? 'entry' : 'entries'}, got ${given.length === 0 ? 'none' : given.length}`
    : `expected ${count} of the fields ${anyOfNames(names)}, got ${got}`;
}

function describeUnion(branches: readonly unknown[], value: unknown): string {
  const constants = branches.map((branch) => (isRecord(branch) ? branch['const'] : undefined));
  if (constants.length > 0 && constants.every((constant) => constant !== undefined))
    return oneOf(constants, value);
  if (isRecord(value)) {
    const fields = branches.flatMap((branch) => firstRequired(branch));
    if (fields.length === branches.length) {
      return `expected one of the fields ${anyOfNames([...new Set(fields)])}, got none of them`;
    }
  }
  const hint =
    typeof value === 'string'
      ? nearest(
          value,
          constants.filter((constant) => typeof constant === 'string'),
        )
      : undefined;
  const kinds = [...new Set(branches.map((branch) => describeSchema(branch)))];
  return `expected ${joined(kinds, 'or')}, got ${describeValue(value)}${hint === undefined ? '' : `; did you mean "${hint}"?`}`;
}

function firstRequired(schema: unknown): string[] {
  const required = isRecord(schema) && Array.isArray(schema['required']) ? schema['required'] : [];
  return required.slice(0, 1).map(String);
}

function oneOf(values: readonly unknown[], value: unknown): string {
  const hint =
    typeof value === 'string'
      ? nearest(
          value,
          values.filter((one) => typeof one === 'string'),
        )
      : undefined;
  const list = joined(
    values.map((one) => quote(one)),
    'or',
  );
  return `expected ${list}, got ${quote(value)}${hint === undefined ? '' : `; did you mean "${hint}"?`}`;
}

/** What a schema asks for, as a noun phrase: "a list of strings", "a number from 0 to 100", "a duration such as 10m". */
function describeSchema(schema: unknown): string {
  if (!isRecord(schema)) return 'something else';
  if (schema['const'] !== undefined) return quote(schema['const']);
  const branches = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(branches))
    return joined([...new Set(branches.map((branch) => describeSchema(branch)))], 'or');
  switch (schema['type']) {
    case 'string':
      return schema['pattern'] === undefined ? 'a string' : describeText(schema);
    case 'boolean':
      return 'true or false';
    case 'number':
      return `a number${range(schema)}`;
    case 'integer':
      return `a whole number${range(schema)}`;
    case 'null':
      return 'null';
    case 'array':
      return isRecord(schema['items']) && schema['items']['type'] === 'string'
        ? 'a list of strings'
        : 'a list';
    case 'object': {
      const names = isRecord(schema['properties']) ? Object.keys(schema['properties']) : [];
      return names.length === 0 ? 'an object' : `an object with ${anyOfNames(names)}`;
    }
    default:
      return 'another value';
  }
}

/** A string that must look a certain way. Schemas say what in their description; it is shown up to the first `;`. */
function describeText(schema: Failure['schema']): string {
  const description = schema['description'];
  if (typeof description === 'string') return (description.split(';')[0] ?? description).trim();
  const pattern = schema['pattern'];
  if (pattern === '^/') return 'a string that begins with "/"';
  return typeof pattern === 'string' ? `a string that matches ${pattern}` : 'a string that is not empty';
}

function meaning(schema: Failure['schema'], name: unknown): string {
  const properties = schema['properties'];
  return isRecord(properties) && typeof name === 'string' && isRecord(properties[name])
    ? meaningOf(properties[name])
    : '';
}

function meaningOf(schema: Failure['schema']): string {
  return typeof schema['description'] === 'string' ? ` (${schema['description']})` : '';
}

function range({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Failure['schema']): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${plain(minimum)} to ${plain(maximum)}`;
  const bounds = [
    minimum === undefined ? '' : ` of at least ${plain(minimum)}`,
    exclusiveMinimum === undefined ? '' : ` above ${plain(exclusiveMinimum)}`,
    maximum === undefined ? '' : ` of at most ${plain(maximum)}`,
    exclusiveMaximum === undefined ? '' : ` below ${plain(exclusiveMaximum)}`,
  ];
  return bounds.filter((bound) => bound !== '').join(' and');
}

/** A part of a schema or of a failure's parameters, which are strings and numbers. */
function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A value in a message: its kind, and the value itself where it is short. */
function describeValue(value: unknown): string {
  if (typeof value === 'string') return `the string ${quote(value)}`;
  if (typeof value === 'number') return `the number ${value}`;
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'boolean' ? String(value) : `a ${typeof value}`;
}

function lengthOf(value: unknown): string {
  return typeof value === 'string' || Array.isArray(value) ? String(value.length) : kindOf(value);
}

function quote(value: unknown): string {
  if (typeof value === 'object' && value !== null) return kindOf(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length <= 60 ? text : `${text.slice(0, 57)}…"`;
}

function anyOfNames(names: readonly string[]): string {
  return joined(
    names.map((name) => `"${name}"`),
    'or',
  );
}

function joined(parts: readonly string[], word: 'or' | 'and'): string {
  if (parts.length <= 1) return parts[0] ?? 'nothing';
  return `${parts.slice(0, -1).join(', ')} ${word} ${parts.at(-1)}`;
}
