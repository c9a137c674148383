/**
 * Server-sent events: what happens in the control plane, as it happens.
 *
 * A reader that is too slow is cut off rather than waited for; it comes back with Last-Event-ID and misses nothing that
 * is still kept.
 */
import type { ServerResponse } from 'node:http';
import { refused } from '../rollout/refusal.ts';
import type { Backend, NumberedEvent } from './backend.ts';
import { changeBody, rolloutBody } from './views.ts';

const MOST_SUBSCRIBERS = 100;
const HEARTBEAT = 15_000;
const MOST_WAITING_BYTES = 1024 * 1024;

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
      const after =
        lastEventId !== undefined && /^[0-9]{1,15}$/.test(lastEventId) ? Number(lastEventId) : null;
      const unsubscribe = backend.subscribe((event) => {
        response.write(eventText(event, base));
        if (response.writableLength > MOST_WAITING_BYTES) response.destroy();
      }, after);
      const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT);
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

function eventText({ id, event }: NumberedEvent, base: string): string {
  const data =
    event.type === 'change'
      ? changeBody(event.change, base)
      : event.type === 'rollout'
        ? { service: event.service, rollout: event.view === null ? null : rolloutBody(event.view) }
        : {};
  return `id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(data)}\n\n`;
}
