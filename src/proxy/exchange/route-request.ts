/**
 * Which service a request is for, by its host and path, and which variant of it by the policy; or why it goes to neither.
 */
import { UNKNOWN_SERVICE } from '../../policy/service-match.ts';
import type { Routing } from '../routing.ts';
import type { WorkerContext } from '../worker-context.ts';
import { decideRequest } from './decide-request.ts';
import type { ErrorCode } from './error-responses.ts';
import { endByHops } from './hop-limits.ts';
import type { RequestContext } from './request-context.ts';

/** Why a request ends at the proxy. `options`: OPTIONS that ends here by its Max-Forwards. */
export type EndsHere = ErrorCode | 'options';

/** Null: `request.route` and `request.decision` say where it goes. Else it ends here; what is turned away or not found is counted. */
export function routeRequest(
  request: RequestContext,
  routing: Routing,
  context: WorkerContext,
): EndsHere | null {
  request.route = null;
  const { counters } = context;
  if (!context.admission.begin()) return 'overloaded';
  const { head } = request;
  const end = endByHops(head, routing.via);
  if (end !== null) {
    if (end === 'loop_detected') counters.loopDetected();
    return end;
  }
  const index = routing.matcher.find(head.host, head.path);
  const route = routing.services[index];
  if (route === undefined || route.policy.rules?.isAmbiguous(head.path) === true) {
    counters.unmatchedHost();
    return index === UNKNOWN_SERVICE ? 'no_service' : 'ambiguous_path';
  }
  if (!route.admission.admits(request.upgrade)) return 'overloaded';
  request.route = route;
  request.guard = route.guard;
  request.findClient(routing);
  return decideRequest(request, route, context);
}
