/**
 * Server-sent events: what happens in the control plane, as it happens.
 *
 * A reader that is too slow is cut off rather than waited for: it gets what waits for it and the end of the answer, comes
 * back with Last-Event-ID, and misses nothing that is still kept. Each token has its share of the streams. An event becomes text
 * once, however many read it.
 */
import type { ServerResponse } from 'node:http';
import { refused } from '../rollout/refusal.ts';
import type { Backend, ControlEvent, NumberedEvent } from '../control/api.ts';
import { changeBody, rolloutBody } from './views.ts';
import { after, every, guarded } from '../runtime/guard.ts';

const MOST_STREAMS = 100;
/** Of one token: enough for a few browsers, pipelines and terminals. */
const MOST_OF_ONE = 20;
const HEARTBEAT = 15_000;
/** So much may wait for a reader; one event more does, however large it is. */
const MOST_WAITING_BYTES = 1024 * 1024;
/** How long a reader that was cut off has to read what waits for it, in ms. */
const LAST_CHANCE = 10_000;

export interface EventStreams {
  /** Answers `caller` with the stream. Throws RefusedError `too_many_subscribers`. */
  open(response: ServerResponse, caller: string, lastEventId: string | undefined, base: string): void;
  close(): void;
}

export function createEventStreams(backend: Backend): EventStreams {
  /** The streams that are open, and whose they are. */
  const open = new Map<ServerResponse, string>();
  return {
    open(response, caller, lastEventId, base) {
      const own = [...open.values()].filter((one) => one === caller).length;
      if (own >= MOST_OF_ONE || open.size >= MOST_STREAMS) throw tooMany(own >= MOST_OF_ONE);
      open.set(response, caller);
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      response.write(': welcome\n\n');
      const seen =
        lastEventId !== undefined && /^[0-9]{1,15}$/.test(lastEventId) ? Number(lastEventId) : null;
      const unsubscribe = backend.subscribe((event) => {
        if (response.writableEnded) return;
        response.write(eventBytes(event, base));
        if (response.writableLength > MOST_WAITING_BYTES) cutOff(response);
      }, seen);
      const heartbeat = every(
        HEARTBEAT,
        guarded('event streams', () => {
          if (!response.writableEnded) response.write(': still here\n\n');
        }),
      ).unref();
      response.on('close', () => {
        clearInterval(heartbeat);
        unsubscribe();
        open.delete(response);
      });
    },
    close() {
      for (const response of open.keys()) response.end();
    },
  };
}

function tooMany(ofCaller: boolean): Error {
  const detail = ofCaller
    ? `${MOST_OF_ONE} streams of this token are open already. Close one first.`
    : `${MOST_STREAMS} streams are open already. Try again later.`;
  return refused('too_many_subscribers', detail, { most: ofCaller ? MOST_OF_ONE : MOST_STREAMS });
}

/** Not at once: what waits reaches the reader first, so that it gets on with every attempt. */
function cutOff(response: ServerResponse): void {
  response.end();
  const timer = after(
    LAST_CHANCE,
    guarded('event streams', () => response.destroy()),
  ).unref();
  response.once('close', () => clearTimeout(timer));
}

/** The bytes of an event, by the base that its URLs begin with: a rollout of 2 MB goes to a hundred readers. */
const made = new WeakMap<ControlEvent, { readonly base: string; readonly bytes: Buffer }>();

function eventBytes({ id, event }: NumberedEvent, url: string): Buffer {
  const base = event.type === 'change' ? url : '';
  const before = made.get(event);
  if (before?.base === base) return before.bytes;
  const data =
    event.type === 'change'
      ? changeBody(event.change, base)
      : event.type === 'rollout'
        ? { service: event.service, rollout: event.view === null ? null : rolloutBody(event.view) }
        : {};
  const bytes = Buffer.from(`id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(data)}\n\n`);
  made.set(event, { base, bytes });
  return bytes;
}
