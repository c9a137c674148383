/**
 * The endpoints of the chaos run: child processes that are killed, started again, and hung, one incident after another. What
 * was done to whom and when is kept, so that failures can be laid at somebody's door.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/ports.ts';
import { listening, start, stop } from '../process.ts';

export interface Incident {
  readonly endpoint: string;
  readonly variant: Variant;
  readonly pid: number;
  readonly what: 'killed' | 'hung';
  /** Clock of `performance.now`; `to` is when the endpoint was itself again, Infinity before. */
  readonly from: number;
  to: number;
}

export type Variant = 'stable' | 'canary';

interface Endpoint {
  readonly name: string;
  readonly variant: Variant;
  readonly port: number;
  readonly file: string;
  process: ReturnType<typeof start>;
  busy: boolean;
}

export interface Endpoints {
  /** As the configuration names them. */
  addresses(variant: Variant): string[];
  readonly files: readonly string[];
  readonly incidents: Incident[];
  /** Begins to disturb them; resolves when stopped and all are well again. */
  disturb(settings: Disturbance, random: () => number): { stop(): Promise<void> };
  close(): Promise<void>;
}

export interface Disturbance {
  /** ms from one incident to the next, at least and at most. */
  readonly every: readonly [number, number];
  /** How long an endpoint is gone, or hung, in ms. */
  readonly lasts: readonly [number, number];
  /** How many of a variant may be disturbed at a time. */
  readonly atOnce: Readonly<Record<Variant, number>>;
}

export async function startEndpoints(
  directory: string,
  counts: Readonly<Record<Variant, number>>,
): Promise<Endpoints> {
  const all: Endpoint[] = [];
  const incidents: Incident[] = [];
  for (const variant of ['stable', 'canary'] as const) {
    for (let index = 0; index < counts[variant]; index++) {
      const name = `${variant}-${index}`;
      const port = await freePort();
      const file = join(directory, `deliveries-${name}`);
      all.push({ name, variant, port, file, process: launch(port, name, file), busy: false });
    }
  }
  await Promise.all(all.map(async ({ port, process }) => listening(port, process)));

  async function incident(endpoint: Endpoint, lasts: number, random: () => number): Promise<void> {
    endpoint.busy = true;
    const { child } = endpoint.process;
    const pid = child.pid as number;
    const hang = random() < 0.45;
    const { name, variant } = endpoint;
    const one: Incident = {
      endpoint: name,
      variant,
      pid,
      what: hang ? 'hung' : 'killed',
      from: performance.now(),
      to: Infinity,
    };
    incidents.push(one);
    if (hang) {
      child.kill('SIGSTOP');
      await delay(lasts);
      // Some never wake up.
      if (random() < 0.75) {
        child.kill('SIGCONT');
        one.to = performance.now();
        endpoint.busy = false;
        return;
      }
      incidents.push({ ...one, what: 'killed', from: performance.now() });
    }
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    // Some are back at once, as a container that its kubelet restarts.
    if (random() < 0.7) await delay(lasts);
    endpoint.process = launch(endpoint.port, endpoint.name, endpoint.file);
    await listening(endpoint.port, endpoint.process);
    const now = performance.now();
    for (const open of incidents) if (open.pid === pid && open.to === Infinity) open.to = now;
    endpoint.busy = false;
  }

  return {
    addresses: (variant) =>
      all.filter((one) => one.variant === variant).map(({ port }) => `127.0.0.1:${port}`),
    files: all.map(({ file }) => file),
    incidents,
    disturb(settings, random) {
      const between = ([least, most]: readonly [number, number]): number => least + random() * (most - least);
      const running: Promise<void>[] = [];
      const stopping = Promise.withResolvers<void>();
      const state = { stopped: false };
      const loop = (async () => {
        while (!state.stopped) {
          await Promise.race([delay(between(settings.every)), stopping.promise]);
          if (state.stopped) break;
          const able = all.filter(
            ({ busy, variant }) =>
              !busy &&
              all.filter((one) => one.busy && one.variant === variant).length < settings.atOnce[variant],
          );
          const endpoint = able[Math.floor(random() * able.length)];
          if (endpoint === undefined) continue;
          running.push(incident(endpoint, between(settings.lasts), random));
        }
        await Promise.all(running);
      })();
      return {
        async stop() {
          state.stopped = true;
          stopping.resolve();
          await loop;
        },
      };
    },
    async close() {
      await Promise.all(all.map(async ({ process }) => stop(process.child)));
    },
  };
}

function launch(port: number, name: string, file: string): ReturnType<typeof start> {
  return start([process.execPath, join(import.meta.dirname, 'origin.ts'), String(port), name, file]);
}
