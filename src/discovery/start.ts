/**
 * Starts discovery with what it needs of the machine: files, timers, DNS, connections.
 */
import { Resolver } from 'node:dns/promises';
import { discoverySettings } from '../config/discovery.ts';
import { readRegular } from '../files/regular-file.ts';
import type { Configuration } from '../config/schema.ts';
import { coalesce } from './coalesce.ts';
import { createDiscovery, type FollowingDiscovery } from './discovery.ts';
import { followName } from './dns/follow.ts';
import type { DiscoveryLog } from './keeper.ts';
import { createKubernetesApi } from './kubernetes/api.ts';
import { createCredentials, SERVICE_ACCOUNT } from './kubernetes/credentials.ts';
import { createKubernetesSources } from './kubernetes/sources.ts';
import type { After } from './time.ts';
import { after as atTime, guarded } from '../runtime/guard.ts';
import { afterAwake } from '../runtime/awake-timer.ts';

export interface StartOptions {
  readonly configuration: Configuration;
  readonly env: { readonly [name: string]: string | undefined };
  readonly log: DiscoveryLog;
  /** Endpoints that are in use have changed. Not called more often than the workers can take. */
  readonly onChange: () => void;
}

export interface RunningDiscovery extends Omit<FollowingDiscovery, 'close'> {
  close(): Promise<void>;
}

/** How long one question to a DNS server may take, in ms, and how often it is asked. */
const DNS_TIME = 2000;
const DNS_TRIES = 2;

export function startDiscovery({ configuration, env, log, onChange }: StartOptions): RunningDiscovery {
  const settings = discoverySettings(configuration);
  const monotonicNow = (): number => performance.now();
  const shared = { monotonicNow, after, random: Math.random };
  const { kubeconfig = null, context = null } = configuration.kubernetes ?? {};
  const credentials = createCredentials({
    kubeconfig,
    context,
    env,
    serviceAccount: SERVICE_ACCOUNT,
    readFile: readRegular,
    monotonicNow,
  });
  const api = createKubernetesApi({ credentials, random: Math.random });
  const services = createKubernetesSources({ ...shared, api });
  const resolver = new Resolver({ timeout: DNS_TIME, tries: DNS_TRIES });
  if (settings.dnsServers.length > 0) resolver.setServers(settings.dnsServers);
  const discovery = createDiscovery({
    ...settings,
    ...shared,
    // How long a source may name no endpoints, and how long one is waited for: not the time that this process slept.
    after: (ms, run) => afterAwake(ms, guarded('discovery', run)),
    log,
    open: (target, listener) =>
      target.kind === 'kubernetes'
        ? services.open(target, listener)
        : followName({ ...shared, resolver, target, listener }),
    onChange: coalesce({ run: onChange, monotonicNow, after }),
  });
  return {
    ...discovery,
    async close() {
      discovery.close();
      resolver.cancel();
      await credentials.close();
    },
  };
}

/** Timers that keep the process alive: while it starts, nothing else may. */
const after: After = (ms, run) => {
  const timer = atTime(ms, guarded('discovery', run));
  return () => clearTimeout(timer);
};
