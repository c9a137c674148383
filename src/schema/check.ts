/**
 * Checks a value against a JSON Schema and says in plain words what is wrong and what would be right.
 *
 * It promises one useful fault per mistake: an unknown key names the nearest valid one, and a union is reported by the
 * branch that was evidently meant. It must never put a whole document into a message, and never throws on bad input.
 */
import type { ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { TSchema } from 'typebox';
import type { Fault } from './faults.ts';
import { describeFailure } from './failure.ts';
import { joinPointer, unfitForJson } from './json-value.ts';
import { type Failure, reduceUnions } from './union.ts';

/**
 * Failures of one place of the schema that are looked at: a document that is wrong all over fails there again and again, and must
 * cost little. More than the faults that are told, so that the last of them can say that there are more.
 */
const MOST_ALIKE = 60;

/**
 * All schemas are the program's own, so none is checked against the schema of schemas: that took most of a process's start. A test does
 * it instead.
 */
const ajv = new Ajv2020({
  allErrors: true,
  strict: true,
  verbose: true,
  allowUnionTypes: true,
  validateSchema: false,
});

/** More faults than anybody corrects in one go; the rest are counted in the last one. */
const MOST_FAULTS = 50;

/**
 * Compiles `schema` once; the function it returns gives the faults of a value, `[]` when there are none.
 *
 * Pointers are RFC 6901 from the value's root; that of an unknown field names the field itself. NaN, infinities and
 * whatever else JSON cannot say are refused. The schema may not use `$ref`.
 */
export function checkSchema(schema: TSchema): (value: unknown) => Fault[] {
  const validate = ajv.compile(schema);
  return (value) => {
    const unfit = unfitForJson(value);
    if (unfit.length > 0) return unfit;
    if (validate(value)) return [];
    // What a name's own schema says of it comes as failures of the name; that there were some is no news.
    const errors = (validate.errors ?? []).filter((error) => error.keyword !== 'propertyNames');
    return report(thinned(errors).map(toFailure));
  };
}

/** The first errors of each place of the schema, in their order. All branches of one union's failure are kept or left out alike. */
function thinned(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  if (errors.length <= MOST_ALIKE) return errors;
  const seen = new Map<string, number>();
  return errors.filter(({ schemaPath }) => {
    const count = (seen.get(schemaPath) ?? 0) + 1;
    seen.set(schemaPath, count);
    return count <= MOST_ALIKE;
  });
}

function toFailure(error: ErrorObject): Failure {
  if (error.propertyName !== undefined) {
    return {
      pointer: joinPointer(error.instancePath, error.propertyName),
      schemaPath: error.schemaPath,
      keyword: 'propertyName',
      params: {},
      expected: undefined,
      schema: error.parentSchema ?? {},
      value: error.propertyName,
      message: '',
    };
  }
  return {
    pointer: error.instancePath,
    schemaPath: error.schemaPath,
    keyword: error.keyword,
    params: error.params,
    expected: error.schema,
    schema: error.parentSchema ?? {},
    value: error.data,
    message: error.message ?? 'is not valid',
  };
}

function report(failures: readonly Failure[]): Fault[] {
  const faults = new Map<string, Fault>();
  const reduced = reduceUnions(failures);
  const misspelt = new Set<string>();
  for (const failure of reduced) {
    const { fault, meant } = describeFailure(failure);
    if (meant !== undefined) misspelt.add(`${failure.pointer}\n${meant}`);
    faults.set(`${fault.pointer}\n${fault.detail}`, fault);
  }
  // Who wrote "percentge" does not need to hear that "percentage" is missing as well.
  for (const failure of reduced) {
    const missing: unknown = failure.keyword === 'required' ? failure.params['missingProperty'] : undefined;
    if (typeof missing === 'string' && misspelt.has(`${failure.pointer}\n${missing}`)) {
      const { fault } = describeFailure(failure);
      faults.delete(`${fault.pointer}\n${fault.detail}`);
    }
  }
  const all = [...faults.values()];
  if (all.length <= MOST_FAULTS) return all;
  return [
    ...all.slice(0, MOST_FAULTS),
    { pointer: '', detail: `and ${all.length - MOST_FAULTS} more faults at least; correct these first` },
  ];
}
