/** A Service that is followed at a stand-in for the API server, with what its listener was told. */
import { type ApiTimes, createKubernetesApi } from '../../../src/discovery/kubernetes/api.ts';
import {
  createCredentials,
  type CredentialOptions,
  type Credentials,
} from '../../../src/discovery/kubernetes/credentials.ts';
import { createKubernetesSources } from '../../../src/discovery/kubernetes/sources.ts';
import type { Finding, SourceListener } from '../../../src/discovery/source.ts';
import type { After } from '../../../src/discovery/time.ts';
import { endpointName } from '../../../src/upstream/endpoint.ts';
import type { KubeApi } from '../../support/kube-api.ts';

export const realAfter: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

export interface Heard extends SourceListener {
  readonly findings: Finding[];
  readonly troubles: string[];
  readonly counts: { reads: number; events: number; inStep: number };
  /** The usable endpoints of the last finding, sorted. */
  now(): string[];
}

export function listenerOf(): Heard {
  const findings: Finding[] = [];
  const troubles: string[] = [];
  const counts = { reads: 0, events: 0, inStep: 0 };
  return {
    findings,
    troubles,
    counts,
    now: () => (findings.at(-1)?.usable ?? []).map(({ host, port }) => endpointName(host, port)).sort(),
    found: (finding) => void findings.push(finding),
    read: () => void (counts.reads += 1),
    event: () => void (counts.events += 1),
    inStep: () => void (counts.inStep += 1),
    trouble: (reason, detail) => void troubles.push(`${reason}: ${detail}`),
  };
}

/** Credentials of a kubeconfig that `read` gives; more options as a test needs them. */
export function credentialsOf(read: () => string, more: Partial<CredentialOptions> = {}) {
  return createCredentials({
    kubeconfig: '/etc/kubeconfig',
    context: null,
    env: {},
    serviceAccount: '/nowhere',
    readFile: async () => Buffer.from(read()),
    monotonicNow: () => performance.now(),
    ...more,
  });
}

/** The sources of Services at a stand-in, each as it is in the program unless said otherwise. */
export function sourcesOf(
  api: KubeApi,
  {
    credentials = credentialsOf(() => api.kubeconfig()),
    after = realAfter,
    monotonicNow = () => performance.now(),
    times,
  }: {
    readonly credentials?: Credentials;
    readonly after?: After;
    readonly monotonicNow?: () => number;
    readonly times?: ApiTimes;
  } = {},
) {
  const random = (): number => 0;
  const kubernetes = createKubernetesApi({ credentials, random, ...(times === undefined ? {} : { times }) });
  const sources = createKubernetesSources({ api: kubernetes, monotonicNow, after, random });
  return { sources, credentials };
}
