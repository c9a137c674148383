/** Changes, the fleet, endpoints: what is going on. */
import { ComparisonQuery, NoQuery, windowLength } from './bodies.ts';
import { ActionBody } from '../helper/body-schemas.ts';
import type { Route } from './route.ts';
import { changeBody } from './views.ts';

export const FLEET_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/changes/{id}',
    role: 'viewer',
    id: 'getChange',
    summary: 'How far a change has got; readable for 24 hours',
    query: NoQuery,
    success: { status: 200, description: 'The change', answer: 'Change' },
    handle: async ({ backend, params, base }) => ({
      status: 200,
      body: changeBody(await backend.change(params['id']!), base),
    }),
  },
  {
    method: 'POST',
    path: '/v1/changes/{id}/cancel',
    role: 'operator',
    id: 'cancelChange',
    summary: 'Cancels a change that waits to be written; nothing happens once it is',
    query: NoQuery,
    body: ActionBody,
    success: { status: 200, description: 'The change', answer: 'Change' },
    handle: async ({ backend, params, base, authorizeService }) => {
      const id = params['id']!;
      authorizeService((await backend.change(id)).service);
      return { status: 200, body: changeBody(await backend.cancelChange(id), base) };
    },
  },
  {
    method: 'GET',
    path: '/v1/fleet',
    role: 'viewer',
    id: 'getFleet',
    summary: 'Replicas and their workers, and the revision that each has applied',
    query: NoQuery,
    success: { status: 200, description: 'The fleet', answer: 'Fleet' },
    handle: ({ backend }) => ({ status: 200, body: backend.fleet() }),
  },
  {
    method: 'GET',
    path: '/v1/endpoints',
    role: 'viewer',
    id: 'getEndpoints',
    summary: 'The endpoints of all variants, their load, and who leaves them out',
    query: NoQuery,
    success: {
      status: 200,
      description: '`endpoints`: service, variant, address, weight, standing, load, health',
      answer: 'Endpoints',
    },
    handle: ({ backend }) => ({ status: 200, body: { endpoints: backend.endpoints() } }),
  },
  {
    method: 'GET',
    path: '/v1/services/{service}/comparison',
    role: 'viewer',
    id: 'getComparison',
    summary: 'Stable and canary side by side, over all replicas',
    query: ComparisonQuery,
    success: { status: 200, description: 'What was counted; it does not judge', answer: 'Comparison' },
    handle: ({ backend, params, query }) => ({
      status: 200,
      body: backend.comparison(params['service']!, windowLength(query['window'])),
    }),
  },
];
