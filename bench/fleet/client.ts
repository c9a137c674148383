/**
 * Requests over kept connections to several replicas, as a load balancer sends them. What became of each is a value, never an
 * exception. A connection that its replica closed between two requests is not used again.
 */
import { connect, type Socket } from 'node:net';
import { createReader } from '../../test/support/strict-reader.ts';
import { value } from '../../test/support/strict-head.ts';
import type { Replica } from './replicas.ts';

export interface Outcome {
  /** `''`: there was no answer, or not one of the application. */
  readonly variant: string;
  /** Why it failed; `''` when it did not. */
  readonly failure: string;
  /** The replica was killed meanwhile. */
  readonly killed: boolean;
}

interface Lane {
  readonly socket: Socket;
  readonly life: number;
  settle: ((variant: string, failure: string) => void) | null;
}

export interface Client {
  /** Sends `GET path` for the user; resolves with what came of it. */
  get(replica: Replica, host: string, path: string, user: string): Promise<Outcome>;
  close(): void;
}

/** Nobody waits for longer, in ms. */
const GIVE_UP = 10_000;

/** Uses `connections` to each replica in turn, so that all of its workers are met, and more where these are busy. */
export function createClient(connections = 1): Client {
  const idle = new Map<Replica, Lane[]>();
  const opened = new Map<Replica, number>();
  const open = new Set<Socket>();

  function connected(replica: Replica): Promise<Lane | null> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: replica.proxyPort, noDelay: true });
      const lane: Lane = { socket, life: replica.life, settle: null };
      open.add(socket);
      opened.set(replica, (opened.get(replica) ?? 0) + 1);
      const end = (variant: string, failure: string): void => {
        const { settle } = lane;
        lane.settle = null;
        settle?.(variant, failure);
      };
      const reader = createReader('response', {
        end(message) {
          const stays = !/\bclose\b/i.test(value(message, 'connection') ?? '');
          if (stays) lanes(replica).push(lane);
          else socket.end();
          const body = message.body.toString('latin1');
          const right = message.status === 200 && (body === 'stable' || body === 'canary');
          end(right ? body : '', right ? '' : `status ${message.status}: ${body.slice(0, 200)}`);
        },
        fault(why) {
          end('', `malformed answer: ${why}`);
          socket.destroy();
        },
      });
      socket.on('connect', () => resolve(lane));
      socket.on('data', (bytes: Buffer) => reader.push(bytes));
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        opened.set(replica, (opened.get(replica) ?? 1) - 1);
        const list = lanes(replica);
        const at = list.indexOf(lane);
        if (at >= 0) list.splice(at, 1);
        end('', 'the connection was closed before the answer');
        resolve(null);
      });
    });
  }

  function lanes(replica: Replica): Lane[] {
    let list = idle.get(replica);
    if (list === undefined) idle.set(replica, (list = []));
    return list;
  }

  return {
    async get(replica, host, path, user) {
      const { life } = replica;
      const outcome = (variant: string, failure: string): Outcome => ({
        variant,
        failure,
        killed: replica.life !== life,
      });
      const few = (opened.get(replica) ?? 0) < connections;
      const lane = (few ? undefined : lanes(replica).shift()) ?? (await connected(replica));
      if (lane === null || lane.life !== replica.life) return outcome('', 'the connection was refused');
      return new Promise((resolve) => {
        const late = setTimeout(() => {
          lane.settle = null;
          lane.socket.destroy();
          resolve(outcome('', `no answer within ${GIVE_UP} ms`));
        }, GIVE_UP);
        lane.settle = (variant, failure) => {
          clearTimeout(late);
          resolve(outcome(variant, failure));
        };
        lane.socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-User-Id: ${user}\r\n\r\n`, 'latin1');
      });
    },
    close() {
      for (const socket of open) socket.destroy();
    },
  };
}
