/** The examples for Traefik fit together, and fit Serin's own times; docs/traefik.md gives the reasons. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { drainSettings, proxySettings } from '../../src/config/proxy.ts';
import { parseDuration } from '../../src/schema/duration.ts';
import { render, type Manifest } from '../support/kubernetes.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string): unknown => parse(readFileSync(path.join(ROOT, 'config/traefik', file), 'utf8'));

interface Transport {
  readonly maxIdleConnsPerHost: number;
  readonly forwardingTimeouts: { readonly idleConnTimeout: string };
}
interface Dynamic {
  readonly http: {
    readonly middlewares: Record<string, { headers: { customRequestHeaders: Record<string, string> } }>;
    readonly services: Record<
      string,
      {
        loadBalancer?: {
          serversTransport: string;
          healthCheck?: { path: string; port: number; interval: string; timeout: string };
        };
        failover?: { service: string; fallback: string };
      }
    >;
    readonly serversTransports: Record<string, Transport>;
  };
}
interface Routes {
  readonly http: { readonly routers: { readonly notes: { readonly service: string } } };
}
interface IngressRoute {
  readonly entryPoints: readonly string[];
  readonly routes: readonly {
    readonly match: string;
    readonly middlewares: readonly { readonly name: string }[];
    readonly services: readonly {
      readonly name: string;
      readonly namespace?: string;
      readonly port: string;
      readonly serversTransport: string;
    }[];
  }[];
}

/** It is never Serin who closes an idle connection, and there are enough of them to keep. */
function fits(transport: Transport): void {
  const { keepAliveTimeout } = proxySettings();
  assert.ok(parseDuration(transport.forwardingTimeouts.idleConnTimeout) + 5_000 <= keepAliveTimeout);
  assert.ok(transport.maxIdleConnsPerHost >= 100);
}

test('the file provider: what is named is there, and the times fit those of Serin', () => {
  const { http } = read('dynamic/services.yaml') as Dynamic;
  const [straight, rollout] = ['dynamic/notes.yaml', 'notes-rollout.yaml'].map(
    (file) => read(file) as Routes,
  );
  const named = [straight!, rollout!].map((routes) => routes.http.routers.notes.service);
  assert.deepEqual(named, ['notes-straight', 'notes-rollout']);
  for (const name of named) assert.ok(name in http.services);
  // Nothing differs but where requests go.
  const plain = (routes: Routes) => ({ ...routes.http.routers.notes, service: '' });
  assert.deepEqual(plain(straight!), plain(rollout!));
  const { service, fallback } = http.services['notes-rollout']!.failover!;
  for (const name of [service, fallback]) assert.ok(name in http.services);
  for (const { loadBalancer } of Object.values(http.services))
    if (loadBalancer !== undefined) fits(http.serversTransports[loadBalancer.serversTransport]!);
  const check = http.services[service]!.loadBalancer!.healthCheck!;
  assert.equal(check.path, '/readyz');
  const noticed = parseDuration(check.interval) + parseDuration(check.timeout);
  assert.ok(noticed + 5_000 <= drainSettings().delay, 'a draining replica is left before it stops accepting');
  const entry = (read('traefik.yaml') as { entryPoints: { web: { http: { middlewares: string[] } } } })
    .entryPoints.web;
  for (const name of entry.http.middlewares) assert.ok(name.replace('@file', '') in http.middlewares);
});

test('Kubernetes: both routes differ in the service alone, and what they name is there', () => {
  const [straight, rollout] = ['straight', 'rollout'].map((name) =>
    render(path.join(ROOT, 'k8s/traefik', name)),
  );
  const route = (all: Manifest[]) => all.find(({ kind }) => kind === 'IngressRoute')!.spec as IngressRoute;
  const plain = (all: Manifest[]) => {
    const { routes, ...rest } = route(all);
    return { ...rest, routes: routes.map((one) => ({ ...one, services: [] })) };
  };
  assert.deepEqual(plain(straight!), plain(rollout!));
  for (const all of [straight!, rollout!]) {
    const [{ services, middlewares }] = route(all).routes as [IngressRoute['routes'][0]];
    const find = (kind: string, name: string, namespace: string) =>
      all.find(
        ({ kind: k, metadata }) => k === kind && metadata.name === name && metadata.namespace === namespace,
      );
    assert.ok(find('Middleware', middlewares[0]!.name, 'notes'));
    // Traefik looks for the transport in the namespace of the Service.
    const { serversTransport, namespace = 'notes' } = services[0]!;
    fits(find('ServersTransport', serversTransport, namespace)!.spec as Transport);
  }
  assert.deepEqual(
    middleware(straight!).headers,
    (read('dynamic/services.yaml') as Dynamic).http.middlewares['from-outside']!.headers,
  );
  const service = render(path.join(ROOT, 'k8s/overlays/single')).find(({ kind }) => kind === 'Service')!;
  const [target] = route(rollout!).routes[0]!.services;
  assert.deepEqual([target!.name, target!.namespace], [service.metadata.name, service.metadata.namespace]);
  const { ports } = service.spec as { ports: { name: string }[] };
  assert.ok(ports.some(({ name }) => name === target!.port));
});

const middleware = (manifests: Manifest[]) =>
  manifests.find(({ kind }) => kind === 'Middleware')!.spec as { headers: unknown };
