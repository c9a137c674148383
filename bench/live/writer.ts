/**
 * Changes the policy once a second through the admin API, one write after another of the cycle, waits until each is
 * APPLIED, and asks in between how single requests would be decided.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Serin } from '../../test/support/serin.ts';
import type { Change } from '../../test/support/rollout.ts';
import { median } from '../statistics.ts';
import type { Sent } from './load.ts';
import { CYCLE, type Write } from './script.ts';
import { fieldsOf, whereIs, type User } from './users.ts';

export interface Written {
  readonly what: string;
  readonly revision: number;
  /** Before it was sent; milliseconds of `performance.now`. */
  readonly sentAt: number;
  /** When it was known to be APPLIED. */
  readonly appliedAt: number;
}

/** How the API says that a request would be decided. */
export interface Explained {
  readonly sent: Sent;
  readonly revision: number;
  readonly variant: 'stable' | 'canary';
}

export interface Writer {
  readonly writes: Written[];
  readonly refused: string[];
  readonly explanations: Explained[];
  /** Median and maximum of the time from a write to APPLIED, as text. */
  applyTimes(): string;
  stop(): Promise<void>;
}

const PERIOD = 1_000;
const EXPLAINED_PER_WRITE = 5;
const FINAL = new Set(['APPLIED', 'FAILED', 'CANCELED', 'SUPERSEDED', 'ROLLED_BACK']);

export function startWriter(serin: Serin, service: string, users: readonly User[]): Writer {
  const writes: Written[] = [];
  const refused: string[] = [];
  const explanations: Explained[] = [];
  const base = `/v1/services/${service}`;
  const state = { stopping: false };

  async function send(write: Write): Promise<void> {
    const headers: Record<string, string> = {};
    if (write.method !== 'POST') {
      const present = await serin.admin('GET', `${base}/rollout`);
      const tag = present.headers.get('etag');
      if (present.status === 200 && tag !== null) headers['if-match'] = tag;
    }
    const sentAt = performance.now();
    const answer = await serin.admin(write.method, `${base}/rollout${write.path}`, write.body, headers);
    if (answer.status !== 202) {
      refused.push(`${write.what}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return;
    }
    let change = answer.body as Change;
    while (!FINAL.has(change.status)) {
      await delay(10);
      change = (await serin.admin('GET', `/v1/changes/${change.id}`)).body as Change;
    }
    if (change.status !== 'APPLIED') refused.push(`${write.what}: ended ${change.status}`);
    writes.push({ what: write.what, revision: change.revision, sentAt, appliedAt: performance.now() });
  }

  /** Asks the API about a few users as they are now. */
  async function explain(): Promise<void> {
    const revision = writes.at(-1)?.revision;
    if (revision === undefined) return;
    for (let count = 0; count < EXPLAINED_PER_WRITE; count++) {
      const user = users[Math.floor(Math.random() * users.length)] as User;
      const address = whereIs(user, Math.random);
      const fields = fieldsOf(user, address);
      const headers = Object.fromEntries(fields.filter(([name]) => name !== 'x-forwarded-for'));
      const body = { method: 'GET', path: '/live', headers, clientAddress: address };
      const answer = await serin.admin('POST', `${base}/explain`, body);
      const { decision } = answer.body as { decision?: { variant: 'stable' | 'canary' } };
      if (decision === undefined) {
        refused.push(`explain: ${answer.status} ${JSON.stringify(answer.body)}`);
        continue;
      }
      const now = performance.now();
      const cookies = headers['cookie'] ?? '';
      const sent: Sent = { user, address, cookies, sentAt: now, doneAt: now, variant: '', failure: '' };
      explanations.push({ sent, revision, variant: decision.variant });
    }
  }

  async function run(): Promise<void> {
    const begun = performance.now();
    for (let count = 0; !state.stopping; count++) {
      await send(CYCLE[count % CYCLE.length] as Write);
      await explain();
      await delay(Math.max(0, begun + (count + 1) * PERIOD - performance.now()));
    }
  }
  const running = run().catch((error: unknown) => refused.push(String(error)));

  return {
    writes,
    refused,
    explanations,
    applyTimes() {
      const times = writes.map(({ sentAt, appliedAt }) => appliedAt - sentAt);
      return `${median(times).toFixed(0)}, ${Math.max(...times).toFixed(0)}`;
    },
    async stop() {
      state.stopping = true;
      await running;
    },
  };
}
