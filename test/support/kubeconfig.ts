/** Kubeconfigs for the API servers of tests, as YAML. */
import { stringify } from 'yaml';

export interface KubeconfigOptions {
  readonly server: string;
  /** PEM of the authority of the server's certificate. */
  readonly ca: string;
  /** Its fields: a token, say. */
  readonly user: object;
  readonly namespace?: string;
}

/** One cluster, one user, and the context of both. */
export function kubeconfigOf({ server, ca, user, namespace = 'default' }: KubeconfigOptions): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user }],
  });
}
