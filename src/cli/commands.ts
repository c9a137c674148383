/** The commands over the API: what each takes, sends and shows. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ParseArgsOptionsConfig } from 'node:util';
import { stringify } from 'yaml';
import { parseBody } from '../admin/parse-body.ts';
import { DocumentError } from '../policy/faults.ts';
import { etagOf } from '../rollout/precondition.ts';
import { isRecord } from '../schema/json-value.ts';
import { type Json, waitForChange } from './api.ts';
import { CommandError, EXIT, UsageError } from './failure.ts';
import {
  type Invocation,
  number,
  readInvocation,
  type Surroundings,
  text,
  type Values,
  waitTimeout,
  WRITE,
} from './options.ts';
import { changeLine, differenceLine, explanation, plain, record, records, table } from './show.ts';

interface Command {
  /** Names of its words, in upper case as the help has them. */
  readonly words: readonly string[];
  readonly options: ParseArgsOptionsConfig;
  readonly run: (invocation: Invocation, surroundings: Surroundings) => Promise<number>;
}

const string = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const several = { type: 'string', multiple: true } as const;
const ALLOW = { 'allow-decrease': flag } as const;

/** By the words that name them. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  status: { words: [], options: {}, run: status },
  services: { words: [], options: {}, run: services },
  explain: {
    words: ['SERVICE'],
    options: {
      method: string,
      path: string,
      header: { ...several, short: 'H' },
      client: string,
      identity: string,
      secure: flag,
      revision: string,
    },
    run: explain,
  },
  history: { words: ['SERVICE'], options: { limit: string, before: string }, run: history },
  'rollout get': { words: ['SERVICE'], options: {}, run: getRollout },
  'rollout put': {
    words: ['SERVICE', 'FILE'],
    options: { ...WRITE, ...ALLOW, 'dry-run': flag },
    run: putRollout,
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
      return write(`${servicePath(service!)}/history/${revision}/restore`, invocation, surroundings, {});
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

/** Runs the command that `args` name; undefined where they name none of these. */
export async function runCommand(
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number | undefined> {
  for (const length of [2, 1]) {
    const command = COMMANDS[args.slice(0, length).join(' ')];
    if (command === undefined || args.length < length) continue;
    const invocation = readInvocation(args.slice(length), command.words, command.options, surroundings);
    return command.run(invocation, surroundings);
  }
  return undefined;
}

function servicePath(service: string): string {
  return `/v1/services/${encodeURIComponent(service)}`;
}

/** Prints the answer as JSON or YAML where that is asked for, else as `lines` has it. */
function print({ out }: Surroundings, values: Values, body: Json, lines: () => string): number {
  if (values['json'] === true) out(`${JSON.stringify(body, null, 2)}\n`);
  else if (values['yaml'] === true) out(stringify(body));
  else out(`${lines()}\n`);
  return EXIT.ok;
}

async function status({ api, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const [listed, fleet] = await Promise.all([
    api.request('GET', '/v1/services'),
    api.request('GET', '/v1/fleet'),
  ]);
  const body = { ...listed.body, fleet: fleet.body };
  return print(surroundings, values, body, () => {
    const replicas = records(fleet.body['replicas']).map(({ name, state, revision, workers }) => {
      const count = records(workers).length;
      return `${plain(name)}: ${plain(state)}, ${count} ${count === 1 ? 'worker' : 'workers'} at revision ${plain(revision)} of ${plain(fleet.body['revision'])}`;
    });
    return [rolloutTable(listed.body), '', ...replicas].join('\n');
  });
}

async function services({ api, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const { body } = await api.request('GET', '/v1/services');
  return print(surroundings, values, body, () => {
    const rows = records(body['services']).map(({ name, hosts, status: state, stable, canary }) => [
      plain(name),
      plain(record(state)['source']),
      Array.isArray(hosts) ? hosts.map(plain).join(',') : '-',
      endpoints(stable),
      endpoints(canary),
    ]);
    return table([['SERVICE', 'SOURCE', 'HOSTS', 'STABLE', 'CANARY'], ...rows]);
  });
}

function endpoints(variant: unknown): string {
  const list = record(variant)['endpoints'];
  return Array.isArray(list) && list.length > 0 ? list.map(plain).join(',') : '-';
}

function rolloutTable(body: Json): string {
  const rows = records(body['services']).map(({ name, status: state }) => {
    const { revision, rollout } = record(state);
    const { phase, epoch, startedAt } = record(rollout);
    return [plain(name), plain(phase), plain(epoch), plain(revision), plain(startedAt)];
  });
  return table([['SERVICE', 'PHASE', 'EPOCH', 'REVISION', 'STARTED'], ...rows]);
}

async function explain({ api, words, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const headers: Record<string, string[]> = {};
  for (const line of (values['header'] as string[] | undefined) ?? []) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new UsageError(`a header is "name: value", not "${line}"`);
    (headers[name.trim()] ??= []).push(value);
  }
  const { method, path, client, identity, secure, revision } = values;
  const described = {
    headers,
    ...(method === undefined ? {} : { method }),
    ...(path === undefined ? {} : { path }),
    ...(client === undefined ? {} : { clientAddress: client }),
    ...(identity === undefined ? {} : { identity }),
    ...(secure === undefined ? {} : { secure }),
    ...(typeof revision === 'string' ? { revision: number('--revision', revision) } : {}),
  };
  const { body } = await api.request('POST', `${servicePath(words[0]!)}/explain`, {
    body: JSON.stringify(described),
  });
  return print(surroundings, values, body, () => explanation(body));
}

async function history({ api, words, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const query = new URLSearchParams();
  for (const name of ['limit', 'before']) {
    const value = text(values, name);
    if (value !== undefined) query.set(name, value);
  }
  const { body } = await api.request('GET', `${servicePath(words[0]!)}/history?${query.toString()}`);
  return print(surroundings, values, body, () =>
    records(body['history'])
      .map(({ revision, at, kind, actor, reason, diff }) =>
        [
          `${plain(revision)}  ${plain(at)}  ${plain(kind)}  by ${plain(actor)}${reason === null ? '' : `: ${plain(reason)}`}`,
          ...records(diff).map((one) => `    ${differenceLine(one)}`),
        ].join('\n'),
      )
      .join('\n'),
  );
}

async function getRollout({ api, words, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const { body } = await api.request('GET', `${servicePath(words[0]!)}/rollout`);
  return print(surroundings, values, body, () => stringify(body).trimEnd());
}

/** The document's own revision is the one that its author has seen; else the present one is taken for seen. */
async function putRollout(invocation: Invocation, surroundings: Surroundings): Promise<number> {
  const { api, words, values } = invocation;
  const [service, file] = words;
  const path = `${servicePath(service!)}/rollout`;
  const document = await readDocument(file!, surroundings);
  const revision = record(document['status'])['revision'];
  const seen = typeof revision === 'number' ? etagOf(revision) : undefined;
  const ifMatch =
    text(values, 'if-match') ?? seen ?? (await api.request('GET', path, { allowed: 404 })).etag ?? undefined;
  const query = new URLSearchParams(writeFields(values));
  if (values['allow-decrease'] === true) query.set('allowDecrease', 'true');
  if (values['dry-run'] === true) query.set('dryRun', 'true');
  const options = { body: JSON.stringify(document), ifMatch };
  const { body } = await api.request('PUT', `${path}?${query.toString()}`, options);
  if (values['dry-run'] !== true) return finish(invocation, surroundings, body);
  const refusal = record(body['refusal']);
  print(surroundings, values, body, () =>
    [
      ...records(body['diff']).map(differenceLine),
      ...records(body['decreases']).map(({ detail }) => `moves users back: ${plain(detail)}`),
      ...(Array.isArray(body['warnings']) ? body['warnings'].map((one) => `warning: ${plain(one)}`) : []),
      body['refusal'] === null
        ? 'would be accepted'
        : `would be refused: ${plain(refusal['code'])}: ${plain(refusal['detail'])}`,
    ].join('\n'),
  );
  return body['refusal'] === null ? EXIT.ok : EXIT.refused;
}

async function readDocument(file: string, { stdin }: Surroundings): Promise<Json> {
  let content: string;
  try {
    content = file === '-' ? await stdin() : await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandError(
      `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`,
      EXIT.usage,
    );
  }
  try {
    // YAML is read as such, and JSON is YAML but for keys that are there twice: those YAML refuses as well.
    const value = parseBody({ bytes: Buffer.from(content), format: 'yaml' });
    if (isRecord(value)) return value;
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new CommandError(`${file}: ${error.message}`, EXIT.refused);
  }
  throw new CommandError(`${file} holds no rollout document; expected an object with "rules"`, EXIT.refused);
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
  const allowDecrease = values['allow-decrease'] === true ? { allowDecrease: true } : {};
  const body = JSON.stringify({ ...fields, ...writeFields(values), ...allowDecrease });
  const answer = await api.request('POST', path, { body, ifMatch: text(values, 'if-match') });
  return finish(invocation, surroundings, answer.body);
}

/** Shows the change; with `--wait`, as it ends. Anything but APPLIED is then a failure. */
async function finish(
  { api, values }: Invocation,
  surroundings: Surroundings,
  change: Json,
): Promise<number> {
  if (values['wait'] !== true) return print(surroundings, values, change, () => changeLine(change));
  const final = await waitForChange(api, change, waitTimeout(values), ({ progress }) =>
    surroundings.err(`${plain(progress)}\n`),
  );
  print(surroundings, values, final, () => changeLine(final));
  return final['status'] === 'APPLIED' ? EXIT.ok : EXIT.refused;
}
