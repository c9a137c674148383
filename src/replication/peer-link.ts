/**
 * What is still to be said to one peer, and the way there: one request at a time, and a few more for rollbacks, so that
 * a rollback never waits behind anything else, nor behind another one that the peer is still writing to its disk. Connections
 * are kept alive.
 *
 * What is said is heard in its order, but for rollbacks and latches: who hears a record has heard how changes ended before it.
 *
 * It never waits and never throws. What can't be delivered stays within bounds: of records and hints only the newest, of latches
 * and of how changes ended the newest ten thousand; rollbacks all stay until the peer has acknowledged them. A peer that failed is tried again with
 * the next record or the next rollback, never by a timer.
 */
import { Pool } from 'undici';
import type { FleetCounters, PeerFailure } from '../telemetry/fleet-counters.ts';
import type { Tombstone } from '../contract/tombstone.ts';
import { LATCHES_LIMIT, type PeerMessage, writeBody } from './peer-message.ts';
import type { PeerSeal } from './peer-seal.ts';
import { BODY_LIMIT, FROM_HEADER, PEER_PATH, SIGNATURE_HEADER, TO_HEADER } from './peer-server.ts';
import { awakeSignal } from '../runtime/awake-timer.ts';

/** How long a connection and an answer may take, in ms: what takes longer than a beat is tried again with the next. */
const CONNECT_TIME = 1000;
const ANSWER_TIME = 1000;
/** Requests with rollbacks that may be under way at a time; those that come meanwhile go together with the next. */
const MOST_URGENT = 4;
/** Messages about ended changes that wait; each may tell of several. */
const MOST_FINALS = 10_000;
/** Bytes of waiting messages that go into one body. */
const BODY_FILL = BODY_LIMIT / 2;

export interface LinkOptions {
  /** `host:port`. */
  readonly address: string;
  /** The names of this replica and of the peer. */
  readonly self: string;
  readonly peer: string;
  readonly seal: PeerSeal;
  readonly counters: FleetCounters;
  /** Told when the peer can't be reached or refuses, in words. */
  readonly onFailure: (peer: string, reason: PeerFailure, detail: string) => void;
}

export interface PeerLink {
  readonly address: string;
  /** `text` is the message as JSON. */
  say(message: PeerMessage, text: string): void;
  /** What the peer has not acknowledged yet; for the link that takes this one's place. */
  owed(): readonly Tombstone[];
  /** Resolves when nothing is under way any more. */
  settled(): Promise<void>;
  close(): void;
}

/** A message that waits. */
interface Waiting {
  readonly type: PeerMessage['type'];
  readonly text: string;
  /** How much of a bound it takes. */
  readonly entries: number;
}

/** What goes in one request. */
interface Parcel {
  readonly messages: readonly Waiting[];
  readonly delivered: () => void;
  /** `refused`: the peer had it, and did not take it. */
  readonly failed: (refused: boolean) => void;
}

/** Requests of which no more than `most` are under way at a time. */
interface Lane {
  readonly most: number;
  busy: number;
  /** Something was said since the last request was made: it is worth another attempt also after a failure. */
  wanted: boolean;
  /** What is to go now; null: nothing. */
  readonly take: () => Parcel | null;
}

export function createPeerLink(options: LinkOptions): PeerLink {
  const { address, self, peer, seal, counters, onFailure } = options;
  const pool = new Pool(`http://${address}`, {
    connections: 1 + MOST_URGENT,
    pipelining: 1,
    connect: { timeout: CONNECT_TIME },
    keepAliveTimeout: 30_000,
    headersTimeout: ANSWER_TIME,
    bodyTimeout: ANSWER_TIME,
  });
  const underWay = new Set<Promise<void>>();
  let closed = false;
  /** The last attempt came to nothing: only a record or a rollback leads to the next. */
  let down = false;
  /** The newest of each kind of which only the newest counts. */
  const newest = new Map<PeerMessage['type'], Waiting>();
  let latches: Waiting[] = [];
  let latchEntries = 0;
  let finals: Waiting[] = [];
  const rollbacks = new Map<string, Tombstone>();
  /** Those that a request under way says. */
  const saying = new Set<Tombstone>();

  const addLatches = (more: readonly Waiting[], before: boolean): void => {
    latches = before ? [...more, ...latches] : [...latches, ...more];
    latchEntries += more.reduce((sum, { entries }) => sum + entries, 0);
    // The oldest go: the store has them as well.
    while (latchEntries > LATCHES_LIMIT && latches.length > 1) latchEntries -= latches.shift()!.entries;
  };

  const ordinary: Lane = {
    most: 1,
    busy: 0,
    wanted: false,
    take() {
      const messages: Waiting[] = [];
      let size = 0;
      while (finals.length > 0 && (size === 0 || size + finals[0]!.text.length <= BODY_FILL)) {
        const next = finals.shift()!;
        size += next.text.length;
        messages.push(next);
      }
      if (finals.length === 0) {
        for (const one of newest.values()) {
          size += one.text.length;
          messages.push(one);
        }
        newest.clear();
      }
      while (latches.length > 0 && (messages.length === 0 || size + latches[0]!.text.length <= BODY_FILL)) {
        const next = latches.shift()!;
        latchEntries -= next.entries;
        size += next.text.length;
        messages.push(next);
      }
      if (messages.length === 0) return null;
      const failed = (refused: boolean): void => {
        // What was refused would be refused again, and hold up all that comes after it; the store has it as well.
        const again = refused ? [] : messages.filter(({ type }) => type === 'final');
        finals = [...again, ...finals].slice(-MOST_FINALS);
        addLatches(
          messages.filter(({ type }) => type === 'latches'),
          true,
        );
      };
      return { messages, delivered: () => {}, failed };
    },
  };

  const urgent: Lane = {
    most: MOST_URGENT,
    busy: 0,
    wanted: false,
    take() {
      const said = fitting([...rollbacks.values()].filter((one) => !saying.has(one)));
      if (said.length === 0) return null;
      for (const one of said) saying.add(one);
      const text = JSON.stringify({ type: 'rollback', rollbacks: said } satisfies PeerMessage);
      const failed = (): void => {
        for (const one of said) saying.delete(one);
      };
      /** Only what was acknowledged is forgotten, not what was said again in other words meanwhile. */
      const delivered = (): void => {
        failed();
        for (const one of said) if (rollbacks.get(keyOf(one)) === one) rollbacks.delete(keyOf(one));
      };
      return { messages: [{ type: 'rollback', text, entries: 0 }], delivered, failed };
    },
  };

  /** One request after another, until there is nothing to say; `busy` falls in the very step in which that is found. */
  async function run(lane: Lane): Promise<void> {
    lane.busy += 1;
    try {
      // Whatever is said in one turn goes together, but a rollback goes before anything else is done.
      if (lane !== urgent) await Promise.resolve();
      for (let parcel = next(lane); parcel !== null; parcel = next(lane)) {
        lane.wanted = false;
        if (!(await carry(parcel)) && !lane.wanted) return;
      }
    } finally {
      lane.busy -= 1;
    }
  }

  const next = (lane: Lane): Parcel | null => (closed ? null : lane.take());

  /** Whether it was acknowledged. */
  async function carry({ messages, delivered, failed }: Parcel): Promise<boolean> {
    const failure = await post(messages.map(({ text }) => text));
    if (closed) return false;
    down = failure !== null;
    if (failure === null) {
      delivered();
      for (const { type } of messages) counters.peerSent(type);
      return true;
    }
    failed(failure.reason === 'refused' || failure.reason === 'too_large');
    counters.peerFailed(failure.reason);
    onFailure(peer, failure.reason, failure.detail);
    return false;
  }

  async function post(
    texts: readonly string[],
  ): Promise<{ readonly reason: PeerFailure; readonly detail: string } | null> {
    const body = Buffer.from(writeBody(texts));
    if (body.length > BODY_LIMIT) {
      return { reason: 'too_large', detail: `${body.length} bytes; a body has ${BODY_LIMIT} at most` };
    }
    const { signal, cancel } = awakeSignal(CONNECT_TIME + ANSWER_TIME);
    try {
      const answer = await pool.request({
        path: PEER_PATH,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          [FROM_HEADER]: self,
          [TO_HEADER]: peer,
          [SIGNATURE_HEADER]: seal.sign(self, peer, body),
        },
        body,
        signal,
      });
      if (answer.statusCode === 204) {
        await answer.body.dump();
        return null;
      }
      await answer.body.dump({ limit: 4096 });
      return { reason: 'refused', detail: `status ${answer.statusCode}` };
    } catch (error) {
      if (signal.aborted) return { reason: 'timeout', detail: 'no answer in time' };
      const { code, name } = error as NodeJS.ErrnoException;
      const late = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT';
      return { reason: late ? 'timeout' : 'unreachable', detail: code ?? name };
    } finally {
      cancel();
    }
  }

  const start = (lane: Lane): void => {
    lane.wanted = true;
    if (lane.busy >= lane.most) return;
    const running = run(lane).finally(() => underWay.delete(running));
    underWay.add(running);
  };

  return {
    address,
    say(message, text) {
      if (closed) return;
      if (message.type === 'rollback') {
        for (const one of message.rollbacks) rollbacks.set(keyOf(one), one);
        start(urgent);
        return;
      }
      if (message.type === 'latches') {
        addLatches([{ type: 'latches', text, entries: message.entries.length }], false);
      } else if (message.type === 'final') {
        finals.push({ type: 'final', text, entries: message.finals.length });
        if (finals.length > MOST_FINALS) finals.shift();
      } else {
        newest.set(message.type, { type: message.type, text, entries: 0 });
      }
      const regular = message.type === 'record' || message.type === 'left';
      if (regular && rollbacks.size > 0) start(urgent);
      if (regular || !down) start(ordinary);
    },
    owed: () => [...rollbacks.values()],
    async settled() {
      await Promise.all(underWay);
    },
    close() {
      closed = true;
      void pool.destroy().catch(() => {});
    },
  };
}

function keyOf({ rolloutId, changeId }: Tombstone): string {
  return `${rolloutId}\n${changeId}`;
}

/** The first of them, as many as go into one body, and one at least. */
function fitting(tombstones: readonly Tombstone[]): readonly Tombstone[] {
  let size = 0;
  const end = tombstones.findIndex((one) => (size += Buffer.byteLength(JSON.stringify(one))) > BODY_FILL);
  return end === -1 ? tombstones : tombstones.slice(0, Math.max(1, end));
}
