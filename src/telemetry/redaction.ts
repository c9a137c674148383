/**
 * Keeps credentials out of the log: fields are judged by their names, texts by what such values look like.
 *
 * It is the last line of defence, not a licence to log headers. It never changes what it was given, and never throws,
 * whatever getters and `toJSON` methods do.
 */

export const REDACTED = '[redacted]';

/** Names, lower case, whose values are never shown; only the part after the last dot counts. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'cookies',
  'set-cookie',
  'setcookies',
  'x-serin-override',
  'serin_override',
  'override_token',
  'token',
  'tokens',
  'secret',
  'secrets',
  'password',
]);

/** Deeper than this an object is not shown at all. */
const DEEPEST = 6;

/**
 * Texts that hold a secret; the first group stays. They are searched in finished lines, so no match may cross a quote
 * or a backslash, which would break the JSON around it.
 */
const SECRET_TEXTS: readonly RegExp[] = [
  // Not plain words: "basic facts" are no secret.
  /\b((?:[Bb]earer|BEARER|[Bb]asic|BASIC)\s+)(?=[a-z]*[\dA-Z_.~+/=-]|[a-z]{16})[\w.~+/=-]+/g,
  /\b((?:proxy-)?authorization\s*[:=]\s*(?:(?:bearer|basic)\s+)?)[^"\\\s][^"\\]*/gi,
  /\b((?:set-)?cookie\s*[:=]\s*)[^"\\\s][^"\\]*/gi,
  /\b(x-serin-override\s*[:=]\s*)[^"\\\s]+/gi,
  /\b(serin_(?:id|override|latch_[\w.-]+)\s*=\s*)[^"\\;,\s]+/gi,
];

/** `line` without the secrets that its texts quote, such as `Bearer abc` or `serin_override=abc`. */
export function redactText(line: string): string {
  let safe = line;
  for (const pattern of SECRET_TEXTS) safe = safe.replace(pattern, `$1${REDACTED}`);
  return safe;
}

/**
 * The fields of a log record, made safe to show: values of secret names are replaced at any depth, and an error under
 * `err` or `error` becomes OpenTelemetry's `exception.type`, `exception.message`, `exception.stacktrace` and `error.type`
 * (its code, else its name) with nothing of its other properties.
 */
export function redactFields(fields: { readonly [name: string]: unknown }): Record<string, unknown> {
  try {
    return safeFields(fields);
  } catch {
    return { 'serin.unprintable': true };
  }
}

function safeFields(fields: { readonly [name: string]: unknown }): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Error && (name === 'err' || name === 'error')) {
      const described = describeError(value);
      safe['error.type'] ??= described.code;
      safe['exception.type'] = described.type;
      safe['exception.message'] = described.message;
      safe['exception.stacktrace'] = described.stack;
    } else {
      safe[name] = redactValue(name, value, 0);
    }
  }
  return safe;
}

function redactValue(name: string, value: unknown, depth: number): unknown {
  if (isSecretName(name) && value !== null && value !== undefined) return REDACTED;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) {
    const { code, message } = describeError(value);
    return { 'error.type': code, 'exception.message': message };
  }
  if (depth === DEEPEST) return '[…]';
  if (Array.isArray(value)) {
    // Node's raw header lists have names and values by turns.
    return value.map((item, index) => {
      const before: unknown = index === 0 ? undefined : value[index - 1];
      return redactValue(typeof before === 'string' ? before : '', item, depth + 1);
    });
  }
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map) return redactValue('', Object.fromEntries(value), depth);
  if (value instanceof Set) return redactValue('', [...value], depth);
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return redactValue('', (value as { toJSON: () => unknown }).toJSON(), depth + 1);
  }
  const safe: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) safe[key] = redactValue(key, inner, depth + 1);
  return safe;
}

function isSecretName(name: string): boolean {
  return SECRET_NAMES.has(name.slice(name.lastIndexOf('.') + 1).toLowerCase());
}

function describeError(error: Error): { code: string; type: string; message: string; stack: string } {
  const code: unknown = 'code' in error ? error.code : undefined;
  let stack = error.stack ?? '';
  for (
    let cause = error.cause, depth = 0;
    cause instanceof Error && depth < DEEPEST;
    cause = cause.cause, depth++
  ) {
    stack += `\ncaused by: ${cause.stack ?? cause.message}`;
  }
  return {
    code: typeof code === 'string' ? code : error.name,
    type: error.name,
    message: error.message,
    stack,
  };
}
