/** Services: what the proxy serves. Those of the configuration file are only read here. */
import { ServiceDefinition } from '../config/service.ts';
import { NO_PRECONDITION, parseIfMatch, type Precondition } from '../rollout/precondition.ts';
import { DefinitionQuery, NoQuery, WriteQuery } from './bodies.ts';
import { type Call, type Route, writeRequest } from './route.ts';
import { accepted, serviceBody, withEtag } from './views.ts';

export const SERVICE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/services',
    role: 'viewer',
    id: 'listServices',
    summary: 'All services, in the order of their names',
    query: NoQuery,
    success: {
      status: 200,
      description: '`services`: each with its name, definition and status',
      answer: 'Services',
    },
    handle: ({ backend }) => ({
      status: 200,
      body: { services: backend.services().map((view) => ({ name: view.name, ...serviceBody(view) })) },
    }),
  },
  {
    method: 'GET',
    path: '/v1/services/{service}',
    role: 'viewer',
    id: 'getService',
    summary: 'One service',
    query: NoQuery,
    success: {
      status: 200,
      description: 'The definition, and `status` beside it',
      answer: 'Service',
      etag: true,
    },
    handle: ({ backend, params }) => {
      const view = backend.service(params['service']!);
      return withEtag(serviceBody(view), view.revision);
    },
  },
  {
    method: 'PUT',
    path: '/v1/services/{service}',
    role: 'admin',
    id: 'putService',
    summary: 'Makes or replaces a service',
    query: DefinitionQuery,
    body: ServiceDefinition,
    success: { status: 202, description: 'The change', answer: 'Change' },
    handle: async (call) => {
      const name = call.params['service']!;
      const write = writeRequest(call, call.query, documentPrecondition(call));
      if (call.query['dryRun'] === 'true') {
        return { status: 200, body: await call.backend.dryRunService(name, call.body, write) };
      }
      return accepted(await call.backend.putService(name, call.body, write), call.base);
    },
  },
  {
    method: 'DELETE',
    path: '/v1/services/{service}',
    role: 'admin',
    id: 'deleteService',
    summary: 'Removes a service that has no rollout under way',
    query: WriteQuery,
    success: { status: 202, description: 'The change', answer: 'Change' },
    handle: async (call) => {
      const precondition = { ...NO_PRECONDITION, ifMatch: parseIfMatch(call.header('if-match')) };
      const write = writeRequest(call, call.query, precondition);
      return accepted(await call.backend.deleteService(call.params['service']!, write), call.base);
    },
  },
];

/** A document that exists may only be replaced by somebody who has seen it. */
export function documentPrecondition(call: Call): Precondition {
  return {
    ifMatch: parseIfMatch(call.header('if-match')),
    ifNoneMatch: call.header('if-none-match')?.trim() === '*',
    required: true,
  };
}
