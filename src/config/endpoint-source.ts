/**
 * Where the endpoints of a variant come from, as its definition says: a list, a Service of Kubernetes, or a DNS name. Nothing is
 * looked up here.
 */
import { parseAddress } from '../ip/address.ts';

/** What a variant's definition says of it. */
interface SourceDefinition {
  readonly kubernetes?: {
    readonly namespace?: string;
    readonly service: string;
    readonly port: string | number;
  };
  readonly dns?: string;
  readonly endpoints?: readonly unknown[];
}

export interface KubernetesTarget {
  readonly kind: 'kubernetes';
  /** What people call it, in metrics, logs and answers; different sources have different names. */
  readonly name: string;
  /** Null: the namespace that the credentials are for. */
  readonly namespace: string | null;
  readonly service: string;
  /** The name of the Service's port, or the number of its pods' port. */
  readonly port: string | number;
}

export interface DnsTarget {
  readonly kind: 'dns';
  readonly name: string;
  /** In lower case, without the dot at the end. */
  readonly host: string;
  /** Null: the name is one of SRV records, which have ports. */
  readonly port: number | null;
}

export type Target = KubernetesTarget | DnsTarget;

/** How answers call a variant whose endpoints are listed. */
const LISTED = 'listed';

/** What endpoints are discovered from; null where they are listed. The definition must have been checked. */
export function targetOf({ kubernetes, dns }: SourceDefinition): Target | null {
  if (kubernetes !== undefined) {
    const { namespace = null, service, port } = kubernetes;
    const place = namespace === null ? service : `${namespace}/${service}`;
    return { kind: 'kubernetes', name: `kubernetes ${place}:${port}`, namespace, service, port };
  }
  if (dns === undefined) return null;
  const parsed = parseDnsName(dns);
  // The definition's checks have been through it.
  if (typeof parsed === 'string') throw new Error(parsed);
  const name = parsed.port === null ? `dns ${parsed.host}` : `dns ${parsed.host}:${parsed.port}`;
  return { kind: 'dns', name, ...parsed };
}

/** The source of a variant's endpoints by its name. */
export function sourceName(variant: SourceDefinition): string {
  return targetOf(variant)?.name ?? LISTED;
}

/** The host name that a source stands for: for SRV records without service and protocol. `''`: none. */
export function nameOf(target: Target | null): string {
  if (target?.kind !== 'dns') return '';
  return target.port === null ? target.host.split('.').slice(2).join('.') : target.host;
}

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const EXAMPLES = 'notes.internal:8080, or an SRV name such as _http._tcp.notes.internal';

/** `notes.internal:8080`, or an SRV name, which has no port. A string is the fault, as a sentence. */
export function parseDnsName(text: string): { readonly host: string; readonly port: number | null } | string {
  const quoted = `"${text.length <= 60 ? text : `${text.slice(0, 57)}…`}"`;
  const [, written = '', portText] = /^([^:]*)(?::([^:]*))?$/.exec(text) ?? [];
  const host = written.toLowerCase().replace(/\.$/, '');
  if (parseAddress(text) !== null || parseAddress(host) !== null || text.startsWith('['))
    return `${quoted} is an address and needs no DNS; list it: endpoints: ["10.1.0.7:8080"]`;
  const labels = host.split('.');
  if (host === '' || host.length > 253 || !labels.every((label) => LABEL.test(label)))
    return `${quoted} holds no DNS name; expected ${EXAMPLES}`;
  // WHATWG URL: a name whose last label is a number is an address, in one of its odd notations.
  if (/^([0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? ''))
    return `${quoted} ends with a number, so it could be read as an address; expected ${EXAMPLES}`;
  if (host.startsWith('_')) {
    if (portText !== undefined) return `${quoted} has a port, but SRV records tell it; remove the port`;
    return labels.length > 2 && labels[1]?.startsWith('_') === true
      ? { host, port: null }
      : `${quoted} begins like an SRV name but is none; expected _SERVICE._PROTOCOL.NAME, such as _http._tcp.notes.internal`;
  }
  if (portText === undefined) return `${quoted} has no port; expected ${EXAMPLES}`;
  const port = /^[1-9][0-9]{0,4}$/.test(portText) ? Number(portText) : 0;
  if (port === 0 || port > 65_535)
    return `${quoted} has no valid port; expected a number from 1 to 65535 after the colon`;
  return { host, port };
}
