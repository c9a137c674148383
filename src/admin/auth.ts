/**
 * Who may do what: tokens, roles, and the Host and Origin checks that keep other web pages out.
 *
 * A token is compared with every configured hash in constant time. It is never logged, quoted or kept.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback } from '../net/host-port.ts';
import type { AdminDefinition, Role } from '../config/admin.ts';
import { ApiError } from './problem.ts';

export interface Caller {
  /** The token's name, or `anonymous` where no tokens are configured. */
  readonly name: string;
  readonly role: Role;
  /** The services that the token may write to; null: all. */
  readonly services: readonly string[] | null;
}

const RANK: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

const ANONYMOUS: Caller = { name: 'anonymous', role: 'admin', services: null };

/** The parts of a request that the checks look at. */
export interface Presented {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
}

/** Throws ApiError `host_not_allowed` or `origin_not_allowed`. */
export function checkOrigin({ host, origin }: Presented, settings: AdminDefinition | undefined): void {
  const publicUrl = settings?.publicUrl === undefined ? null : new URL(settings.publicUrl);
  if (host === undefined || !(isLoopbackHost(host) || isPublicHost(host, publicUrl))) {
    throw new ApiError(
      'host_not_allowed',
      'The Host field must be a loopback name or the host of admin.publicUrl, so that no other name can be pointed here. Set admin.publicUrl to the URL that is used.',
    );
  }
  if (
    origin === undefined ||
    origin === publicUrl?.origin ||
    origin === `http://${host}` ||
    origin === `https://${host}`
  ) {
    return;
  }
  throw new ApiError('origin_not_allowed', 'Pages of other origins may not use this API.');
}

function isLoopbackHost(host: string): boolean {
  const name = /^(?:\[([^\]]+)\]|([^:]+?)\.?)(?::[0-9]{1,5})?$/.exec(host);
  return name !== null && isLoopback(name[1] ?? name[2] ?? '');
}

/** The same host also where it is written with the root's dot (`example.com.`) or with the port that its scheme has anyway. */
function isPublicHost(host: string, publicUrl: URL | null): boolean {
  if (publicUrl === null) return false;
  const port = publicUrl.protocol === 'https:' ? 443 : 80;
  const bare = host.toLowerCase().replace(new RegExp(`:${port}$`), '');
  return bare.replace(/\.(?=:[0-9]+$|$)/, '') === publicUrl.host;
}

/** Who is calling. Throws ApiError `unauthorized`. */
export function authenticate({ authorization }: Presented, settings: AdminDefinition | undefined): Caller {
  const tokens = settings?.tokens ?? [];
  if (tokens.length === 0) return ANONYMOUS;
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
  if (token === undefined) throw unauthorized('Send a token: Authorization: Bearer ….');
  const hash = createHash('sha256').update(token).digest();
  let found: Caller | null = null;
  for (const { name, role, services, sha256 } of tokens) {
    // Every hash is compared, so that the time says nothing about which one came close.
    if (sha256 !== undefined && timingSafeEqual(hash, Buffer.from(sha256, 'hex'))) {
      found = { name, role, services: services ?? null };
    }
  }
  if (found === null) throw unauthorized('The token is not valid.');
  return found;
}

function unauthorized(detail: string): ApiError {
  return new ApiError('unauthorized', detail, { 'www-authenticate': 'Bearer realm="serin"' });
}

/** Throws ApiError `forbidden` unless the caller has the role and, for a write, may touch the service. */
export function authorize(caller: Caller, role: Role, service: string | null): void {
  if (RANK[caller.role] < RANK[role]) {
    throw new ApiError(
      'forbidden',
      `This needs the role ${role}; the token "${caller.name}" has the role ${caller.role}.`,
    );
  }
  if (role === 'viewer' || service === null || caller.services === null || caller.services.includes(service))
    return;
  throw new ApiError(
    'forbidden',
    `The token "${caller.name}" may not write to "${service}"; it is limited to ${caller.services.join(', ')}.`,
  );
}
