/**
 * Reads a request body: JSON or YAML text to plain values.
 *
 * It promises to refuse what two readers could read differently: text that is not UTF-8, and keys that are there twice;
 * and what is nested so deep that walking through it could exhaust the stack.
 * Numbers that JSON cannot say (1e999) come out infinite and are refused by every schema check.
 */
import { readYaml } from '../schema/yaml-document.ts';
import { DocumentError } from '../schema/faults.ts';
import { joinPointer } from '../schema/json-value.ts';
import type { DocumentBody } from '../rollout/write-request.ts';

/** The value; undefined for an empty body. Throws DocumentError `malformed_body`. */
export function parseBody({ bytes, format }: DocumentBody): unknown {
  return format === 'json' ? parseJson(bytes) : parseYaml(bytes);
}

function parseYaml(bytes: Uint8Array): unknown {
  const read = readYaml(bytes);
  if (Array.isArray(read))
    throw new DocumentError('malformed_body', 'The body cannot be read as YAML.', read);
  return read.value;
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw malformed('it is not UTF-8 text; JSON is sent in UTF-8', '');
  }
  if (text.trim() === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const [, at] = /position (\d+)/.exec(String(error)) ?? [];
    const before = text.slice(0, at === undefined ? text.length : Number(at)).split('\n');
    throw malformed(
      `it is not JSON: unexpected text or end at line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`,
      '',
      before.length,
    );
  }
  if (isTooDeep(value, MOST_LEVELS)) throw malformed(`it has more than ${MOST_LEVELS} levels`, '');
  const duplicate = findDuplicateKey(text);
  if (duplicate !== null) throw malformed('this key is there twice; keep one', duplicate);
  return value;
}

/** No document has more than ten. */
const MOST_LEVELS = 100;

function isTooDeep(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((one) => isTooDeep(one, levels - 1));
}

function malformed(detail: string, pointer: string, line?: number): DocumentError {
  const fault = { pointer, detail, ...(line === undefined ? {} : { line }) };
  return new DocumentError('malformed_body', 'The body cannot be read.', [fault]);
}

/** One object or list around the place that is read. */
interface Level {
  /** Null for a list. */
  readonly keys: Set<string> | null;
  /** The key or index that is being read. */
  at: string | number;
}

/** The pointer of the first key that its object holds twice, or null. `text` is valid JSON. */
export function findDuplicateKey(text: string): string | null {
  const levels: Level[] = [];
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
        levels.push({ keys: new Set(), at: '' });
        break;
      case 0x5b: // [
        levels.push({ keys: null, at: 0 });
        break;
      case 0x7d: // }
      case 0x5d: // ]
        levels.pop();
        break;
      case 0x2c: {
        // ,
        const level = levels.at(-1);
        if (level?.keys === null) level.at = Number(level.at) + 1;
        break;
      }
      case 0x22: {
        // "
        const end = endOfString(text, at);
        const level = levels.at(-1);
        if (level !== undefined && level.keys !== null && isKey(text, end)) {
          // An escaped key is the same key.
          const raw = text.slice(at + 1, end);
          const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
          level.at = key;
          if (level.keys.has(key)) return levels.reduce((pointer, one) => joinPointer(pointer, one.at), '');
          level.keys.add(key);
        }
        at = end;
        break;
      }
    }
  }
  return null;
}

/** The index of the quote that ends the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end;
  }
}

function isKey(text: string, end: number): boolean {
  for (let at = end + 1; ; at++) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code === 0x3a;
  }
}
