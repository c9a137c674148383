/**
 * Constant load of many users over kept connections: a fixed number of requests a second, each of a user who waits
 * for nothing else, sent over any free connection, as a load balancer in front of the proxy would. Every answer is
 * read strictly, matched with its request and kept as a short record.
 */
import { connect, type Socket } from 'node:net';
import { createReader, type Message } from '../../test/support/strict-reader.ts';
import { value, values } from '../../test/support/strict-head.ts';
import { fieldsOf, keepCookies, whereIs, type User } from './users.ts';

/** One request and what came of it. Times in milliseconds of `performance.now`. */
export interface Sent {
  readonly user: User;
  readonly address: string;
  /** The Cookie header as it was sent; '' for none. */
  readonly cookies: string;
  readonly sentAt: number;
  doneAt: number;
  /** The variant that answered; '' when none did. */
  variant: '' | 'stable' | 'canary';
  /** Why it failed; '' when it did not. */
  failure: string;
}

interface Lane {
  socket: Socket;
  current: { sent: Sent; target: string } | null;
}

export interface Load {
  readonly records: Sent[];
  /** Turns in which no user or no connection was free, so that a request was left out. */
  readonly skipped: number;
  /** Connections that were opened again because the proxy had closed them. */
  readonly reconnects: number;
  /** Sends no more and waits for what is under way. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly port: number;
  readonly users: readonly User[];
  readonly connections: number;
  readonly perSecond: number;
  readonly host: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

const TURN = 10;
const GIVE_UP = 15_000;

/** Begins at once. */
export function startLoad(options: LoadOptions): Load {
  const { port, users, random } = options;
  const records: Sent[] = [];
  const free: Lane[] = [];
  let skipped = 0;
  let reconnects = 0;
  let serial = 0;
  let stopping = false;

  function finish(lane: Lane, failure: string, message: Message | null): void {
    const { current } = lane;
    if (current === null) return;
    lane.current = null;
    const { sent, target } = current;
    sent.doneAt = performance.now();
    sent.user.busy = false;
    sent.failure = failure;
    if (message === null) return;
    const [origin, , echoed] = message.body.toString('latin1').split(' ');
    if (message.status !== 200) sent.failure = `status ${message.status}`;
    else if (echoed !== target) sent.failure = `the answer of another request: ${echoed}`;
    else if (origin !== 'stable' && origin !== 'canary') sent.failure = `answered by ${origin}`;
    else sent.variant = origin;
    keepCookies(sent.user, values(message.fields, 'set-cookie'));
  }

  function open(lane: Lane): void {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    lane.socket = socket;
    const reader = createReader('response', {
      end(message) {
        finish(lane, '', message);
        if (/\bclose\b/i.test(value(message, 'connection') ?? '')) socket.end();
        else free.push(lane);
      },
      fault: (why) => {
        finish(lane, `malformed answer: ${why}`, null);
        socket.destroy();
      },
    });
    socket.on('connect', () => free.push(lane));
    socket.on('data', (bytes) => reader.push(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      finish(lane, 'connection closed before the answer', null);
      const at = free.indexOf(lane);
      if (at >= 0) free.splice(at, 1);
      if (stopping) return;
      reconnects += 1;
      open(lane);
    });
  }

  const lanes = Array.from({ length: options.connections }, () => {
    const lane: Lane = { socket: undefined as unknown as Socket, current: null };
    open(lane);
    return lane;
  });

  function sendOne(): void {
    const user = users[Math.floor(random() * users.length)] as User;
    const lane = user.busy ? undefined : free.pop();
    if (lane === undefined) {
      skipped += 1;
      return;
    }
    const address = whereIs(user, random);
    const fields = fieldsOf(user, address);
    const target = `/live/${serial++}`;
    const lines = fields.map(([name, text]) => `${name}: ${text}\r\n`).join('');
    const cookies = fields.find(([name]) => name === 'cookie')?.[1] ?? '';
    const sent: Sent = {
      user,
      address,
      cookies,
      sentAt: performance.now(),
      doneAt: 0,
      variant: '',
      failure: '',
    };
    user.busy = true;
    lane.current = { sent, target };
    records.push(sent);
    lane.socket.write(`GET ${target} HTTP/1.1\r\nHost: ${options.host}\r\n${lines}\r\n`, 'latin1');
  }

  const begun = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    const owed = ((now - begun) * options.perSecond) / 1000;
    // After a stall of this process what was missed is left out: the load stays constant, not the total.
    if (owed - due > options.perSecond / 4) due = owed - (options.perSecond * TURN) / 1000;
    for (; due < owed; due++) sendOne();
    for (const lane of lanes) {
      if (lane.current !== null && now - lane.current.sent.sentAt > GIVE_UP) {
        finish(lane, 'no answer', null);
        lane.socket.destroy();
      }
    }
  }, TURN);

  return {
    records,
    get skipped() {
      return skipped;
    },
    get reconnects() {
      return reconnects;
    },
    async stop() {
      stopping = true;
      clearInterval(timer);
      const end = performance.now() + GIVE_UP;
      while (lanes.some(({ current }) => current !== null) && performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      for (const lane of lanes) {
        finish(lane, 'no answer', null);
        lane.socket.destroy();
      }
    },
  };
}
