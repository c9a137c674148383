/**
 * A balancer's pool of connections: many lanes that ask one after another, over kept and fresh connections, to whichever port
 * is eligible. It counts how every request ended.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { before, open, type Connection, type Failure } from '../chaos/client.ts';
import { contentOf, sumOf } from '../chaos/content.ts';
import { value } from '../../test/support/strict-head.ts';

export interface Counts {
  requests: number;
  posts: number;
  connections: number;
  /** Answers that said `Connection: close`. */
  told: number;
  /** Idle connections that ended before their next request: the client saw it and opened another. */
  endedIdle: number;
  /** GETs on kept connections that a FIN crossed: sent once more on a new connection, as RFC 9110, 9.2.2 has it. */
  crossed: number;
  /** How requests failed, by kind. */
  readonly failed: Map<string, number>;
}

export function noCounts(): Counts {
  return { requests: 0, posts: 0, connections: 0, told: 0, endedIdle: 0, crossed: 0, failed: new Map() };
}

/** A lane asks, thinks, and asks again. */
export interface Lane {
  /** ms */
  readonly think: () => number;
  /** Opens a connection for each request. */
  readonly fresh: boolean;
  /** Keeps its connection as long as it may, whoever is eligible for new ones: a client behind a layer-4 balancer. */
  readonly sticky: boolean;
  /** Asks by GET alone: its connections are idle for long, and a POST may not be sent twice. */
  readonly reads: boolean;
}

export interface Pool {
  readonly counts: Counts;
  /** The ports that may get requests from now on. */
  eligible(ports: readonly number[]): void;
  stop(): Promise<void>;
}

const LATE = 10_000;
const HOST = 'chaos.test';

/** `first` are the ports that may get requests at the beginning. */
export function startPool(
  name: string,
  lanes: readonly Lane[],
  first: readonly number[],
  random: () => number,
): Pool {
  const counts = noCounts();
  let ports = first;
  const state = { stopped: false };
  let serial = 0;

  const failed = (kind: string): void => void counts.failed.set(kind, (counts.failed.get(kind) ?? 0) + 1);

  function portFor(lane: Lane, kept: Map<number, Connection>): number | undefined {
    if (lane.sticky) for (const port of kept.keys()) return port;
    return ports[Math.floor(random() * ports.length)];
  }

  async function one(lane: Lane, kept: Map<number, Connection>): Promise<void> {
    const port = portFor(lane, kept);
    if (port === undefined) {
      failed('nobody was ready');
      return;
    }
    let connection = kept.get(port) ?? null;
    if (connection !== null && !connection.usable) {
      counts.endedIdle += 1;
      connection.close();
      kept.delete(port);
      connection = null;
      // A sticky lane asks who is eligible now.
      if (lane.sticky) return one(lane, kept);
    }
    const used = connection !== null;
    if (connection === null) {
      counts.connections += 1;
      connection = await open(port);
      if (connection === null) {
        counts.requests += 1;
        failed('no connection');
        return;
      }
    }
    kept.delete(port);
    serial += 1;
    const id = `${name}-${serial}`;
    const size = Math.floor(random() * 4000);
    const post = !lane.reads && random() < 0.3;
    const body = contentOf(id, size);
    const close = lane.fresh ? 'Connection: close\r\n' : '';
    const head = post
      ? `POST /up/${id}/${size} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${size}\r\n${close}\r\n`
      : `GET /down/${id}/${size}/${random() < 0.5 ? 'length' : 'chunked'} HTTP/1.1\r\nHost: ${HOST}\r\n${close}\r\n`;
    counts.requests += 1;
    if (post) counts.posts += 1;
    const outcome = before(connection.expect(post ? 'POST' : 'GET', post ? undefined : body), LATE);
    connection.socket.write(
      post ? Buffer.concat([Buffer.from(head, 'latin1'), body]) : Buffer.from(head, 'latin1'),
    );
    const result = await outcome;
    const where = used ? 'on a kept connection' : 'on a new connection';
    if (result.kind === 'failed') {
      connection.close();
      if (used && !post && result.how === 'end' && result.message === null) {
        counts.crossed += 1;
        return one(lane, kept);
      }
      const how: Record<Failure, string> = {
        refused: 'refused',
        reset: 'reset',
        end: 'closed without an answer',
        malformed: 'malformed answer',
        late: 'no answer in time',
        left: 'left',
      };
      failed(`${how[result.how]} ${where}${result.message === null ? '' : ', in the middle of the answer'}`);
      return;
    }
    const { message } = result;
    const sums = post
      ? message.body.toString().includes(`"sum":"${sumOf(body)}"`)
      : message.bodyLength === size;
    if (message.status !== 200) failed(`status ${message.status}: ${message.body.toString().slice(0, 200)}`);
    else if (connection.wrong || !sums || value(message, 'x-id') !== id)
      failed('cross-wired or damaged answer');
    if (connection.usable) kept.set(port, connection);
    else if (!lane.fresh) counts.told += 1;
  }

  const running = lanes.map(async (lane) => {
    const kept = new Map<number, Connection>();
    while (!state.stopped) {
      await one(lane, kept);
      await delay(lane.think());
    }
    for (const connection of kept.values()) connection.close();
  });

  return {
    counts,
    eligible(next) {
      ports = next;
    },
    async stop() {
      state.stopped = true;
      await Promise.all(running);
    },
  };
}
