/**
 * What most black-box tests of the proxy start with: one recording origin behind one Serin process, with short
 * timeouts where a test waits for one to strike, and both closed when the file's tests are over.
 */
import { after, before } from 'node:test';
import { startOrigin, type Origin } from './origin.ts';
import { startSerin, type Serin, type SerinOptions } from './serin.ts';

export interface Pair {
  readonly serin: Serin;
  readonly origin: Origin;
  readonly canary: Origin;
  /** The proxy's port. */
  readonly port: number;
}

export interface PairOptions extends Omit<SerinOptions, 'services'> {
  /** Merged into the definition of the service `notes`, which serves any host. */
  service?: Record<string, unknown>;
  /** More services. */
  services?: (origin: Origin, canary: Origin) => Record<string, unknown>;
}

function started<T>(member: T | undefined): T {
  if (member === undefined) throw new Error('the pair is started by a hook; use it inside of tests');
  return member;
}

/** Registers the hooks of a test file; the pair's members may be used once the first test runs. */
export function startPair(options: PairOptions = {}): Pair {
  let origin: Origin | undefined;
  let canary: Origin | undefined;
  let serin: Serin | undefined;
  before(async () => {
    origin = await startOrigin('stable');
    canary = await startOrigin('canary');
    const { service, services, configuration, ...rest } = options;
    const notes = {
      hosts: ['*'],
      stable: { endpoints: [origin.endpoint] },
      canary: { endpoints: [canary.endpoint] },
      ...service,
    };
    serin = await startSerin({
      ...rest,
      configuration: { log: { level: 'warn' }, ...configuration },
      services: { notes, ...services?.(origin, canary) },
    });
  });
  after(async () => {
    await serin?.stop();
    await origin?.close();
    await canary?.close();
  });
  return {
    get serin() {
      return started(serin);
    },
    get origin() {
      return started(origin);
    },
    get canary() {
      return started(canary);
    },
    get port() {
      return started(serin).proxyPort;
    },
  };
}
