/**
 * What Traefik's `retry` middleware is worth when a replica of Serin is killed: failures without it and with it, and whether any POST
 * arrives twice.
 *
 *   node bench/traefik-retry.ts [--rounds 5]
 *
 * Three replicas behind a real Traefik, which must be on the path. Twelve clients, a quarter of the requests POSTs. One replica is killed
 * (SIGKILL) and taken off Traefik's list two seconds later, as when a probe fails.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { HOST, passes, startBackend, startLoad } from '../test/support/echo-load.ts';
import { startSerin, type Serin } from '../test/support/serin.ts';
import { startTraefik, traefikVersion } from '../test/support/traefik.ts';

const CLIENTS = 12;
const LISTED_FOR = 2000;
const ATTEMPTS = 4;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const version = traefikVersion();
if (version === null) throw new Error('There is no traefik on the path.');

interface Round {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly twice: number;
}

async function round(retry: boolean): Promise<Round> {
  const backend = await startBackend('stable');
  const start = (): Promise<Serin> =>
    startSerin({
      workers: 1,
      configuration: { trustedProxies: ['127.0.0.1/32'] },
      services: { notes: { hosts: [HOST], stable: { endpoints: [backend.address] } } },
    });
  const replicas = [await start(), await start(), await start()] as const;
  const addresses = replicas.map(({ proxyPort }) => `127.0.0.1:${proxyPort}`);
  const traefik = await startTraefik({
    straight: [backend.address],
    serin: addresses,
    opsPort: 1,
    adapt({ entryPoints }, { http }) {
      // Endpoints come and go by their list, as in Kubernetes.
      delete http.services['serin']!.loadBalancer!.healthCheck;
      http.services['notes-rollout'] = { weighted: { services: [{ name: 'serin', weight: 1 }] } };
      // It is about header names, and versions before 3.7.12 do not start with it.
      delete entryPoints.web.http['aliasHeadersStrategy'];
      if (!retry) return;
      Object.assign((http as { middlewares?: object }).middlewares ?? {}, {
        again: { retry: { attempts: ATTEMPTS, initialInterval: '10ms' } },
      });
      const { middlewares = [] } = entryPoints.web.http as { middlewares?: string[] };
      entryPoints.web.http['middlewares'] = [...middlewares, 'again@file'];
    },
  });
  try {
    await traefik.route('notes-rollout.yaml');
    const load = startLoad(traefik.port, CLIENTS);
    await passes(load, 1000);
    process.kill(replicas[0].pid, 'SIGKILL');
    await sleep(LISTED_FOR);
    await traefik.serinAt(addresses.slice(1));
    await passes(load, 1000);
    const { requests, failures } = await load.stop();
    const twice = [...backend.posts.values()].filter((times) => times > 1).length;
    return { requests, failures, twice };
  } finally {
    await traefik.stop();
    for (const replica of replicas) await replica.stop();
    backend.close();
  }
}

for (const retry of [false, true]) {
  let [requests, failures, twice] = [0, 0, 0];
  for (let count = 0; count < Number(values.rounds); count++) {
    const one = await round(retry);
    requests += one.requests;
    failures += one.failures.length;
    twice += one.twice;
    const kinds = [...new Set(one.failures.map((text) => text.replace(/turn \d+/, 'a turn')))].join(', ');
    process.stdout.write(
      `${retry ? 'retry' : 'plain'} ${count + 1}: ${one.requests} requests, ${one.failures.length} failed, ${one.twice} POSTs twice (${kinds})\n`,
    );
  }
  process.stdout.write(
    `Traefik ${version}, ${retry ? 'with' : 'without'} retry: ${requests} requests, ${failures} failed, ${twice} POSTs arrived twice\n`,
  );
}
