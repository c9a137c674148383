/**
 * Envoy, where it is on the path: one worker; the networks choose a filter chain, the headers a route, as its route
 * table knows no client addresses.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { missing, versionOf } from '../tools.ts';
import { OFFICE } from '../traffic.ts';
import type { PeerKind } from './peer.ts';

const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
const MANAGER =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function route(variant: 'stable' | 'canary', headers: readonly object[]): object {
  return {
    match: { prefix: '/', ...(headers.length > 0 ? { headers } : {}) },
    route: { cluster: variant, timeout: '0s' },
    request_headers_to_add: [
      { header: { key: 'x-canary', value: variant }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
    ],
  };
}

function chain(networks: readonly string[], routes: readonly object[]): object {
  const ranges = networks.map((network) => {
    const [prefix = '', bits] = network.split('/');
    return { address_prefix: prefix, prefix_len: Number(bits) };
  });
  return {
    ...(ranges.length > 0 ? { filter_chain_match: { source_prefix_ranges: ranges } } : {}),
    filters: [
      {
        name: 'envoy.filters.network.http_connection_manager',
        typed_config: {
          '@type': MANAGER,
          stat_prefix: 'proxy',
          use_remote_address: true,
          max_request_headers_kb: 96,
          upgrade_configs: [{ upgrade_type: 'websocket' }],
          route_config: { virtual_hosts: [{ name: 'notes', domains: ['*'], routes }] },
          http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER } }],
        },
      },
    ],
  };
}

export const ENVOY: PeerKind = {
  unavailable: () => missing('envoy'),
  standIn:
    'Envoy cannot hash a cookie for a route: a regular expression on the last digit of the id stands in.',
  async start({ directory, port, origins }) {
    const cluster = (name: 'stable' | 'canary') => ({
      name,
      type: 'STATIC',
      connect_timeout: '5s',
      circuit_breakers: {
        thresholds: [{ max_connections: 4096, max_pending_requests: 4096, max_requests: 4096 }],
      },
      load_assignment: {
        cluster_name: name,
        endpoints: [{ lb_endpoints: [{ endpoint: { address: address(origins[name]) } }] }],
      },
    });
    const agent = { name: 'user-agent', string_match: { contains: 'iPhone' } };
    const tenth = { name: 'cookie', string_match: { safe_regex: { regex: '.*uid=[^;]*0(;.*)?' } } };
    const stable = route('stable', []);
    const file = join(directory, 'envoy.json');
    writeFileSync(
      file,
      JSON.stringify({
        static_resources: {
          listeners: [
            {
              name: 'proxy',
              address: address(port),
              filter_chains: [chain(OFFICE, [route('canary', [agent, tenth]), stable]), chain([], [stable])],
            },
          ],
          clusters: [cluster('stable'), cluster('canary')],
        },
      }),
    );
    const command = [
      'envoy',
      '-c',
      file,
      '--concurrency',
      '1',
      '--log-level',
      'error',
      '--disable-hot-restart',
    ];
    const started = start(pinned(PROXY_CORE, command));
    await listening(port, started);
    return {
      name: 'envoy',
      title: `Envoy ${versionOf('envoy')}`,
      port,
      decides: true,
      pids: () => [started.child.pid as number],
      stop: () => stop(started.child),
    };
  },
};
