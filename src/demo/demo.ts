/**
 * The demonstration: embedded applications, and a configuration that sends the proxy to them.
 *
 * Promises that `npm start` needs nothing but this repository: the applications listen on free loopback ports, the
 * store is a fresh temporary directory that `close` removes. It must never touch a store or a secret of the user's.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { parseDocument } from 'yaml';
import type { Variant } from '../policy/rollout.ts';
import type { ApplicationIdentity } from './application.ts';

/** Two endpoints of each variant, so that a look at several answers shows both stickiness and balancing. */
const APPLICATIONS: readonly ApplicationIdentity[] = [
  { variant: 'stable', version: '1.4.2', endpoint: 'stable-1' },
  { variant: 'stable', version: '1.4.2', endpoint: 'stable-2' },
  { variant: 'canary', version: '1.5.0', endpoint: 'canary-1' },
  { variant: 'canary', version: '1.5.0', endpoint: 'canary-2' },
];

const TEMPLATE = new URL('../../config/demo.yaml', import.meta.url);

export interface Demo {
  /** Absolute path of the configuration to serve, with the real ports of the applications. */
  readonly configFile: string;
  /** What to print once everything listens: where things are and what to try. No newline at its end. */
  banner(urls: { readonly proxy: string; readonly admin: string; readonly ops: string }): string;
  /** Stops the applications and removes the temporary directory. */
  close(): Promise<void>;
}

/**
 * The demonstration's configuration: the template with the applications' addresses, and a store and a secret in
 * `directory`. Comments are kept, so that the file can be read next to the running proxy.
 */
export function demoConfiguration(
  template: string,
  endpoints: Readonly<Record<Variant, readonly string[]>>,
  directory: string,
): string {
  const document = parseDocument(template);
  for (const variant of ['stable', 'canary'] as const) {
    document.setIn(
      ['services', 'notes', variant, 'endpoints'],
      document.createNode(endpoints[variant], { flow: true }),
    );
  }
  document.setIn(['store', 'file'], path.join(directory, 'data'));
  document.setIn(['secretFile'], path.join(directory, 'secret'));
  return document.toString({ lineWidth: 0 });
}

/** Starts the applications and writes the configuration. `log` gets one line for each step taken. */
export async function startDemo({ log }: { readonly log: (line: string) => void }): Promise<Demo> {
  const directory = await mkdtemp(path.join(tmpdir(), 'serin-demo-'));
  const thread = new Worker(new URL('./applications-thread.ts', import.meta.url), {
    workerData: APPLICATIONS,
  });
  // once() also rejects on the thread's 'error' event, so a thread that can't start is not waited for.
  const [ports] = (await once(thread, 'message')) as [readonly number[]];
  const endpoints: Record<Variant, string[]> = { stable: [], canary: [] };
  for (const [index, application] of APPLICATIONS.entries()) {
    endpoints[application.variant].push(`127.0.0.1:${ports[index]}`);
  }
  log(
    `demo applications: stable on ${endpoints.stable.join(', ')}; canary on ${endpoints.canary.join(', ')}`,
  );

  const configFile = path.join(directory, 'serin.yaml');
  await writeFile(configFile, demoConfiguration(await readFile(TEMPLATE, 'utf8'), endpoints, directory));
  log(`demo configuration: ${configFile} (removed at the end, with all rollouts)`);

  return {
    configFile,
    banner: (urls) => bannerText(urls, configFile),
    close: async () => {
      const ended = once(thread, 'exit');
      thread.postMessage('close');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function bannerText(
  urls: { readonly proxy: string; readonly admin: string; readonly ops: string },
  configFile: string,
): string {
  return `
Serin is running, with a demonstration service "notes" behind it (two endpoints of each variant).

  proxy      ${urls.proxy}
  admin API  ${urls.admin}/v1/services
  metrics    ${urls.ops}/metrics
  settings   ${configFile} (temporary, with its store: every start is a fresh one)

Try, in another terminal:

  curl ${urls.proxy}/
  curl -X PUT -H 'content-type: application/json' -d '{"rules":[{"name":"everyone","percentage":50}]}' ${urls.admin}/v1/services/notes/rollout
  for n in 1 2 3 4 5 6 7 8; do curl -s -H "x-user-id: user-$n" ${urls.proxy}/; done

The README's tour goes on from here. Ctrl-C stops everything.`;
}
