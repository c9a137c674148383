/** Answers as people read them at a terminal: short tables and sentences. Nothing here decides anything. */
import { columnsOf, visibleLine } from '../schema/visible-text.ts';
import type { Json } from './json.ts';

/** Columns as wide as their widest entry, two spaces apart; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => columnsOf(row[column] ?? ''))),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - columnsOf(cell))))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function record(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

export function records(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(record) : [];
}

/** A value in a cell or a sentence. */
export function plain(value: unknown): string {
  if (value === undefined || value === null) return '-';
  if (typeof value === 'string') return visibleLine(value);
  return typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : visibleLine(JSON.stringify(value));
}

export function changeLine(change: Json): string {
  const { kind, service, status, progress, revision } = change;
  const what = `${plain(kind)} of ${plain(service)}: ${plain(status)}, ${plain(progress)}, revision ${plain(revision)}`;
  const notes = [
    ...(change['degraded'] === true ? ['in force, but the store does not have it yet'] : []),
    ...records(change['decreases']).map(({ detail }) => `moves users back: ${plain(detail)}`),
    ...(Array.isArray(change['warnings']) ? change['warnings'].map((one) => `warning: ${plain(one)}`) : []),
  ];
  return [what, ...notes.map((note) => `  ${note}`)].join('\n');
}

export function differenceLine({ op, pointer, name, from, to }: Json): string {
  const place = `${pointer === '' ? 'the document' : plain(pointer)}${name === undefined ? '' : ` (${plain(name)})`}`;
  if (op === 'add') return `+ ${place}: ${plain(to)}`;
  return op === 'remove' ? `- ${place}: ${plain(from)}` : `~ ${place}: ${plain(from)} → ${plain(to)}`;
}

/** The decision, then rule by rule. */
export function explanation(body: Json): string {
  const decision = record(body['decision']);
  const identity = record(body['identity']);
  const lines = [
    `${plain(decision['variant'])}, because: ${plain(decision['reason'])}${decision['rule'] === null ? '' : ` "${plain(decision['rule'])}"`}`,
    `phase ${plain(body['phase'])}, epoch ${plain(decision['epoch'])}, revision ${plain(decision['revision'])}`,
    `identity: ${plain(identity['tier'])} ${plain(identity['name'])} ${plain(identity['value'])}, bucket ${plain(identity['bucket'])}`,
  ];
  const show = (kind: string, rule: Json): void => {
    const share = rule['percentage'] === undefined ? '' : ` ${plain(rule['percentage'])} %`;
    const admits =
      rule['admitsBucket'] === undefined || rule['matches'] !== true
        ? ''
        : rule['admitsBucket'] === true
          ? ', admits the bucket'
          : ', does not admit the bucket';
    lines.push(
      `${kind} "${plain(rule['name'])}"${share}: ${rule['matches'] === true ? 'matches' : 'does not match'}${admits}`,
    );
    for (const { kind: what, name, expected, seen, holds } of records(rule['conditions'])) {
      const label = `${plain(what)}${name === '' ? '' : ` ${plain(name)}`}`;
      lines.push(
        `  ${holds === true ? 'yes' : 'no '}  ${label} ${plain(expected)}; the request has ${plain(seen)}`,
      );
    }
  };
  for (const rule of records(body['exclude'])) show('exclude', rule);
  for (const rule of records(body['rules'])) show('rule', rule);
  if (body['omitted'] !== undefined) lines.push(`${plain(body['omitted'])} more rules are left out`);
  return lines.join('\n');
}
