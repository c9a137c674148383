/** Texts of conditions: lists of one or many, in documents and for people. */
import { Type } from 'typebox';

export const closed = { additionalProperties: false } as const;

export const oneOrMany = (description: string) =>
  Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
    description,
  });

export function list(oneOrMany: string | readonly string[]): readonly string[] {
  return typeof oneOrMany === 'string' ? [oneOrMany] : oneOrMany;
}

/** Each value with its pointer: that of the field itself, or of an element. */
export function places(
  given: string | readonly string[] | undefined,
  at: string,
): (readonly [string, string])[] {
  if (given === undefined) return [];
  return typeof given === 'string' ? [[given, at]] : given.map((value, index) => [value, `${at}/${index}`]);
}

/** Names of fields and methods (RFC 9110, section 5.6.2), within a bound. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

/** Of a long text the beginning: a policy has ten thousand values of eight thousand characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length <= 200 ? text : `${text.slice(0, 200)}…`);
}

/** A short list for people. */
export function oneOf(texts: readonly string[]): string {
  if (texts.length === 1) return quote(texts[0]!);
  const shown = texts.slice(0, 10).map(quote).join(', ');
  return `one of ${shown}${texts.length > 10 ? ` and ${texts.length - 10} more` : ''}`;
}

export function lowerSet(texts: readonly string[]): Set<string> {
  return new Set(texts.map((text) => text.toLowerCase()));
}

export function upperSet(texts: readonly string[]): Set<string> {
  return new Set(texts.map((text) => text.toUpperCase()));
}

/** Whether the list holds all of the items. */
export function holdsAll(list: string | readonly string[], items: string | readonly string[]): boolean {
  const held = new Set(typeof list === 'string' ? [list] : list);
  return (typeof items === 'string' ? [items] : items).every((item) => held.has(item));
}
