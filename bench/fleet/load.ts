/**
 * The users of the fleet run: a constant number of requests a second, each by the next of very many users, over a replica
 * that is drawn each time. A few users come again and again, so that the same one is seen on several replicas while one
 * revision is in force.
 */
import type { Client } from './client.ts';
import type { Replica } from './replicas.ts';

export interface LoadResult {
  requests: number;
  /** Users who were heard of. */
  readonly users: Set<number>;
  /** Failures of requests to replicas that lived all the time, in words. */
  readonly failures: string[];
  /** Failures of requests to a replica that was killed under them. */
  killed: number;
}

export interface LoadOptions {
  readonly client: Client;
  readonly replicas: readonly Replica[];
  readonly host: string;
  readonly users: number;
  /** Of these, so many come again and again. */
  readonly regulars: number;
  readonly perSecond: number;
  readonly random: () => number;
}

const TURN = 10;
/** Share of the requests that are of regular users. */
const REGULAR = 0.3;

export function startLoad(options: LoadOptions): { readonly result: LoadResult; stop(): Promise<void> } {
  const { client, replicas, host, users, regulars, perSecond, random } = options;
  const result: LoadResult = { requests: 0, users: new Set(), failures: [], killed: 0 };
  const under = new Set<Promise<void>>();
  let next = 0;

  async function one(): Promise<void> {
    const up = replicas.filter((replica) => replica.up);
    const replica = up[Math.floor(random() * up.length)];
    if (replica === undefined) return;
    const user =
      random() < REGULAR ? Math.floor(random() * regulars) : (next = next + 1 < users ? next + 1 : 0);
    result.requests += 1;
    result.users.add(user);
    const { failure, killed } = await client.get(replica, host, `/u/${user}`, `u${user}`);
    if (failure === '') return;
    if (killed) result.killed += 1;
    else result.failures.push(`${new Date().toISOString()} user ${user} at ${replica.name}: ${failure}`);
  }

  const begun = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    const owed = ((performance.now() - begun) * perSecond) / 1000;
    // After a stall of this process what was missed is left out: the load stays constant, not the total.
    if (owed - due > perSecond / 4) due = owed - (perSecond * TURN) / 1000;
    for (; due < owed; due++) {
      const running = one().finally(() => under.delete(running));
      under.add(running);
    }
  }, TURN);
  return {
    result,
    async stop() {
      clearInterval(timer);
      await Promise.all(under);
    },
  };
}
