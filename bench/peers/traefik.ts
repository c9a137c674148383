/** Traefik 3, where it is on the path: two routers by rule, no log, no telemetry. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { missing, versionOf } from '../tools.ts';
import { OFFICE, TENTH } from '../traffic.ts';
import type { PeerKind } from './peer.ts';

export const TRAEFIK: PeerKind = {
  unavailable: () => missing('traefik'),
  standIn: 'Traefik cannot hash a cookie: a regular expression on the last digit of the id stands in.',
  async start({ directory, port, origins }) {
    const networks = OFFICE.map((network) => `ClientIP(\`${network}\`)`).join(' || ');
    const service = (name: 'stable' | 'canary') => ({
      loadBalancer: { servers: [{ url: `http://127.0.0.1:${origins[name]}` }], serversTransport: 'kept' },
    });
    const routes = join(directory, 'routes.yaml');
    writeFileSync(
      routes,
      stringify({
        http: {
          routers: {
            canary: {
              rule: `(${networks}) && HeaderRegexp(\`User-Agent\`, \`iPhone\`) && HeaderRegexp(\`Cookie\`, \`${TENTH}\`)`,
              priority: 20,
              service: 'canary',
              middlewares: ['canary'],
            },
            stable: { rule: 'PathPrefix(`/`)', priority: 10, service: 'stable', middlewares: ['stable'] },
          },
          middlewares: {
            canary: { headers: { customRequestHeaders: { 'X-Canary': 'canary' } } },
            stable: { headers: { customRequestHeaders: { 'X-Canary': 'stable' } } },
          },
          services: { stable: service('stable'), canary: service('canary') },
          serversTransports: { kept: { maxIdleConnsPerHost: 1024 } },
        },
      }),
    );
    const file = join(directory, 'traefik.yaml');
    writeFileSync(
      file,
      stringify({
        global: { checkNewVersion: false, sendAnonymousUsage: false },
        log: { level: 'ERROR' },
        entryPoints: {
          web: {
            address: `127.0.0.1:${port}`,
            transport: { respondingTimeouts: { readTimeout: 0, idleTimeout: '300s' } },
          },
        },
        providers: { file: { filename: routes, watch: false } },
      }),
    );
    const started = start(pinned(PROXY_CORE, ['traefik', `--configFile=${file}`]));
    await listening(port, started);
    // It listens before it has read its routes.
    for (let attempt = 0; (await fetch(`http://127.0.0.1:${port}/`)).status === 404; attempt++) {
      if (attempt === 100) throw new Error(`Traefik has no routes: ${started.output()}`);
      await delay(50);
    }
    return {
      name: 'traefik',
      title: `Traefik ${versionOf('traefik')}`,
      port,
      decides: true,
      pids: () => [started.child.pid as number],
      stop: () => stop(started.child),
    };
  },
};
