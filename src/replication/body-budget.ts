/**
 * How many bytes of bodies may be held before it is known who sent them: the signature stands for a whole body.
 *
 * It promises that who sends fast is never kept out by who sends slowly: only bytes that have come are counted, and where there are
 * too many, the oldest body of the address that holds most is cut.
 */

export interface ReceivedBody {
  /** So many bytes more have come. It may cut this body or another one. */
  add(bytes: number): void;
  /** It is here, or will not come. */
  end(): void;
  /** It was cut. */
  readonly cut: boolean;
}

export interface BodyBudget {
  /** A body from `address` begins. `cutOff` is called at most once. */
  begin(address: string, cutOff: () => void): ReceivedBody;
}

interface Held {
  readonly address: string;
  readonly cutOff: () => void;
  bytes: number;
  cut: boolean;
}

export function createBodyBudget(most: number, mostOfOne: number): BodyBudget {
  /** The oldest first. */
  const held = new Set<Held>();

  function sums(): Map<string, number> {
    const byAddress = new Map<string, number>();
    for (const { address, bytes } of held) byAddress.set(address, (byAddress.get(address) ?? 0) + bytes);
    return byAddress;
  }

  function cutOldest(address: string): void {
    for (const one of held) {
      if (one.address !== address || one.bytes === 0) continue;
      held.delete(one);
      one.cut = true;
      one.cutOff();
      return;
    }
  }

  return {
    begin(address, cutOff) {
      const body: Held = { address, cutOff, bytes: 0, cut: false };
      held.add(body);
      return {
        add(bytes) {
          if (body.cut) return;
          body.bytes += bytes;
          const byAddress = sums();
          const total = [...byAddress.values()].reduce((sum, one) => sum + one, 0);
          const [largest = address] = [...byAddress].sort(([, a], [, b]) => b - a)[0] ?? [];
          if ((byAddress.get(address) ?? 0) > mostOfOne) cutOldest(address);
          else if (total > most) cutOldest(largest);
        },
        end: () => void held.delete(body),
        get cut() {
          return body.cut;
        },
      };
    },
  };
}
