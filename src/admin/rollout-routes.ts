/** Rollouts: the policy document, and the actions on it. */
import { RolloutDocument } from '../policy/schema.ts';
import { DocumentError } from '../schema/faults.ts';
import { NO_PRECONDITION, parseIfMatch, type Precondition } from '../rollout/precondition.ts';
import { refused } from '../rollout/refusal.ts';
import type { RolloutWrite } from '../rollout/write-request.ts';
import { ActionQuery, DocumentQuery, HistoryQuery, NoQuery } from './bodies.ts';
import { ActionBody, ExplainBody, PercentageBody, RestoreBody, StepBody } from '../helper/body-schemas.ts';
import type { BodyKind } from '../helper/read-body.ts';
import { type Answer, type Call, type Route, writeRequest } from './route.ts';
import { documentPrecondition } from './service-routes.ts';
import { accepted, explanationBody, rolloutBody, withEtag } from './views.ts';

const ROLLOUT = '/v1/services/{service}/rollout';
const DEFAULT_RULE = 'everyone';
const DEFAULT_PAGE = 20;
const CHANGE = {
  status: 202,
  description: 'The change, whose `statusUrl` says when every worker decides by it',
  answer: 'Change',
} as const;

const ACTIONS = {
  promote: 'Gives the canary to everyone, and keeps it so until finish or rollback',
  finish: "Ends a promoted rollout: stable's endpoints are the new version",
  rollback: 'Gives stable to everyone, at once; accepted even when the store is not there',
  pause: 'Holds the ramp: percentages may not be raised',
  resume: 'Goes on with a paused rollout',
} as const;

export const ROLLOUT_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: ROLLOUT,
    role: 'viewer',
    id: 'getRollout',
    summary: "The service's policy document",
    query: NoQuery,
    success: {
      status: 200,
      description: 'The document, and `status` beside it',
      answer: 'Rollout',
      etag: true,
    },
    handle: ({ backend, params }) => {
      const view = backend.service(params['service']!);
      const body = rolloutBody(view);
      if (body === null) {
        throw refused(
          'rollout_not_found',
          `The service "${view.name}" has had no rollout yet. Start one with PUT of a rollout document.`,
        );
      }
      return withEtag(body, view.revision);
    },
  },
  documentRoute('PUT', 'putRollout', 'Starts a rollout, or replaces the policy of the one under way'),
  documentRoute('PATCH', 'patchRollout', 'Changes parts of the policy: JSON merge patch, RFC 7396'),
  {
    method: 'POST',
    path: `${ROLLOUT}/percentage`,
    role: 'operator',
    id: 'setPercentage',
    summary: 'Sets the percentage of a rule',
    query: ActionQuery,
    body: PercentageBody,
    success: CHANGE,
    handle: async (call) => {
      const body = (await bodyOf(call, 'percentage')) as PercentageBody;
      const { percentage, rule = DEFAULT_RULE, allowDecrease = false } = body;
      return act(call, { kind: 'percentage', percentage, rule, allowDecrease }, body);
    },
  },
  {
    method: 'POST',
    path: `${ROLLOUT}/step`,
    role: 'operator',
    id: 'takeStep',
    summary: 'Takes the next step of the ramp',
    query: ActionQuery,
    body: StepBody,
    success: CHANGE,
    handle: async (call) => {
      const body = (await bodyOf(call, 'step')) as StepBody;
      if (body.from === undefined && body.requestId === undefined) {
        throw new DocumentError('request_invalid', 'A retry could step twice.', [
          { pointer: '', detail: 'give "requestId", or "from": the percentage that the step starts from' },
        ]);
      }
      return act(call, { kind: 'step', from: body.from ?? null }, body);
    },
  },
  ...Object.entries(ACTIONS).map(([kind, summary]): Route => ({
    method: 'POST',
    path: `${ROLLOUT}/${kind}`,
    role: 'operator',
    id: kind,
    summary,
    query: ActionQuery,
    body: ActionBody,
    success: CHANGE,
    handle: async (call) =>
      act(call, { kind: kind as keyof typeof ACTIONS }, (await bodyOf(call, 'action')) as ActionBody),
  })),
  {
    method: 'GET',
    path: '/v1/services/{service}/history',
    role: 'viewer',
    id: 'getHistory',
    summary: 'Who changed what, when, why, from what to what; the newest first',
    query: HistoryQuery,
    success: {
      status: 200,
      description: '`history`, and in `next` the value of `before` for the next page',
      answer: 'History',
    },
    handle: async ({ backend, params, query }) => {
      const limit = Number(query['limit'] ?? DEFAULT_PAGE);
      const before = Number(query['before'] ?? Number.MAX_SAFE_INTEGER);
      const { entries, next } = await backend.history(params['service']!, before, limit);
      return { status: 200, body: { history: entries, next } };
    },
  },
  {
    method: 'POST',
    path: '/v1/services/{service}/history/{revision}/restore',
    role: 'operator',
    id: 'restoreRevision',
    summary: 'Puts the policy of an earlier revision in force, as a new revision',
    query: ActionQuery,
    body: RestoreBody,
    success: CHANGE,
    handle: async (call) => {
      const revision = call.params['revision']!;
      if (!/^[0-9]{1,15}$/.test(revision)) {
        throw refused('revision_not_found', 'A revision is a whole number.', {
          revision: revision.slice(0, 40),
        });
      }
      const body = (await bodyOf(call, 'restore')) as RestoreBody;
      const { allowDecrease = false } = body;
      return act(call, { kind: 'restore', revision: Number(revision), allowDecrease }, body);
    },
  },
  {
    method: 'POST',
    path: '/v1/services/{service}/explain',
    role: 'viewer',
    id: 'explain',
    summary: 'What a described request would get, rule by rule, by the code that decides',
    query: NoQuery,
    body: ExplainBody,
    success: { status: 200, description: 'The decision and what led to it', answer: 'Explanation' },
    handle: async (call) => {
      const { backend, params } = call;
      const { revision = null, ...request } = (await bodyOf(call, 'explain')) as ExplainBody;
      const explanation = await backend.explain(params['service']!, request, revision);
      return { status: 200, body: explanationBody(explanation) };
    },
  },
];

function documentRoute(method: 'PUT' | 'PATCH', id: string, summary: string): Route {
  return {
    method,
    path: ROLLOUT,
    role: 'operator',
    id,
    summary,
    query: DocumentQuery,
    body: RolloutDocument,
    success: CHANGE,
    handle: (call) => {
      const allowDecrease = call.query['allowDecrease'] === 'true';
      const kind = method === 'PUT' ? 'put' : 'patch';
      return act(call, { kind, body: call.body, allowDecrease }, call.query, documentPrecondition(call));
    },
  };
}

/** The body of a call, read where it holds up nobody. */
function bodyOf({ backend, body, actor }: Call, kind: BodyKind): Promise<unknown> {
  return backend.read(kind, body, actor);
}

/** Carries out a write, or only says what it would do. */
async function act(
  call: Call,
  command: RolloutWrite,
  fields: { readonly requestId?: string; readonly reason?: string },
  precondition: Precondition = { ...NO_PRECONDITION, ifMatch: parseIfMatch(call.header('if-match')) },
): Promise<Answer> {
  const service = call.params['service']!;
  const write = writeRequest(call, fields, precondition);
  if (call.query['dryRun'] === 'true') {
    return { status: 200, body: await call.backend.dryRunRollout(service, command, write) };
  }
  return accepted(await call.backend.writeRollout(service, command, write), call.base);
}
