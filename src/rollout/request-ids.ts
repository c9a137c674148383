/**
 * Which change a request id made, so that a write that is sent again makes no second one.
 *
 * A request id belongs to one service. The number of those that are kept is bounded; the oldest go first.
 */

export interface RequestMade {
  /** The change that the request made, or that it found done. */
  readonly id: string;
  /** Of what it asked for. */
  readonly digest: string;
}

export interface RequestIds {
  find(service: string, requestId: string): RequestMade | undefined;
  /** Takes the place of what was known under the id; null is no request id, and nothing is kept. */
  remember(service: string, requestId: string | null, made: RequestMade): void;
  /** Lets go of the request id, where it still means the change `id`. */
  forget(service: string, requestId: string | null, id: string): void;
}

/** Keeps at most so many. */
export function createRequestIds(most: number): RequestIds {
  const made = new Map<string, RequestMade>();
  const keyOf = (service: string, requestId: string): string => `${service}\n${requestId}`;

  return {
    find: (service, requestId) => made.get(keyOf(service, requestId)),
    remember(service, requestId, one) {
      if (requestId === null) return;
      const key = keyOf(service, requestId);
      made.delete(key);
      made.set(key, one);
      for (const oldest of made.keys()) {
        if (made.size <= most) break;
        made.delete(oldest);
      }
    },
    forget(service, requestId, id) {
      if (requestId === null) return;
      const key = keyOf(service, requestId);
      if (made.get(key)?.id === id) made.delete(key);
    },
  };
}
