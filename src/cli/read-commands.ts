/** Commands that only look: status, services, endpoints, the fleet, explanations, history, changes, the policy document. */
import type { Json } from './json.ts';
import { type Command, flag, print, servicePath, yamlText, several, string } from './command.ts';
import { UsageError } from './failure.ts';
import { type Invocation, number, type Surroundings, text, type Values } from './options.ts';
import { comparisonText } from './show-comparison.ts';
import { fleetText } from './show-fleet.ts';
import { changeLine, differenceLine, explanation, plain, record, records, table } from './show.ts';

export const READ_COMMANDS: Readonly<Record<string, Command>> = {
  status: { words: [], options: {}, run: status },
  services: { words: [], options: {}, run: services },
  endpoints: { words: [], options: {}, run: endpointList },
  fleet: { words: [], options: {}, run: fleet },
  comparison: { words: ['SERVICE'], options: { window: string }, run: comparison },
  explain: {
    words: ['SERVICE'],
    options: {
      method: string,
      path: string,
      header: { ...several, short: 'H' },
      cookie: several,
      address: string,
      identity: string,
      secure: flag,
      revision: string,
    },
    run: explain,
  },
  history: { words: ['SERVICE'], options: { limit: string, before: string }, run: history },
  'change get': { words: ['ID'], options: {}, run: getChange },
  'rollout get': { words: ['SERVICE'], options: {}, run: getRollout },
};

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

async function fleet({ api, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const { body } = await api.request('GET', '/v1/fleet');
  return print(surroundings, values, body, () => fleetText(body));
}

async function comparison({ api, words, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const { window } = values;
  const query = window === undefined ? '' : `?window=${encodeURIComponent(String(window))}`;
  const { body } = await api.request('GET', `${servicePath(words[0]!)}/comparison${query}`);
  return print(surroundings, values, body, () => comparisonText(body));
}

async function getChange({ api, words, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const { body } = await api.request('GET', `/v1/changes/${encodeURIComponent(words[0]!)}`);
  return print(surroundings, values, body, () => changeLine(body));
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
  const { endpoints: list, kubernetes, dns } = record(variant);
  if (typeof dns === 'string') return `dns:${dns}`;
  if (kubernetes !== undefined) {
    const { namespace, service, port } = record(kubernetes);
    return `kubernetes:${namespace === undefined ? '' : `${plain(namespace)}/`}${plain(service)}:${plain(port)}`;
  }
  return Array.isArray(list) && list.length > 0 ? list.map(endpoint).join(',') : '-';
}

/** An endpoint of a definition: its address, and its weight where it has one. */
function endpoint(definition: unknown): string {
  if (typeof definition === 'string') return definition;
  const { address, weight } = record(definition);
  return weight === undefined ? plain(address) : `${plain(address)}*${plain(weight)}`;
}

async function endpointList({ api, values }: Invocation, surroundings: Surroundings): Promise<number> {
  const { body } = await api.request('GET', '/v1/endpoints');
  return print(surroundings, values, body, () => {
    const rows = records(body['endpoints']).map((one) => {
      const { inFlight, connections, latencyMs } = record(one['load']);
      const { state, failure } = record(one['health']);
      const health = typeof failure === 'string' ? `${plain(state)} (${failure})` : plain(state);
      const columns = [
        one['service'],
        one['variant'],
        one['address'],
        one['source'],
        one['weight'],
        one['standing'],
      ];
      const latency = typeof latencyMs === 'number' ? `${latencyMs} ms` : '-';
      return [...columns, inFlight, connections].map(plain).concat(latency, health);
    });
    const head = [
      'SERVICE',
      'VARIANT',
      'ADDRESS',
      'SOURCE',
      'WEIGHT',
      'STANDING',
      'IN FLIGHT',
      'CONNECTIONS',
    ];
    return table([[...head, 'LATENCY', 'HEALTH'], ...rows]);
  });
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
  const { method, path, address, identity, secure, revision } = values;
  const described = {
    headers: describedHeaders(values),
    ...(method === undefined ? {} : { method }),
    ...(path === undefined ? {} : { path }),
    ...(address === undefined ? {} : { clientAddress: address }),
    ...(identity === undefined ? {} : { identity }),
    ...(secure === undefined ? {} : { secure }),
    ...(typeof revision === 'string' ? { revision: number('--revision', revision) } : {}),
  };
  const { body } = await api.request('POST', `${servicePath(words[0]!)}/explain`, {
    body: JSON.stringify(described),
  });
  return print(surroundings, values, body, () => explanation(body));
}

/** All lines of `--header`, and the cookies as one more header `cookie`. */
function describedHeaders(values: Values): Readonly<Record<string, readonly string[]>> {
  // A map, since a header may be named like something that every object has.
  const headers = new Map<string, string[]>();
  const add = (name: string, value: string): void => {
    const lowerName = name.trim().toLowerCase();
    headers.set(lowerName, [...(headers.get(lowerName) ?? []), value]);
  };
  for (const line of (values['header'] as string[] | undefined) ?? []) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageError(`a header is "name: value", not "${line}"`);
    }
    add(name, value);
  }
  for (const pair of (values['cookie'] as string[] | undefined) ?? []) {
    if (!/^[^=;\s]+=[^;]*$/.test(pair)) throw new UsageError(`a cookie is "name=value", not "${pair}"`);
    add('cookie', pair);
  }
  return Object.fromEntries(headers);
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
  return print(surroundings, values, body, () => yamlText(body).trimEnd());
}
