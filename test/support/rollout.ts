/** Rollouts of a service under test, driven through the admin API as a pipeline would; each call returns when applied. */
import { eventually } from './bounded.ts';
import type { AdminAnswer, Serin } from './serin.ts';

export interface Change {
  readonly id: string;
  readonly status: string;
  readonly revision: number;
}

const FINAL = new Set(['APPLIED', 'FAILED', 'CANCELED', 'SUPERSEDED', 'ROLLED_BACK']);

/** Waits until every worker decides by the change; gives the change in its final state. */
async function applied(serin: Serin, answer: AdminAnswer): Promise<Change> {
  if (answer.status !== 202 && answer.status !== 200) {
    throw new Error(`refused with ${answer.status}: ${JSON.stringify(answer.body)}`);
  }
  const { id } = answer.body as Change;
  return eventually(async () => {
    const { body } = await serin.admin('GET', `/v1/changes/${id}`);
    const change = body as Change;
    return FINAL.has(change.status) ? change : null;
  }, `the end of change ${id}`);
}

/** Makes or replaces the rollout's document. */
export async function putRollout(serin: Serin, service: string, document: object): Promise<Change> {
  const path = `/v1/services/${service}/rollout`;
  const present = await serin.admin('GET', path);
  const tag = present.headers.get('etag');
  const headers: Record<string, string> = present.status === 200 && tag !== null ? { 'if-match': tag } : {};
  return applied(serin, await serin.admin('PUT', path, document, headers));
}

/** Sets a percentage, or takes one of the actions without arguments. */
export async function act(serin: Serin, service: string, action: string, body: object = {}): Promise<Change> {
  return applied(serin, await serin.admin('POST', `/v1/services/${service}/rollout/${action}`, body));
}
