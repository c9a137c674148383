/**
 * A stand-in for Kubernetes' API server: EndpointSlices of discovery.k8s.io/v1 over HTTPS, listed and watched as the real one
 * does it. Its shapes are those of a kube-apiserver 1.34 that was asked the same: items of a list have no kind of their own,
 * bookmarks hold nulls, a slice whose label changes is DELETED with its former contents, a version that is too old is an ERROR event in a
 * stream of status 200, and continue tokens that are too old are answered with 410.
 *
 * Faults are set by the test.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { makeAuthority, type Issued } from './certificates.ts';
import { kubeconfigOf } from './kubeconfig.ts';

export interface SliceSpec {
  readonly addressType?: 'IPv4' | 'IPv6' | 'FQDN';
  readonly ports?: readonly object[] | null;
  readonly endpoints: readonly object[] | null;
}

interface Stored extends SliceSpec {
  readonly namespace: string;
  readonly service: string;
  readonly name: string;
  readonly version: number;
  readonly uid: string;
}

interface LoggedEvent {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Stored;
}

/** What the next requests get instead of an answer. */
export interface Failure {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export interface KubeRequest {
  readonly kind: 'list' | 'watch';
  readonly url: URL;
  readonly token: string;
}

interface Watch {
  readonly response: ServerResponse;
  readonly namespace: string;
  readonly service: string;
}

export interface KubeApi {
  readonly port: number;
  readonly ca: string;
  readonly requests: KubeRequest[];
  /** Open watches. */
  readonly watches: number;
  /** The token that is taken; `null`: any. */
  token: string | null;
  /** The user may do nothing in this namespace. */
  forbidden: string | null;
  /** Whether a watch from a version that is gone is answered by an ERROR event or by status 410. */
  goneBy: 'event' | 'status';
  /** Items on a page at most, whatever is asked for. */
  pageSize: number;
  /** Requests are taken and never answered. */
  stalled: boolean;
  /** Makes or replaces a slice, and tells the watches. */
  put(namespace: string, service: string, name: string, spec: SliceSpec): void;
  delete(namespace: string, name: string): void;
  /** Versions up to now can't be watched from any more. */
  compact(): void;
  /** Versions begin anew from here, as after a restore from a backup. */
  restoreTo(version: number): void;
  /** The next so many requests are answered so. */
  failNext(count: number, failure: Failure): void;
  bookmark(): void;
  /** Writes to all watches as it is. */
  raw(text: string): void;
  /** The last event of a slice again, with that version. */
  repeat(name: string, version?: number): void;
  /** Ends all watches: in order, or in the middle of a line. */
  endWatches(how: 'ended' | 'cut'): void;
  /** Nobody listens any more, and every connection breaks. */
  goDown(): Promise<void>;
  comeUp(): Promise<void>;
  /** A kubeconfig for this server, YAML. */
  kubeconfig(user?: Record<string, unknown>, namespace?: string): string;
  close(): Promise<void>;
}

export async function startKubeApi(): Promise<KubeApi> {
  const issued = issue();
  const slices = new Map<string, Stored>();
  let log: LoggedEvent[] = [];
  let version = 100;
  let oldest = 0;
  let failures: Failure[] = [];
  const watches = new Set<Watch>();
  const sockets = new Set<Socket>();
  const requests: KubeRequest[] = [];
  let server: Server = listener();
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;

  function listener(): Server {
    const made = createServer({ cert: issued.certificate, key: issued.key }, (request, response) => {
      if (!api.stalled) answer(request, response);
    });
    made.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {});
    });
    made.on('tlsClientError', () => {});
    return made;
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'https://kube.test');
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const failure = failures.shift();
    if (failure !== undefined) {
      response.writeHead(failure.status, { 'content-type': 'application/json', ...failure.headers });
      response.end(
        failure.body ?? JSON.stringify(status(failure.status, 'Injected', 'injected by the test')),
      );
      return;
    }
    if (api.token !== null && token !== api.token)
      return refuse(response, 401, 'Unauthorized', 'Unauthorized');
    const [, namespace] =
      /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/([^/]+)\/endpointslices$/.exec(url.pathname) ?? [];
    if (namespace === undefined)
      return refuse(response, 404, 'NotFound', 'the server could not find the requested resource');
    const watch = url.searchParams.get('watch') === '1';
    requests.push({ kind: watch ? 'watch' : 'list', url, token });
    if (api.forbidden === namespace) {
      const message = `endpointslices.discovery.k8s.io is forbidden: User "serin" cannot ${watch ? 'watch' : 'list'} resource "endpointslices" in API group "discovery.k8s.io" in the namespace "${namespace}"`;
      return refuse(response, 403, 'Forbidden', message);
    }
    const service = (url.searchParams.get('labelSelector') ?? '').replace('kubernetes.io/service-name=', '');
    if (watch) serveWatch(namespace, service, url, response);
    else serveList(namespace, service, url, response);
  }

  function serveList(namespace: string, service: string, url: URL, response: ServerResponse): void {
    const limit = Math.min(api.pageSize, Number(url.searchParams.get('limit') ?? Infinity));
    const [at = version, from = 0] = decode(url.searchParams.get('continue'));
    if (at < oldest) {
      const message = 'The provided continue parameter is too old to display a consistent list result.';
      return refuse(response, 410, 'Expired', message);
    }
    const all = [...slices.values()].filter((one) => one.namespace === namespace && one.service === service);
    const items = all.slice(from, from + limit).map((one) => object(one));
    const more = from + limit < all.length;
    send(response, 200, {
      kind: 'EndpointSliceList',
      apiVersion: 'discovery.k8s.io/v1',
      metadata: { resourceVersion: String(at), ...(more ? { continue: encode(at, from + limit) } : {}) },
      items,
    });
  }

  function serveWatch(namespace: string, service: string, url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < oldest && api.goneBy === 'status')
      return refuse(response, 410, 'Expired', `too old resource version: ${from} (${oldest})`);
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    const one: Watch = { response, namespace, service };
    if (from < oldest) {
      writeEvent(one, 'ERROR', status(410, 'Expired', `too old resource version: ${from} (${oldest})`));
      response.end();
      return;
    }
    for (const { type, object: changed, version: at } of log)
      if (at > from && concerns(one, changed)) writeEvent(one, type, { ...kind, ...object(changed) });
    watches.add(one);
    response.on('close', () => watches.delete(one));
  }

  function tell(type: LoggedEvent['type'], changed: Stored): void {
    log.push({ version: changed.version, type, object: changed });
    for (const watch of watches)
      if (concerns(watch, changed)) writeEvent(watch, type, { ...kind, ...object(changed) });
  }

  const api: KubeApi = {
    port,
    ca: issued.ca,
    requests,
    get watches() {
      return watches.size;
    },
    token: null,
    forbidden: null,
    goneBy: 'event',
    pageSize: Infinity,
    stalled: false,
    put(namespace, service, name, spec) {
      const key = `${namespace}/${name}`;
      const before = slices.get(key);
      version += 1;
      const next: Stored = {
        ...spec,
        namespace,
        service,
        name,
        version,
        uid: before?.uid ?? `uid-${version}`,
      };
      slices.set(key, next);
      if (before !== undefined && before.service !== service) tell('DELETED', { ...before, version });
      tell(before === undefined || before.service !== service ? 'ADDED' : 'MODIFIED', next);
    },
    delete(namespace, name) {
      const key = `${namespace}/${name}`;
      const before = slices.get(key);
      if (before === undefined) throw new Error(`no slice ${key}`);
      slices.delete(key);
      version += 1;
      tell('DELETED', { ...before, version });
    },
    compact() {
      log = [];
      oldest = version + 1;
      version += 1;
    },
    restoreTo(next) {
      log = [];
      version = next;
      for (const [key, one] of slices) slices.set(key, { ...one, version: next });
    },
    failNext(count, failure) {
      failures = Array.from({ length: count }, () => failure);
    },
    bookmark() {
      const empty = {
        metadata: { resourceVersion: String(version) },
        addressType: '',
        endpoints: null,
        ports: null,
      };
      for (const watch of watches) writeEvent(watch, 'BOOKMARK', { ...kind, ...empty });
    },
    raw(text) {
      for (const { response } of watches) response.write(text);
    },
    repeat(name, at) {
      const last = log.findLast(({ object: one }) => one.name === name);
      if (last === undefined) throw new Error(`no event of ${name}`);
      const changed = at === undefined ? last.object : { ...last.object, version: at };
      for (const watch of watches)
        if (concerns(watch, changed)) writeEvent(watch, last.type, { ...kind, ...object(changed) });
    },
    endWatches(how) {
      for (const watch of watches) {
        const { response } = watch;
        watches.delete(watch);
        if (how === 'ended') response.end();
        else
          response.write('{"type":"MODIFIED","object":{"kind":"Endpoint', () => response.socket?.destroy());
      }
    },
    async goDown() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async comeUp() {
      server = listener();
      await listen(server, port);
    },
    kubeconfig: (user = { token: 'test-token' }, namespace = 'default') =>
      kubeconfigOf({ server: `https://127.0.0.1:${port}`, ca: issued.ca, user, namespace }),
    async close() {
      if (server.listening) await api.goDown();
    },
  };
  return api;
}

const kind = { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1' } as const;

/** One address that is ready, or in the state that `conditions` says. */
export function endpointOf(
  address: string,
  conditions: object | null = { ready: true, serving: true, terminating: false },
): object {
  return {
    addresses: [address],
    ...(conditions === null ? {} : { conditions }),
    targetRef: { kind: 'Pod', namespace: 'notes', name: `pod-${address}`, uid: `uid-${address}` },
    nodeName: 'node-1',
    zone: 'zone-a',
  };
}

/** A slice of IPv4 addresses with one port called http. */
export function sliceOf(addresses: readonly string[], port: number, conditions?: object): SliceSpec {
  return {
    ports: [{ name: 'http', protocol: 'TCP', port }],
    endpoints: addresses.map((address) => endpointOf(address, conditions)),
  };
}

function object({
  namespace,
  service,
  name,
  version,
  uid,
  addressType = 'IPv4',
  ports = [],
  endpoints,
}: Stored): object {
  return {
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion: String(version),
      generation: 1,
      creationTimestamp: '2026-01-02T03:04:05Z',
      labels: { 'kubernetes.io/service-name': service },
      managedFields: [
        { manager: 'kube-controller-manager', operation: 'Update', fieldsType: 'FieldsV1', fieldsV1: {} },
      ],
    },
    addressType,
    endpoints,
    ports,
  };
}

function concerns({ namespace, service }: Watch, one: Stored): boolean {
  return one.namespace === namespace && one.service === service;
}

function writeEvent({ response }: Watch, type: string, changed: object): void {
  response.write(`${JSON.stringify({ type, object: changed })}\n`);
}

function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function refuse(response: ServerResponse, code: number, reason: string, message: string): void {
  send(response, code, status(code, reason, message));
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function encode(version: number, from: number): string {
  return Buffer.from(JSON.stringify([version, from])).toString('base64url');
}

function decode(token: string | null): number[] {
  return token === null ? [] : (JSON.parse(Buffer.from(token, 'base64url').toString()) as number[]);
}

function issue(): Issued & { readonly ca: string } {
  const authority = makeAuthority('Test cluster');
  return { ...authority.issue(['kubernetes', '127.0.0.1']), ca: authority.certificate };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}
