/**
 * A real Traefik with the configuration of config/traefik, its addresses replaced by those of a test. Routes are switched as
 * docs/traefik.md says: by renaming a file into the folder that Traefik watches.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { eventually, within } from './bounded.ts';
import { freePort } from './ports.ts';

const SOURCE = path.join(import.meta.dirname, '../../config/traefik');

export interface TraefikOptions {
  /** Where `notes-straight` leads, as `host:port`. */
  readonly straight: readonly string[];
  /** Where `serin` leads. */
  readonly serin: readonly string[];
  /** The port of Serin's `/readyz`. */
  readonly opsPort: number;
  /** Last changes to the static and the dynamic configuration. */
  readonly adapt?: (configuration: StaticConfiguration, services: Services) => void;
}

export interface StaticConfiguration {
  entryPoints: { web: { address: string; http: Record<string, unknown> } };
  providers: { file: { directory: string } };
  api?: unknown;
  log?: unknown;
}
export interface Services {
  http: {
    services: Record<
      string,
      {
        weighted?: { services: { name: string; weight: number }[] };
        loadBalancer?: {
          servers: { url: string }[];
          healthCheck?: { port: number; interval: string; timeout: string };
        };
      }
    >;
  };
}

export interface Traefik {
  readonly port: number;
  /** Puts a file of config/traefik in the place of the routes, and waits until it is in force. */
  route(file: 'dynamic/notes.yaml' | 'notes-rollout.yaml'): Promise<void>;
  /** Says anew where Serin is, as a list of endpoints does in Kubernetes; waits until it is in force. */
  serinAt(addresses: readonly string[]): Promise<void>;
  output(): string;
  stop(): Promise<void>;
}

/** The version of the Traefik on the path, or null where there is none. */
export function traefikVersion(): string | null {
  const { status, stdout } = spawnSync('traefik', ['version'], { encoding: 'utf8' });
  return status === 0 ? (/^Version: +(\S+)/m.exec(stdout)?.[1] ?? null) : null;
}

const read = async (file: string): Promise<unknown> =>
  parse(await readFile(path.join(SOURCE, file), 'utf8')) as unknown;

/** Starts Traefik with no rollout, and waits until it routes. */
export async function startTraefik(options: TraefikOptions): Promise<Traefik> {
  const folder = await mkdtemp(path.join(tmpdir(), 'serin-traefik-'));
  const dynamic = path.join(folder, 'dynamic');
  await mkdir(dynamic);
  const [port, apiPort] = [await freePort(), await freePort()];
  const configuration = (await read('traefik.yaml')) as StaticConfiguration;
  const services = (await read('dynamic/services.yaml')) as Services;
  configuration.entryPoints.web.address = `127.0.0.1:${port}`;
  configuration.providers.file.directory = dynamic;
  // To ask which routes are in force.
  configuration.api = { insecure: true };
  Object.assign(configuration.entryPoints, { traefik: { address: `127.0.0.1:${apiPort}` } });
  configuration.log = { level: 'WARN' };
  const servers = (addresses: readonly string[]) =>
    addresses.map((address) => ({ url: `http://${address}` }));
  const { 'notes-straight': straight, serin } = services.http.services;
  straight!.loadBalancer!.servers = servers(options.straight);
  serin!.loadBalancer!.servers = servers(options.serin);
  serin!.loadBalancer!.healthCheck!.port = options.opsPort;
  options.adapt?.(configuration, services);
  await writeFile(path.join(folder, 'traefik.yaml'), stringify(configuration));
  await writeFile(path.join(dynamic, 'services.yaml'), stringify(services));
  await copyFile(path.join(SOURCE, 'dynamic/notes.yaml'), path.join(dynamic, 'notes.yaml'));

  const child = spawn('traefik', [`--configFile=${path.join(folder, 'traefik.yaml')}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exit = new Promise<void>((resolve) => {
    child.on('exit', () => resolve());
    child.on('error', () => resolve());
  });
  const killNow = () => child.kill('SIGKILL');
  process.on('exit', killNow);

  const activeState = (service: string): Promise<boolean> =>
    eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(`Traefik ended: ${output}`);
        const answer = await fetch(`http://127.0.0.1:${apiPort}/api/http/routers/notes@file`).catch(
          () => null,
        );
        if (answer?.status !== 200) {
          await answer?.arrayBuffer();
          return false;
        }
        const router = (await answer.json()) as { service: string; status: string };
        return router.service === service && router.status === 'enabled';
      },
      `Traefik routes to ${service}: ${output}`,
      60_000,
      50,
    );

  const serversOf = async (service: string): Promise<string[]> => {
    const answer = await fetch(`http://127.0.0.1:${apiPort}/api/http/services/${service}@file`);
    const { loadBalancer } = (await answer.json()) as Services['http']['services'][string];
    return (loadBalancer?.servers ?? []).map(({ url }) => url);
  };

  const traefik: Traefik = {
    port,
    output: () => output,
    async serinAt(addresses) {
      serin!.loadBalancer!.servers = servers(addresses);
      await writeFile(path.join(dynamic, 'services.new'), stringify(services));
      await rename(path.join(dynamic, 'services.new'), path.join(dynamic, 'services.yaml'));
      const wanted = servers(addresses).map(({ url }) => url);
      await eventually(
        async () => (await serversOf('serin')).join(' ') === wanted.join(' '),
        `Traefik knows Serin at ${addresses.join(', ')}: ${output}`,
        60_000,
        50,
      );
    },
    async route(file) {
      const next = path.join(dynamic, 'notes.new');
      await copyFile(path.join(SOURCE, file), next);
      const routes = (await read(file)) as { http: { routers: { notes: { service: string } } } };
      await rename(next, path.join(dynamic, 'notes.yaml'));
      await activeState(routes.http.routers.notes.service);
    },
    async stop() {
      child.kill('SIGKILL');
      await within(exit, 'the end of Traefik');
      process.off('exit', killNow);
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await activeState('notes-straight');
  } catch (error) {
    await traefik.stop();
    throw error;
  }
  return traefik;
}
