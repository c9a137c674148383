/** A reader that is too slow gets what waits for it and an end, never an endless circle. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { Backend, NumberedEvent } from '../../../src/admin/backend.ts';
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
  createEventStreams(backend).open(response as unknown as ServerResponse, undefined, 'http://x');
  for (let count = 0; count < 10; count++) events.publish({ type: 'configuration', service: null });
  assert.deepEqual([response.writableEnded, response.destroyed], [true, false]);
  assert.equal(response.writableLength, 1_200_000);
  response.emit('close');
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
