/**
 * Server-sent events: what happens in the control plane, as it happens.
 *
 * A reader that is too slow is cut off rather than waited for: it gets what waits for it and the end of the answer, comes
 * back with Last-Event-ID, and misses nothing that is still kept.
 */
import type { ServerResponse } from 'node:http';
import { refused } from '../rollout/refusal.ts';
import type { Backend, NumberedEvent } from './backend.ts';
import { changeBody, rolloutBody } from './views.ts';
import { after, every, guarded } from '../runtime/guard.ts';

const MOST_SUBSCRIBERS = 100;
const HEARTBEAT = 15_000;
/** So much may wait for a reader; one event more does, however large it is. */
const MOST_WAITING_BYTES = 1024 * 1024;
/** How long a reader that was cut off has to read what waits for it, in ms. */
const LAST_CHANCE = 10_000;

export interface EventStreams {
  /** Answers with the stream. Throws RefusedError `too_many_subscribers`. */
  open(response: ServerResponse, lastEventId: string | undefined, base: string): void;
  close(): void;
}

export function createEventStreams(backend: Backend): EventStreams {
  const open = new Set<ServerResponse>();
  return {
    open(response, lastEventId, base) {
      if (open.size >= MOST_SUBSCRIBERS) {
        throw refused(
          'too_many_subscribers',
          `${MOST_SUBSCRIBERS} readers follow the events already. Try again later.`,
        );
      }
      open.add(response);
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
        response.write(eventText(event, base));
        if (response.writableLength > MOST_WAITING_BYTES) cutOff(response);
      }, seen);
      const heartbeat = every(
        HEARTBEAT,
        guarded('event streams', () => {
          if (!response.writableEnded) response.write(': still here\n\n');
        }),
      );
      response.on('close', () => {
        clearInterval(heartbeat);
        unsubscribe();
        open.delete(response);
      });
    },
    close() {
      for (const response of open) response.end();
    },
  };
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

function eventText({ id, event }: NumberedEvent, base: string): string {
  const data =
    event.type === 'change'
      ? changeBody(event.change, base)
      : event.type === 'rollout'
        ? { service: event.service, rollout: event.view === null ? null : rolloutBody(event.view) }
        : {};
  return `id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(data)}\n\n`;
}
