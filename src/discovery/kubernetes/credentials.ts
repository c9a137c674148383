/**
 * How the API server is reached and what Serin shows to it: by a kubeconfig, or as the pod that it runs in.
 *
 * Files are read anew once a minute and whenever the server no longer takes the token: Kubernetes replaces a pod's token every hour.
 * The connections of former credentials end by themselves; a watch lasts minutes.
 */
import path from 'node:path';
import { Agent, type Dispatcher } from 'undici';
import { formatHostPort } from '../../net/host-port.ts';
import type { ReadFile } from '../../files/regular-file.ts';
import { fileTrouble } from '../../schema/thrown.ts';
import { SourceError } from '../source.ts';
import { type ClusterAccess, type Content, readKubeconfig } from './kubeconfig.ts';

/** Where Kubernetes puts a pod's credentials. */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface CredentialOptions {
  /** From the configuration; null: the variable KUBECONFIG, or else the pod's own credentials. */
  readonly kubeconfig: string | null;
  readonly context: string | null;
  readonly env: { readonly [name: string]: string | undefined };
  readonly serviceAccount: string;
  readonly readFile: ReadFile;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
}

export interface Access {
  /** Without a slash at the end. */
  readonly server: string;
  /** The namespace where none is said. */
  readonly namespace: string;
  /** `''`: none. */
  readonly token: string;
  readonly dispatcher: Dispatcher;
}

export interface Credentials {
  /** Rejects with SourceError `credentials`. */
  get(): Promise<Access>;
  /** The server did not take them: the next `get` reads the files again. */
  expire(): void;
  close(): Promise<void>;
}

/** How long what was read is used, in ms. */
const FRESH = 60_000;
const CONNECT_TIME = 10_000;

/** The largest file that is read, in bytes. */
const MOST_BYTES = 1_048_576;

interface Materials extends Omit<ClusterAccess, 'ca' | 'token' | 'certificate' | 'key'> {
  readonly ca: string;
  readonly token: string;
  readonly certificate: string;
  readonly key: string;
}

export function createCredentials(options: CredentialOptions): Credentials {
  const { monotonicNow } = options;
  let reading: Promise<Access> | null = null;
  let readAt = Number.NEGATIVE_INFINITY;
  let agent: { readonly id: string; readonly agent: Agent } | null = null;

  async function read(): Promise<Access> {
    const { server, namespace, token, ...tls } = await readMaterials(options);
    const id = JSON.stringify(tls);
    if (agent?.id !== id) {
      const former = agent?.agent;
      agent = { id, agent: newAgent(tls) };
      // It ends when the last of its watches does.
      former?.close().catch(() => {});
    }
    return { server, namespace, token, dispatcher: agent.agent };
  }

  return {
    get() {
      if (reading === null || monotonicNow() - readAt > FRESH) {
        readAt = monotonicNow();
        const mine: Promise<Access> = read().catch((error: unknown) => {
          if (reading === mine) reading = null;
          throw error;
        });
        reading = mine;
      }
      return reading;
    },
    expire() {
      readAt = Number.NEGATIVE_INFINITY;
    },
    async close() {
      await agent?.agent.destroy();
    },
  };
}

type Tls = Omit<Materials, 'server' | 'namespace' | 'token'>;

/** HTTP/1.1, a connection for each watch: one that stalls or breaks is one Service's, not all of them. */
function newAgent({ ca, serverName, verify, certificate, key }: Tls): Agent {
  return new Agent({
    allowH2: false,
    connect: {
      timeout: CONNECT_TIME,
      rejectUnauthorized: verify,
      ...(ca === '' ? {} : { ca }),
      ...(certificate === '' ? {} : { cert: certificate, key }),
      ...(serverName === null ? {} : { servername: serverName }),
    },
  });
}

async function readMaterials(options: CredentialOptions): Promise<Materials> {
  const access = await accessOf(options);
  const read = async (content: Content | null, what: string): Promise<string> => {
    if (content === null) return '';
    return 'text' in content ? content.text : readText(options, content.file, what);
  };
  const [ca, token, certificate, key] = await Promise.all([
    read(access.ca, "the authority of the API server's certificate"),
    read(access.token, 'the token'),
    read(access.certificate, 'the client certificate'),
    read(access.key, 'the key of the client certificate'),
  ]);
  if (/[^\x21-\x7e]/.test(token.trim()))
    throw new SourceError(
      'credentials',
      'the token holds characters that no token has; expected one line of visible ASCII',
    );
  return { ...access, ca, token: token.trim(), certificate, key };
}

async function accessOf(options: CredentialOptions): Promise<ClusterAccess> {
  const { kubeconfig, context, env, serviceAccount } = options;
  const files = kubeconfig === null ? filesOf(env['KUBECONFIG']) : [kubeconfig];
  if (files.length > 0) {
    const read = files.map(async (file) => ({
      file: path.resolve(file),
      bytes: await readBytes(options, file, 'the kubeconfig'),
    }));
    return readKubeconfig(await Promise.all(read), context);
  }
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined) {
    throw new SourceError(
      'credentials',
      'Serin runs in no pod (KUBERNETES_SERVICE_HOST is not set), and no kubeconfig is named; set kubernetes.kubeconfig or KUBECONFIG',
    );
  }
  const file = (name: string): string => path.join(serviceAccount, name);
  return {
    server: `https://${formatHostPort({ host, port: Number(port) })}`,
    namespace: (await readText(options, file('namespace'), 'the namespace')).trim(),
    ca: { file: file('ca.crt') },
    serverName: null,
    verify: true,
    token: { file: file('token') },
    certificate: null,
    key: null,
  };
}

function filesOf(list = ''): string[] {
  return list.split(path.delimiter).filter((file) => file !== '');
}

async function readText(options: CredentialOptions, file: string, what: string): Promise<string> {
  return Buffer.from(await readBytes(options, file, what)).toString('latin1');
}

async function readBytes({ readFile }: CredentialOptions, file: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(file, MOST_BYTES);
  } catch (error) {
    throw new SourceError('credentials', `cannot read ${what} from ${file}: ${fileTrouble(error)}`);
  }
}
