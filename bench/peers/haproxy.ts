/**
 * HAProxy as a careful administrator sets it up: one thread, kept connections on both sides, no logging, its counters
 * on as always; and in TCP mode, which reads nothing of what it copies, as the floor.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { missing, versionOf } from '../tools.ts';
import { OFFICE } from '../traffic.ts';
import { CONNECTIONS, type Peer, type PeerKind, type PeerKit } from './peer.ts';

// A head must fit into one buffer, with room for what is added; larger buffers for all would cost it memory.
const common = ({ settings }: PeerKit) => `global
  nbthread 1
  no strict-limits
  ulimit-n ${CONNECTIONS + 4096}
  maxconn ${CONNECTIONS}
  ${settings.largeHeads === true ? 'tune.bufsize 65536\n  tune.http.maxhdr 128' : ''}
defaults
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 300s
  timeout http-keep-alive 300s
`;

async function startHaproxy(
  name: 'haproxy' | 'haproxy-tcp',
  title: string,
  { directory, port }: PeerKit,
  configuration: string,
): Promise<Peer> {
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, configuration);
  const started = start(pinned(PROXY_CORE, ['haproxy', '-db', '-f', file]));
  await listening(port, started);
  return {
    name,
    title: `${title} ${versionOf('haproxy')}`,
    port,
    decides: name === 'haproxy',
    pids: () => [started.child.pid as number],
    stop: () => stop(started.child),
  };
}

/** HTTP mode with the policy: office networks and iPhone and 10 % of the users by their cookie. */
export const HAPROXY: PeerKind = {
  unavailable: () => missing('haproxy'),
  start(kit) {
    const { directory, port, origins } = kit;
    const networks = join(directory, 'office.lst');
    writeFileSync(networks, `${OFFICE.join('\n')}\n`);
    const backend = (name: 'stable' | 'canary') => `
backend ${name}
  http-request set-header X-Canary ${name}
  server ${name} 127.0.0.1:${origins[name]} maxconn 4096
`;
    return startHaproxy(
      'haproxy',
      'HAProxy',
      kit,
      `${common(kit)}  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always

frontend proxy
  bind 127.0.0.1:${port} backlog 4096
  acl office src -f ${networks}
  acl iphone req.hdr(user-agent) -m sub iPhone
  acl tenth req.cook(uid),xxh32,mod(100) lt 10
  http-request set-header X-Forwarded-Proto http
  use_backend canary if office iphone tenth
  default_backend stable
${backend('stable')}${backend('canary')}`,
    );
  },
};

/** TCP mode: the floor that no proxy in user space gets under. */
export const HAPROXY_TCP: PeerKind = {
  unavailable: () => missing('haproxy'),
  start: (kit) =>
    startHaproxy(
      'haproxy-tcp',
      'HAProxy in TCP mode',
      kit,
      `${common(kit)}  mode tcp

frontend proxy
  bind 127.0.0.1:${kit.port} backlog 4096
  default_backend stable

backend stable
  server stable 127.0.0.1:${kit.origins.stable} maxconn ${CONNECTIONS}
`,
    ),
};
