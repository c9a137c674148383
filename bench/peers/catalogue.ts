/** All peers by their names. */
import { CADDY } from './caddy.ts';
import { ENVOY } from './envoy.ts';
import { HAPROXY, HAPROXY_TCP } from './haproxy.ts';
import { NGINX } from './nginx.ts';
import { FASTIFY_HTTP_PROXY, HTTP_PROXY_3 } from './node-libraries.ts';
import type { PeerKind, PeerName } from './peer.ts';
import { SERIN } from './serin.ts';
import { TRAEFIK } from './traefik.ts';

export const PEERS: Readonly<Record<PeerName, PeerKind>> = {
  serin: SERIN,
  haproxy: HAPROXY,
  'haproxy-tcp': HAPROXY_TCP,
  nginx: NGINX,
  caddy: CADDY,
  traefik: TRAEFIK,
  envoy: ENVOY,
  'http-proxy-3': HTTP_PROXY_3,
  'fastify-http-proxy': FASTIFY_HTTP_PROXY,
};
