/**
 * What must hold of a service beyond its schema: host names, path prefix, identity chain, cookies, endpoints, and that
 * no two services answer to the same place.
 *
 * The configuration file and the API use the same checks. Nothing here reads a file or resolves a name.
 */
import { prefixed, type Fault } from '../schema/faults.ts';
import { normalisePath } from '../policy/path.ts';
import { normaliseHost } from '../policy/service-match.ts';
import { checkSchema } from '../schema/check.ts';
import { joinPointer } from '../schema/json-value.ts';
import { parseDuration } from '../schema/duration.ts';
import { parseDnsName } from './endpoint-source.ts';
import { formatHostPort, parseEndpoint } from '../net/host-port.ts';
import { pathPrefix, type IdentityTierDefinition, ServiceDefinition } from './service.ts';
import { upstreamFaults } from './upstream.ts';
import {
  endpointAddress,
  healthCheckFaults,
  type EndpointDefinition,
  type VariantDefinition,
} from './variant.ts';
import { withoutUnavailable } from './unavailable.ts';

/** The one cookie that the proxy mints. */
const MINTED = 'serin_id';

/** Headers that are the proxy's own, are removed on the way, or hold more than an identity. */
const NO_IDENTITY = new Set([
  'cookie',
  'connection',
  'host',
  'transfer-encoding',
  'upgrade',
  'x-canary',
  'x-serin-override',
]);

const checkDefinition = checkSchema(ServiceDefinition);

/** The faults of a whole service definition from outside, `[]` when it is right. Pointers start at the definition. */
export function checkServiceDefinition(value: unknown): Fault[] {
  const { rest, faults } = withoutUnavailable('/services/*', value);
  const wrong = [...faults, ...checkDefinition(rest)];
  return wrong.length > 0 ? wrong : serviceFaults(value as ServiceDefinition);
}

/** The faults of a definition that its schema admits. */
export function serviceFaults(service: ServiceDefinition): Fault[] {
  return [
    ...hostFaults(service.hosts),
    ...prefixFaults(service.pathPrefix),
    ...identityFaults(service.identity ?? []),
    ...cookieFaults(service),
    ...sourceFaults(service.stable, '/stable'),
    ...sourceFaults(service.canary ?? { endpoints: [] }, '/canary'),
    ...endpointFaults(service.stable.endpoints ?? [], '/stable/endpoints'),
    ...endpointFaults(service.canary?.endpoints ?? [], '/canary/endpoints'),
    ...upstreamFaults(service),
    ...prefixed('/stable', healthCheckFaults(service.stable)),
    ...prefixed('/canary', healthCheckFaults(service.canary)),
    ...mirrorFaults(service),
    ...tlsFaults(service.stable, '/stable'),
    ...tlsFaults(service.canary, '/canary'),
  ];
}

/** What is allowed in a definition but unwise. */
export function serviceWarnings(service: ServiceDefinition): Fault[] {
  const unverified = (['stable', 'canary'] as const).flatMap((variant) => {
    if (service[variant]?.tls?.insecureSkipVerify !== true) return [];
    const detail = `insecureSkipVerify believes whoever answers at ${variant}'s endpoints: anybody on the way can read and change every request; name their authority with ca`;
    return [{ pointer: `/${variant}/tls/insecureSkipVerify`, detail }];
  });
  return [...unverified, ...sharedEndpoints(service)];
}

/** Endpoints of both variants: a rollout decides nothing for the users who get one. */
function sharedEndpoints({ stable, canary }: ServiceDefinition): Fault[] {
  const place = (definition: EndpointDefinition): string => {
    const parsed = parseEndpoint(endpointAddress(definition));
    return typeof parsed === 'string' ? '' : formatHostPort(parsed);
  };
  const ofStable = new Set((stable.endpoints ?? []).map(place));
  return (canary?.endpoints ?? []).flatMap((definition, index): Fault[] => {
    if (!ofStable.has(place(definition))) return [];
    const detail = `"${endpointAddress(definition)}" is an endpoint of stable too, so whoever gets it gets the same version in both groups; remove it from one`;
    return [{ pointer: `/canary/endpoints/${index}`, detail }];
  });
}

function mirrorFaults({ mirror }: ServiceDefinition): Fault[] {
  if (mirror?.timeout === undefined || parseDuration(mirror.timeout) > 0) return [];
  const detail = `with ${mirror.timeout} no answer would come in time; expected a duration above 0, such as 10s`;
  return [{ pointer: '/mirror/timeout', detail }];
}

/**
 * The places to which two services would answer; the fault is at the later one. Pointers start at the services' record.
 */
export function collisionFaults(
  services: Iterable<readonly [name: string, service: ServiceDefinition]>,
): Fault[] {
  const faults: Fault[] = [];
  const taken = new Map<string, string>();
  for (const [name, service] of services) {
    const prefix = pathPrefix(service);
    for (const [index, host] of service.hosts.entries()) {
      const place = `${normaliseHost(host)} ${prefix}`;
      const owner = taken.get(place);
      if (owner !== undefined && owner !== name) {
        const pointer = joinPointer(joinPointer(joinPointer('', name), 'hosts'), index);
        const detail = `the service "${owner}" answers to ${host} under ${prefix} already; change the host or the pathPrefix of one`;
        faults.push({ pointer, detail });
      }
      taken.set(place, owner ?? name);
    }
  }
  return faults;
}

const HOST_LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

function hostFaults(hosts: readonly string[]): Fault[] {
  const faults: Fault[] = [];
  const seen = new Map<string, number>();
  for (const [index, host] of hosts.entries()) {
    const pointer = `/hosts/${index}`;
    const name = normaliseHost(host);
    const before = seen.get(name);
    if (before !== undefined)
      faults.push({ pointer, detail: `"${host}" is listed twice, first at ${before}; remove one` });
    seen.set(name, before ?? index);
    const fault = hostFault(host, name);
    if (fault !== null) faults.push({ pointer, detail: fault });
  }
  return faults;
}

function hostFault(host: string, name: string): string | null {
  if (host.includes('://') || host.includes('/'))
    return `"${host}" is not a host name; expected one without scheme and path, such as notes.example.com`;
  if (name === '*' || /^\[[0-9a-f:.]+\]$/.test(name))
    return name === host.toLowerCase() ? null : withPort(host);
  const bare = name.startsWith('*.') ? name.slice(2) : name;
  if (bare.includes('*')) return `"${host}" has a "*" where none can be; expected *.example.com or * alone`;
  if (host.includes(':')) return withPort(host);
  return bare.length <= 253 && bare.split('.').every((label) => HOST_LABEL.test(label))
    ? null
    : `"${host}" is not a host name; expected notes.example.com, *.example.com or *`;
}

function withPort(host: string): string {
  return `"${host}" has a port; hosts are matched without it: remove the port`;
}

function prefixFaults(prefix: string | undefined): Fault[] {
  if (prefix === undefined) return [];
  const pointer = '/pathPrefix';
  if (!/^[A-Za-z0-9._~!$&'()*+,;=:@/%-]*$/.test(prefix) || /%(?![0-9A-Fa-f]{2})/.test(prefix)) {
    return [
      {
        pointer,
        detail: `${JSON.stringify(prefix)} is not a path; percent-encode what a URL cannot hold, leave out "?" and "#"`,
      },
    ];
  }
  if (prefix.includes('//'))
    return [{ pointer, detail: `"${prefix}" has an empty segment; write single slashes` }];
  const normal = normalisePath(prefix);
  return normal === prefix
    ? []
    : [{ pointer, detail: `"${prefix}" is not in its normal form; write ${normal}` }];
}

function identityFaults(chain: readonly IdentityTierDefinition[]): Fault[] {
  const faults: Fault[] = [];
  const seen = new Set<string>();
  for (const [index, tier] of chain.entries()) {
    const fault = tierFault(tier, index === chain.length - 1);
    const key =
      'header' in tier
        ? `header ${tier.header.toLowerCase()}`
        : 'cookie' in tier
          ? `cookie ${tier.cookie}`
          : 'fingerprint';
    if (fault !== null) faults.push({ pointer: `/identity/${index}${fault.at}`, detail: fault.detail });
    else if (seen.has(key))
      faults.push({
        pointer: `/identity/${index}`,
        detail: `the tier "${key}" is there already; remove one`,
      });
    seen.add(key);
  }
  return faults;
}

function tierFault(tier: IdentityTierDefinition, last: boolean): { at: string; detail: string } | null {
  if ('fingerprint' in tier) {
    return last
      ? null
      : {
          at: '',
          detail: 'the fingerprint is always present, so no tier after it would count; move it to the end',
        };
  }
  if ('header' in tier) {
    return NO_IDENTITY.has(tier.header.toLowerCase())
      ? {
          at: '/header',
          detail: `the header "${tier.header}" cannot be an identity; expected one that names the user, such as x-user-id`,
        }
      : null;
  }
  if (tier.mint === true && tier.cookie !== MINTED) {
    return {
      at: '/mint',
      detail: `only the cookie ${MINTED} is minted; write { cookie: ${MINTED}, mint: true }, or leave out mint`,
    };
  }
  return tier.cookie.startsWith('serin_') && tier.cookie !== MINTED
    ? {
        at: '/cookie',
        detail: `the cookie "${tier.cookie}" is the proxy's own; expected a cookie of the application or ${MINTED}`,
      }
    : null;
}

function cookieFaults({ cookies }: ServiceDefinition): Fault[] {
  if (cookies === undefined) return [];
  const faults: Fault[] = [];
  if (cookies.sameSite === 'None' && cookies.secure !== 'always') {
    faults.push({
      pointer: '/cookies/sameSite',
      detail: 'browsers refuse SameSite=None without Secure; add secure: always',
    });
  }
  if (cookies.partitioned === true && cookies.secure !== 'always') {
    faults.push({
      pointer: '/cookies/partitioned',
      detail: 'browsers refuse Partitioned without Secure; add secure: always',
    });
  }
  return faults;
}

function tlsFaults(variant: ServiceDefinition['canary'], pointer: string): Fault[] {
  if (variant?.tls === undefined) return [];
  const { tls, protocol } = variant;
  const at = `${pointer}/tls`;
  const faults: Fault[] = [];
  if (protocol === 'h2c') {
    const detail = 'h2c is HTTP/2 without TLS; leave out protocol for HTTP/1.1 under TLS, or leave out tls';
    faults.push({ pointer: `${pointer}/protocol`, detail });
  }
  if ((tls.certificate === undefined) !== (tls.key === undefined)) {
    const [there, missing] = tls.key === undefined ? ['certificate', 'key'] : ['key', 'certificate'];
    faults.push({ pointer: `${at}/${there}`, detail: `a ${there} is of no use alone; add the ${missing}` });
  }
  if (tls.insecureSkipVerify === true && tls.ca !== undefined) {
    const detail = 'insecureSkipVerify believes any certificate, so ca would say nothing; remove one';
    faults.push({ pointer: `${at}/insecureSkipVerify`, detail });
  }
  return faults;
}

/** Where a variant's endpoints come from. Only a canary may leave it open. */
function sourceFaults(variant: VariantDefinition, pointer: string): Fault[] {
  const [first, second] = (['endpoints', 'kubernetes', 'dns'] as const).filter(
    (source) => variant[source] !== undefined,
  );
  if (second !== undefined) {
    const detail = `${second} names endpoints, and ${first} does too; keep one of them`;
    return [{ pointer: `${pointer}/${second}`, detail }];
  }
  if (variant.dns !== undefined) {
    const parsed = parseDnsName(variant.dns);
    if (typeof parsed === 'string') return [{ pointer: `${pointer}/dns`, detail: parsed }];
  }
  if (variant.kubernetes !== undefined && variant.tls !== undefined) {
    const { serverName, insecureSkipVerify } = variant.tls;
    if (serverName === undefined && insecureSkipVerify !== true) {
      const detail =
        "pods are reached by their addresses, which no certificate has; say with serverName which name the pods' certificate is for, such as notes.notes.svc";
      return [{ pointer: `${pointer}/tls`, detail }];
    }
  }
  if (first !== undefined || pointer === '/canary') return [];
  const detail =
    'it names no endpoints; give one of endpoints: ["10.1.0.7:8080"], kubernetes: { service: notes, port: http }, dns: notes.internal:8080';
  return [{ pointer, detail }];
}

function endpointFaults(endpoints: readonly EndpointDefinition[], at: string): Fault[] {
  const faults: Fault[] = [];
  const seen = new Map<string, number>();
  for (const [index, definition] of endpoints.entries()) {
    const text = endpointAddress(definition);
    const parsed = parseEndpoint(text);
    const pointer = `${at}/${index}${typeof definition === 'string' ? '' : '/address'}`;
    if (typeof parsed === 'string') {
      faults.push({ pointer, detail: parsed });
      continue;
    }
    const key = `${parsed.host} ${parsed.port}`;
    const before = seen.get(key);
    if (before !== undefined)
      faults.push({
        pointer,
        detail: `"${text}" is listed twice, first at ${before}; remove one`,
      });
    seen.set(key, before ?? index);
  }
  return faults;
}
