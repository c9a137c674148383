/** A write of the policy every so many ms, each at a replica that is drawn, whatever became of those before. */
import type { Answer, Replica } from './replicas.ts';

export interface Accepted {
  readonly revision: number;
  readonly changeId: string;
  /** Milliseconds since 1970. */
  readonly sentAt: number;
}

export interface Writes {
  readonly accepted: Accepted[];
  /** By the code of the refusal, or what else became of them. */
  readonly refused: Map<string, number>;
}

/** More writes than this wait for no store. */
const MOST_WAITING = 30;

export function startWriter(options: {
  readonly replicas: readonly Replica[];
  readonly service: string;
  readonly every: number;
  readonly random: () => number;
  readonly onAccepted: (accepted: Accepted) => void;
}): { readonly writes: Writes; stop(): Promise<void> } {
  const { replicas, service, every, random, onAccepted } = options;
  const writes: Writes = { accepted: [], refused: new Map() };
  const under = new Set<Promise<void>>();
  let serial = 0;

  async function write(): Promise<void> {
    const up = replicas.filter((replica) => replica.up);
    const replica = up[Math.floor(random() * up.length)];
    if (replica === undefined) return;
    const { life } = replica;
    const sentAt = Date.now();
    const count = (what: string): void => void writes.refused.set(what, (writes.refused.get(what) ?? 0) + 1);
    let answer: Answer;
    try {
      answer = await replica.admin('POST', `/v1/services/${service}/rollout/percentage`, {
        percentage: 1 + Math.floor(random() * 98),
        allowDecrease: true,
        requestId: `write-${serial++}`,
      });
    } catch (error) {
      count(replica.life === life ? `no answer: ${String(error)}` : 'its replica was killed meanwhile');
      return;
    }
    const body = answer.body as { revision: number | null; id: string; code?: string };
    if (answer.status !== 202 || body.revision === null) {
      count(`${answer.status} ${body.code ?? ''}`.trim());
      return;
    }
    // A percentage that is there already: nothing was written.
    if (body.id.startsWith('present.')) return;
    const accepted = { revision: body.revision, changeId: body.id, sentAt };
    writes.accepted.push(accepted);
    onAccepted(accepted);
  }

  const timer = setInterval(() => {
    if (under.size >= MOST_WAITING) {
      writes.refused.set('not sent: too many wait', (writes.refused.get('not sent: too many wait') ?? 0) + 1);
      return;
    }
    const running = write().finally(() => under.delete(running));
    under.add(running);
  }, every);
  return {
    writes,
    async stop() {
      clearInterval(timer);
      await Promise.all(under);
    },
  };
}
