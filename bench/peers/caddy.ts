/** Caddy, with kept connections and no log. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { missing, versionOf } from '../tools.ts';
import { OFFICE, TENTH } from '../traffic.ts';
import type { PeerKind } from './peer.ts';

export const CADDY: PeerKind = {
  unavailable: () => missing('caddy'),
  standIn: 'Caddy cannot hash a cookie: a regular expression on the last digit of the id stands in.',
  async start({ directory, port, origins }) {
    const handler = (name: 'stable' | 'canary') => `{
    reverse_proxy 127.0.0.1:${origins[name]} {
      header_up X-Canary ${name}
      transport http {
        keepalive 300s
        keepalive_idle_conns 1024
        keepalive_idle_conns_per_host 1024
      }
    }
  }`;
    const file = join(directory, 'Caddyfile');
    writeFileSync(
      file,
      `{
  admin off
  auto_https off
  storage file_system ${directory}
  log {
    output discard
  }
  servers {
    max_header_size 64KiB
    timeouts {
      idle 300s
    }
  }
}
http://:${port} {
  bind 127.0.0.1
  @canary {
    remote_ip ${OFFICE.join(' ')}
    header User-Agent *iPhone*
    header_regexp Cookie "${TENTH}"
  }
  handle @canary ${handler('canary')}
  handle ${handler('stable')}
}
`,
    );
    // It writes down what it was last configured with, below its home.
    const env = { ...process.env, HOME: directory, XDG_CONFIG_HOME: directory, XDG_DATA_HOME: directory };
    const command = ['caddy', 'run', '--adapter', 'caddyfile', '--config', file];
    const started = start(pinned(PROXY_CORE, command), { env });
    await listening(port, started);
    return {
      name: 'caddy',
      title: `Caddy ${versionOf('caddy')}`,
      port,
      decides: true,
      pids: () => [started.child.pid as number],
      stop: () => stop(started.child),
    };
  },
};
