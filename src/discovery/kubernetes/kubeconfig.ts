/**
 * Reads kubeconfig files: which API server a context means, and by which credentials.
 *
 * Nothing in a kubeconfig is executed: plugins (`exec`, `auth-provider`) are refused with what to use instead. No message holds
 * anything secret of a file.
 */
import path from 'node:path';
import { readYaml } from '../../schema/yaml-document.ts';
import { isLoopback } from '../../net/host-port.ts';
import { isRecord } from '../../schema/json-value.ts';
import { SourceError } from '../source.ts';

/** Text, or the absolute path of a file that holds it. */
export type Content = { readonly text: string } | { readonly file: string };

export interface ClusterAccess {
  /** Without a slash at the end. */
  readonly server: string;
  readonly namespace: string;
  /** Null: the authorities that Node.js knows. */
  readonly ca: Content | null;
  /** The name in the server's certificate, where it is not the server's own. */
  readonly serverName: string | null;
  readonly verify: boolean;
  readonly token: Content | null;
  readonly certificate: Content | null;
  readonly key: Content | null;
}

export interface KubeconfigFile {
  /** Absolute. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

type Fields = { readonly [name: string]: unknown };
interface Entry {
  readonly fields: Fields;
  /** Relative paths start here. */
  readonly directory: string;
}

/**
 * What a context gives access to; null is the current one. As kubectl does, the first of several files that says something counts.
 * Throws SourceError `credentials`.
 */
export function readKubeconfig(files: readonly KubeconfigFile[], context: string | null): ClusterAccess {
  const documents = files.map(readDocument);
  const where = files.map(({ file }) => file).join(', ');
  const wanted = context ?? currentContext(documents);
  if (wanted === '') throw refused(`${where}: there is no current-context; name one with kubernetes.context`);
  const find = (list: string, kind: string, name: string): Entry => {
    const known: string[] = [];
    for (const { fields, directory } of documents) {
      for (const one of listOf(fields[list])) {
        if (!isRecord(one) || typeof one['name'] !== 'string') continue;
        known.push(one['name']);
        if (one['name'] === name && isRecord(one[kind])) return { fields: one[kind], directory };
      }
    }
    throw refused(
      `${where}: there is no ${kind} "${name}" among its ${list}${known.length > 0 ? `, only ${known.slice(0, 10).join(', ')}` : ''}`,
    );
  };
  const { fields: chosen } = find('contexts', 'context', wanted);
  const cluster = find('clusters', 'cluster', text(chosen, 'cluster'));
  const userName = text(chosen, 'user');
  const user = userName === '' ? { fields: {}, directory: '/' } : find('users', 'user', userName);
  refuseUnsupported(user.fields, cluster.fields, `${where}: the user "${userName}"`);
  const certificate = content(user, 'client-certificate');
  const key = content(user, 'client-key');
  if ((certificate === null) !== (key === null))
    throw refused(
      `${where}: the user "${userName}" has a client certificate without a key, or a key without one`,
    );
  return {
    server: serverOf(text(cluster.fields, 'server'), where),
    namespace: text(chosen, 'namespace') || 'default',
    ca: content(cluster, 'certificate-authority'),
    serverName: text(cluster.fields, 'tls-server-name') || null,
    verify: cluster.fields['insecure-skip-tls-verify'] !== true,
    token: tokenOf(user),
    certificate,
    key,
  };
}

function readDocument({ file, bytes }: KubeconfigFile): Entry {
  const document = readYaml(bytes);
  if (Array.isArray(document)) {
    const [first] = document;
    throw refused(
      `${file}${first?.line === undefined ? '' : `, line ${first.line}`}: ${first?.detail ?? 'it cannot be read'}`,
    );
  }
  if (!isRecord(document.value) || !('clusters' in document.value || 'contexts' in document.value))
    throw refused(`${file} is no kubeconfig; expected clusters, users and contexts`);
  return { fields: document.value, directory: path.dirname(file) };
}

function currentContext(documents: readonly Entry[]): string {
  for (const { fields } of documents)
    if (text(fields, 'current-context') !== '') return text(fields, 'current-context');
  return '';
}

function refuseUnsupported(user: Fields, cluster: Fields, who: string): void {
  if ('exec' in user || 'auth-provider' in user)
    throw refused(
      `${who} gets its credentials from a program (${'exec' in user ? 'exec' : 'auth-provider'}), which Serin does not run; use a ServiceAccount's token: token, tokenFile, or a client certificate`,
    );
  if ('username' in user || 'password' in user)
    throw refused(
      `${who} has a password, which no API server takes any more; use token, tokenFile or a client certificate`,
    );
  if ('as' in user || 'as-uid' in user || 'as-groups' in user)
    throw refused(
      `${who} acts as somebody else (as), which Serin does not do; give it credentials of its own`,
    );
  if ('proxy-url' in cluster)
    throw refused(
      `${who} reaches its cluster by a proxy (proxy-url), which Serin does not use; name a server that can be reached`,
    );
}

function serverOf(server: string, where: string): string {
  let url: URL;
  try {
    url = new URL(server);
  } catch {
    throw refused(`${where}: the cluster's server is no URL; expected one such as https://10.0.0.1:6443`);
  }
  if (
    url.protocol !== 'https:' &&
    !(url.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[|\]$/g, '')))
  )
    throw refused(`${where}: the cluster's server is not reached by https; tokens would travel in the open`);
  if (url.username !== '' || url.password !== '')
    throw refused(
      `${where}: the cluster's server has a password in its URL; use token, tokenFile or a client certificate`,
    );
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** `tokenFile` before `token`, as kubectl has it: the file may be newer. */
function tokenOf({ fields, directory }: Entry): Content | null {
  const file = text(fields, 'tokenFile');
  if (file !== '') return { file: path.resolve(directory, file) };
  const token = text(fields, 'token');
  return token === '' ? null : { text: token };
}

/** `…-data` in base64 before the file. */
function content({ fields, directory }: Entry, name: string): Content | null {
  const data = text(fields, `${name}-data`);
  if (data !== '') return { text: Buffer.from(data, 'base64').toString('latin1') };
  const file = text(fields, name);
  return file === '' ? null : { file: path.resolve(directory, file) };
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value.trim() : '';
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function refused(detail: string): SourceError {
  return new SourceError('credentials', detail);
}
