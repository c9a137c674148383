/** The OpenAPI 3.1 document, made from the routes and the schemas that check them. */
import type { TObject, TSchema } from 'typebox';
import packageJson from '../../package.json' with { type: 'json' };
import { ANSWERS } from './answers.ts';
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

/** What is served beside the routes of resources. */
const OTHER_PATHS = {
  '/v1/events': {
    get: {
      operationId: 'followEvents',
      summary: 'What happens, as server-sent events: change, rollout, configuration',
      'x-role': 'viewer',
      parameters: [
        {
          name: 'Last-Event-ID',
          in: 'header',
          description: 'the last event that was read: those after it come first',
          schema: { type: 'string' },
        },
      ],
      responses: {
        200: { description: 'The stream', content: { 'text/event-stream': { schema: { type: 'string' } } } },
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'getOpenApi',
      summary: 'This document',
      'x-role': 'viewer',
      responses: {
        200: {
          description: 'OpenAPI 3.1',
          content: { 'application/json': { schema: { type: 'object' } } },
        },
      },
    },
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
    paths: { ...paths, ...OTHER_PATHS },
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Problem: PROBLEM,
        ...Object.fromEntries(Object.entries(ANSWERS).map(([name, schema]) => [name, plain(schema)])),
      },
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
    ...conditions(route),
  ];
  const { status, description, answer, etag } = route.success;
  const header = etag === true ? ETAG : status === 202 ? LOCATION : {};
  return {
    operationId: route.id,
    summary: route.summary,
    'x-role': route.role,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route, route.body) }),
    responses: {
      [status]: { description, ...header, content: answerContent(answer) },
      ...('dryRun' in (route.query as TObject).properties
        ? { 200: { description: 'With dryRun=true: what it would do', content: answerContent('DryRun') } }
        : {}),
      default: REFUSAL,
    },
  };
}

const ETAG = { headers: { ETag: { schema: { type: 'string' }, description: 'the revision, in quotes' } } };
const LOCATION = { headers: { Location: { schema: { type: 'string' }, description: 'the statusUrl' } } };
const REFUSAL = {
  description: 'A refusal',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

function answerContent(name: keyof typeof ANSWERS): object {
  return { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } };
}

/** The header fields that make a write conditional. */
function conditions({ method, success }: Route): object[] {
  if (success.status !== 202) return [];
  const isDocument = method === 'PUT' || method === 'PATCH';
  const field = (name: string, description: string): object => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  });
  const ifMatch = isDocument
    ? 'the ETag that was read; needed where the document exists'
    : 'the ETag that was read, if the write is to hold only for it';
  return [
    field('If-Match', ifMatch),
    ...(isDocument ? [field('If-None-Match', '`*`: only where no document exists')] : []),
  ];
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
