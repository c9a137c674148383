/**
 * Commands that change something: the policy document, its actions, changes.
 *
 * Every write names its request, so that the API knows a second delivery of it; no document is replaced that its author
 * has not seen.
 */
import { randomUUID } from 'node:crypto';
import { parseBody } from '../helper/parse-body.ts';
import { DocumentError } from '../schema/faults.ts';
import { etagOf } from '../rollout/precondition.ts';
import { isRecord } from '../schema/json-value.ts';
import { readRegular } from '../files/regular-file.ts';
import { fileTrouble } from '../schema/thrown.ts';
import { waitForChange } from './api.ts';
import { type Json } from './json.ts';
import { type Command, flag, print, servicePath, string } from './command.ts';
import { CommandError, EXIT, UsageError } from './failure.ts';
import {
  type Invocation,
  number,
  type Surroundings,
  text,
  type Values,
  waitTimeout,
  WRITE,
} from './options.ts';
import { changeLine, differenceLine, plain, record, records } from './show.ts';

const ALLOW = { 'allow-decrease': flag } as const;

export const WRITE_COMMANDS: Readonly<Record<string, Command>> = {
  'rollout put': {
    words: ['SERVICE', 'FILE'],
    options: { ...WRITE, ...ALLOW },
    run: (invocation, surroundings) => sendDocument('PUT', invocation, surroundings),
  },
  'rollout patch': {
    words: ['SERVICE', 'FILE'],
    options: { ...WRITE, ...ALLOW },
    run: (invocation, surroundings) => sendDocument('PATCH', invocation, surroundings),
  },
  'rollout percentage': {
    words: ['SERVICE', 'PERCENTAGE'],
    options: { ...WRITE, ...ALLOW, rule: string },
    run: (invocation, surroundings) => {
      const percentage = number('PERCENTAGE', invocation.words[1]!);
      const { rule } = invocation.values;
      return act('percentage', invocation, surroundings, {
        percentage,
        ...(rule === undefined ? {} : { rule }),
      });
    },
  },
  'rollout step': {
    words: ['SERVICE'],
    options: { ...WRITE, from: string },
    run: (invocation, surroundings) => {
      const from = text(invocation.values, 'from');
      return act(
        'step',
        invocation,
        surroundings,
        from === undefined ? {} : { from: number('--from', from) },
      );
    },
  },
  'rollout restore': {
    words: ['SERVICE', 'REVISION'],
    options: { ...WRITE, ...ALLOW },
    run: (invocation, surroundings) => {
      const [service, revision] = invocation.words;
      return write(
        `${servicePath(service!)}/history/${number('REVISION', revision!)}/restore`,
        invocation,
        surroundings,
        {},
      );
    },
  },
  'change cancel': {
    words: ['ID'],
    options: { reason: string },
    run: async ({ api, words, values }, surroundings) => {
      const reason = text(values, 'reason');
      const body = JSON.stringify(reason === undefined ? {} : { reason });
      const answer = await api.request('POST', `/v1/changes/${encodeURIComponent(words[0]!)}/cancel`, {
        body,
      });
      return print(surroundings, values, answer.body, () => changeLine(answer.body));
    },
  },
  ...Object.fromEntries(
    ['promote', 'finish', 'rollback', 'pause', 'resume'].map((action): [string, Command] => [
      `rollout ${action}`,
      {
        words: ['SERVICE'],
        options: WRITE,
        run: (invocation, surroundings) => act(action, invocation, surroundings, {}),
      },
    ]),
  ),
};

/** The document's own revision is the one that its author has seen; else the present one is taken for seen. */
async function sendDocument(
  method: 'PUT' | 'PATCH',
  invocation: Invocation,
  surroundings: Surroundings,
): Promise<number> {
  const { api, words, values } = invocation;
  const [service, file] = words;
  const path = `${servicePath(service!)}/rollout`;
  checkWait(values);
  const document = await readDocument(file!, surroundings);
  const revision = record(document['status'])['revision'];
  const seen = typeof revision === 'number' ? etagOf(revision) : undefined;
  const ifMatch =
    text(values, 'if-match') ?? seen ?? (await api.request('GET', path, { allowed: 404 })).etag ?? undefined;
  const query = new URLSearchParams(writeFields(values));
  if (values['allow-decrease'] === true) query.set('allowDecrease', 'true');
  if (values['dry-run'] === true) query.set('dryRun', 'true');
  const { status: _status, ...policy } = document;
  const { body } = await api.request(method, `${path}?${query.toString()}`, {
    body: JSON.stringify(policy),
    contentType: method === 'PUT' ? 'application/json' : 'application/merge-patch+json',
    ifMatch,
  });
  return finish(invocation, surroundings, body);
}

/** The largest document that the API takes, in bytes. */
const MOST_BYTES = 16 * 1024 * 1024;

async function readDocument(file: string, { stdin }: Surroundings): Promise<Json> {
  let content: string;
  try {
    content = file === '-' ? await stdin() : new TextDecoder().decode(await readRegular(file, MOST_BYTES));
  } catch (error) {
    throw new CommandError(`cannot read ${plain(file)}: ${fileTrouble(error)}`, EXIT.usage);
  }
  try {
    // YAML is read as such, and JSON is YAML but for keys that are there twice: those YAML refuses as well.
    const value = parseBody({ bytes: Buffer.from(content), format: 'yaml' });
    if (isRecord(value)) return value;
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new CommandError(`${plain(file)}: ${error.message}`, EXIT.refused);
  }
  throw new CommandError(
    `${plain(file)} holds no rollout document; expected an object with "rules"`,
    EXIT.refused,
  );
}

/** Every write names its request, so that the API knows a second delivery of it. */
function writeFields(values: Values): { requestId: string; reason?: string } {
  const reason = text(values, 'reason');
  return {
    requestId: text(values, 'request-id') ?? randomUUID(),
    ...(reason === undefined ? {} : { reason }),
  };
}

function act(
  action: string,
  invocation: Invocation,
  surroundings: Surroundings,
  fields: Json,
): Promise<number> {
  return write(`${servicePath(invocation.words[0]!)}/rollout/${action}`, invocation, surroundings, fields);
}

async function write(
  path: string,
  invocation: Invocation,
  surroundings: Surroundings,
  fields: Json,
): Promise<number> {
  const { api, values } = invocation;
  checkWait(values);
  const allowDecrease = values['allow-decrease'] === true ? { allowDecrease: true } : {};
  const body = JSON.stringify({ ...fields, ...writeFields(values), ...allowDecrease });
  const query = values['dry-run'] === true ? '?dryRun=true' : '';
  const answer = await api.request('POST', path + query, { body, ifMatch: text(values, 'if-match') });
  return finish(invocation, surroundings, answer.body);
}

/** A wrong `--timeout` is said before anything is written. */
function checkWait(values: Values): void {
  if (values['wait'] !== true) return;
  waitTimeout(values);
  if (values['dry-run'] === true)
    throw new UsageError('--dry-run makes no change that --wait could wait for');
}

/** Shows the change; with `--wait`, as it ends. Anything but APPLIED is then a failure. */
async function finish(invocation: Invocation, surroundings: Surroundings, body: Json): Promise<number> {
  const { api, values } = invocation;
  if (values['dry-run'] === true) return showDryRun(values, surroundings, body);
  if (values['wait'] !== true) return print(surroundings, values, body, () => changeLine(body));
  const final = await waitForChange(
    api,
    body,
    waitTimeout(values),
    surroundings.clock,
    ({ status, progress }) => surroundings.err(`${plain(status)}, ${plain(progress)}\n`),
  );
  print(surroundings, values, final, () => changeLine(final));
  return final['status'] === 'APPLIED' ? EXIT.ok : EXIT.refused;
}

function showDryRun(values: Values, surroundings: Surroundings, body: Json): number {
  const refusal = record(body['refusal']);
  const refused = body['refusal'] !== null;
  print(surroundings, values, body, () =>
    [
      ...records(body['diff']).map(differenceLine),
      ...records(body['decreases']).map(({ detail }) => `moves users back: ${plain(detail)}`),
      ...(Array.isArray(body['warnings']) ? body['warnings'].map((one) => `warning: ${plain(one)}`) : []),
      refused
        ? `would be refused: ${plain(refusal['code'])}: ${plain(refusal['detail'])}`
        : 'would be accepted',
    ].join('\n'),
  );
  return refused ? EXIT.refused : EXIT.ok;
}
