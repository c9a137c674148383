/**
 * What happens, told to whoever listens; the last thousand events are kept for those who were away for a moment.
 *
 * A listener that throws is dropped, and disturbs neither the others nor whoever publishes.
 */
import type { ControlEvent, NumberedEvent } from './api.ts';

const KEPT = 1000;

export interface Events {
  publish(event: ControlEvent): void;
  /** Tells what came after event `after`, as far as it is kept (null: nothing), then what comes. Returns the end of it. */
  subscribe(listener: (event: NumberedEvent) => void, after: number | null): () => void;
}

export function createEvents(): Events {
  const kept: NumberedEvent[] = [];
  const listeners = new Set<(event: NumberedEvent) => void>();
  let last = 0;

  function tell(listener: (event: NumberedEvent) => void, event: NumberedEvent): void {
    try {
      listener(event);
    } catch {
      listeners.delete(listener);
    }
  }

  return {
    publish(event) {
      const numbered = { id: ++last, event };
      kept.push(numbered);
      if (kept.length > KEPT) kept.shift();
      for (const listener of listeners) tell(listener, numbered);
    },
    subscribe(listener, after) {
      listeners.add(listener);
      // A number that is yet to come was given by an earlier process: all that is kept is new to this reader.
      const from = after !== null && after > last ? 0 : after;
      if (from !== null) for (const event of kept) if (event.id > from) tell(listener, event);
      return () => listeners.delete(listener);
    },
  };
}
