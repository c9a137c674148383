/** The admin API over real HTTP, in front of a control plane whose store and workers are held by the test. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { after } from 'node:test';
import { startAdmin } from '../../src/admin/server.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { createUpstreamWatch } from '../../src/control/upstream-watch.ts';
import { LISTED_ONLY } from '../../src/discovery/discovery.ts';
import { createCounterExchange } from '../../src/comparison/counter-exchange.ts';
import { startControlPlane, type ControlPlane } from '../../src/control/control-plane.ts';
import type { FinalLog } from '../../src/store/file/final-log.ts';
import { ControlCounters } from '../../src/telemetry/control-counters.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { fakeWorkers, memoryStore, type FakeWorkers, type MemoryStore } from './memory-store.ts';
import { type MemoryTombstones, memoryTombstones } from './memory-tombstones.ts';

export const CONFIGURATION: Configuration = {
  trustedProxies: ['10.3.0.0/24'],
  segments: { office: ['203.0.113.0/24'] },
  services: {
    notes: {
      hosts: ['notes.example.com'],
      stable: { endpoints: ['127.0.0.1:7001'] },
      canary: { endpoints: ['127.0.0.1:7002'] },
    },
  },
};

export const RULES = { rules: [{ name: 'everyone', percentage: 10 }] };

/** Every field that an answer of these tests may have; which ones it has depends on the route. */
interface Body {
  readonly id: string;
  readonly statusUrl: string;
  /** A word for a change, a number for a problem, this for documents. */
  readonly status: { readonly phase: string; readonly epoch: number; readonly source: string };
  readonly progress: string;
  readonly revision: number;
  readonly degraded: boolean;
  readonly actor: string;
  readonly percentage: { readonly to: number };
  readonly decreaseCount: number;
  readonly code: string;
  readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
  readonly refusal: { readonly code: string };
  readonly rules: readonly { readonly name: string; readonly percentage: number }[];
  readonly steps: unknown;
  readonly history: readonly { readonly revision: number; readonly kind: string; readonly diff: unknown }[];
  readonly next: number;
  readonly decision: { readonly variant: string; readonly rule: string };
  readonly replicas: readonly { readonly workers: readonly unknown[] }[];
  readonly endpoints: readonly { readonly address: string }[];
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Body;
}

interface Api {
  readonly plane: ControlPlane;
  readonly store: MemoryStore;
  readonly workers: FakeWorkers;
  readonly counters: ControlCounters;
  readonly port: number;
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Reply>;
}

const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing) await close();
});

/** Starts both on a free port; they are closed after the test file's last test. */
export async function startApi(
  configuration: Configuration = CONFIGURATION,
  store: MemoryStore = memoryStore(),
  finalLog: FinalLog | null = null,
  tombstoneFile: MemoryTombstones = memoryTombstones(),
): Promise<Api> {
  const workers = fakeWorkers();
  const counters = new ControlCounters();
  const log = createLog({ level: 'silent' });
  const upstreams = createUpstreamWatch({
    services: () => workers.snapshots.at(-1)?.services ?? [],
    blocks: () => null,
    counters: () => [],
    probe: async () => '',
    slept: () => 0,
    monotonicNow: () => 0,
    wallNow: Date.now,
    random: () => 0,
    log,
  });
  const exchange = createCounterExchange({
    boot: 'boot',
    name: 'here',
    totals: () => new Map(),
    exchange: null,
    monotonicNow: () => performance.now(),
  });
  const plane = await startControlPlane({
    endpoints: () => upstreams.endpoints(),
    comparison: (service, window) => exchange.comparison(service, window),
    discovery: LISTED_ONLY,
    configuration,
    keys: [{ id: 'k1', secret: new Uint8Array(32).fill(1) }],
    store,
    tombstoneFile,
    shared: null,
    finalLog,
    workers,
    latches: null,
    counters,
    replica: 'here',
    wallNow: Date.now,
    monotonicNow: () => performance.now(),
    random: randomBytes,
    log,
  });
  const admin = await startAdmin({
    controlPlane: plane,
    listen: { host: '127.0.0.1', port: 0 },
    settings: () => configuration.admin,
    log,
  });
  closing.push(async () => {
    await admin.close();
    await plane.close();
  });
  const { port } = admin;
  const call: Api['call'] = (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const sent = httpRequest(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          agent: false,
          headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => {
            const all = Buffer.concat(chunks).toString();
            const json = all !== '' && /json/.test(String(answer.headers['content-type']));
            resolve({
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              body: (json ? JSON.parse(all) : {}) as Body,
            });
          });
        },
      );
      sent.on('error', reject);
      sent.end(text);
    });
  return { plane, store, workers, counters, port, call };
}

/** Asserts that the reply is a problem of that code, whose first fault is at `pointer`. */
export function problem(reply: Reply, status: number, code: string, pointer?: string): void {
  assert.equal(reply.status, status, JSON.stringify(reply.body));
  assert.equal(reply.headers['content-type'], 'application/problem+json');
  for (const field of ['type', 'title', 'status', 'detail', 'instance', 'code', 'errors']) {
    assert.ok(Object.hasOwn(reply.body, field), field);
  }
  assert.equal(reply.body.code, code);
  assert.equal(reply.body.status, status);
  if (pointer !== undefined) assert.equal(reply.body.errors[0]?.pointer, pointer);
}

export const ROLLOUT = '/v1/services/notes/rollout';
