/** The OpenAPI 3.1 document, made from the routes and the schemas that check them. */
import type { TObject, TSchema } from 'typebox';
import packageJson from '../../package.json' with { type: 'json' };
import type { Route } from './route.ts';

const PROBLEM = {
  type: 'object',
  description: 'RFC 9457 problem details',
  required: ['type', 'title', 'status', 'detail', 'instance', 'code', 'errors'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string' },
    code: { type: 'string', description: 'stable; see docs/errors.md' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: {
          pointer: { type: 'string', description: 'RFC 6901, into the body' },
          detail: { type: 'string' },
          line: { type: 'integer' },
        },
      },
    },
    figures: { type: 'object', description: 'what decided, where a guard refused' },
  },
} as const;

export function openApiDocument(routes: readonly Route[], base: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Serin admin API',
      version: packageJson.version,
      description: 'Services, rollouts and changes of a canary traffic-routing proxy.',
      license: { name: packageJson.license, identifier: packageJson.license },
    },
    servers: [{ url: base }],
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: PROBLEM },
    },
  };
}

function operation(route: Route): object {
  const parameters = [
    ...[...route.path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...Object.entries((route.query as TObject).properties).map(([name, schema]) => ({
      name,
      in: 'query',
      schema: plain(schema),
    })),
  ];
  const { status, description, etag } = route.success;
  const success = {
    description,
    ...(etag === true ? { headers: { ETag: { schema: { type: 'string' } } } } : {}),
    ...(status === 202 ? { headers: { Location: { schema: { type: 'string', format: 'uri' } } } } : {}),
    content: { 'application/json': { schema: { type: 'object' } } },
  };
  return {
    operationId: route.id,
    summary: route.summary,
    'x-role': route.role,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route, route.body) }),
    responses: {
      [status]: success,
      default: {
        description: 'A refusal',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function requestBody(route: Route, schema: TSchema): object {
  if (route.method === 'PATCH') {
    return { required: true, content: { 'application/merge-patch+json': { schema: { type: 'object' } } } };
  }
  const content = { schema: plain(schema) };
  const isDocument = route.method === 'PUT';
  return {
    required: isDocument,
    content: { 'application/json': content, ...(isDocument ? { 'application/yaml': content } : {}) },
  };
}

/** Without the marks that the schema library keeps for itself. */
function plain(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema));
}
