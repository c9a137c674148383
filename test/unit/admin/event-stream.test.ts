/** A reader that is too slow gets what waits for it and an end, never an endless circle. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { Backend, NumberedEvent } from '../../../src/control/api.ts';
import { createEventStreams } from '../../../src/admin/event-stream.ts';
import { createEvents } from '../../../src/control/events.ts';

test('a reader that does not read is ended, not torn off, and hears no more', () => {
  const events = createEvents();
  const backend = {
    subscribe: (...args: Parameters<Backend['subscribe']>) => events.subscribe(...args),
  } as Pick<Backend, 'subscribe'> as Backend;
  const response = Object.assign(new EventEmitter(), {
    writableLength: 0,
    writableEnded: false,
    destroyed: false,
    writeHead: () => {},
    write(text: string) {
      assert.ok(!response.writableEnded);
      response.writableLength += Math.max(text.length, 300_000);
    },
    end: () => void (response.writableEnded = true),
    destroy: () => void (response.destroyed = true),
  });
  createEventStreams(backend).open(response as unknown as ServerResponse, 'ci', undefined, 'http://x');
  for (let count = 0; count < 10; count++) events.publish({ type: 'configuration', service: null });
  assert.deepEqual([response.writableEnded, response.destroyed], [true, false]);
  assert.equal(response.writableLength, 1_200_000);
  response.emit('close');
});

function reader(): ServerResponse & { readonly written: unknown[] } {
  const written: unknown[] = [];
  return Object.assign(new EventEmitter(), {
    written,
    writableLength: 0,
    writableEnded: false,
    writeHead: () => {},
    write: (bytes: unknown) => void written.push(bytes),
    end: () => {},
    destroy: () => {},
  }) as unknown as ServerResponse & { readonly written: unknown[] };
}

test('one token has its share of the streams and no more; a stream that ends makes room', () => {
  const events = createEvents();
  const backend = {
    subscribe: (...args: Parameters<Backend['subscribe']>) => events.subscribe(...args),
  } as Pick<Backend, 'subscribe'> as Backend;
  const streams = createEventStreams(backend);
  const opened: ServerResponse[] = [];
  const open = (caller: string): void => {
    const response = reader();
    streams.open(response, caller, undefined, 'http://x');
    opened.push(response);
  };
  const refusal = /20 streams of this token/;
  for (let count = 0; count < 20; count++) open('one');
  assert.throws(() => open('one'), refusal);
  for (const other of ['two', 'three', 'four', 'five']) for (let count = 0; count < 20; count++) open(other);
  assert.throws(() => open('six'), /100 streams are open/);
  opened[0]!.emit('close');
  open('six');
  opened[1]!.emit('close');
  open('one');
  assert.throws(() => open('one'), /100 streams are open/);
  for (const response of opened) response.emit('close');
});

test('an event becomes text once, however many read it', () => {
  const events = createEvents();
  const backend = {
    subscribe: (...args: Parameters<Backend['subscribe']>) => events.subscribe(...args),
  } as Pick<Backend, 'subscribe'> as Backend;
  const streams = createEventStreams(backend);
  const readers = ['a', 'b', 'c'].map((caller, index) => {
    const response = reader();
    streams.open(response, caller, undefined, `http://host${index}`);
    return response;
  });
  events.publish({ type: 'rollout', service: 'notes', view: null });
  const [first, ...others] = readers.map(({ written }) => written.at(-1));
  assert.match(String(first), /^id: 1\nevent: rollout\ndata: \{"service":"notes","rollout":null\}\n\n$/);
  for (const other of others) assert.equal(other, first, 'the same bytes');
  for (const response of readers) response.emit('close');
});

test('a number of an earlier process brings all that is kept', () => {
  const events = createEvents();
  events.publish({ type: 'configuration', service: null });
  const seen: NumberedEvent[] = [];
  events.subscribe((event) => seen.push(event), 5000);
  assert.deepEqual(
    seen.map(({ id }) => id),
    [1],
  );
});
