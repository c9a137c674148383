/**
 * The section `admin`: where the API answers, and who may call it. Its schema, its defaults, its checks.
 */
import { Type, type Static } from 'typebox';
import { formatHostPort, isLoopback, parseListen } from '../net/host-port.ts';
import { prefixed, type Fault } from '../schema/faults.ts';
import { closed, listen, path, ServiceName } from './schema-parts.ts';

export const Role = Type.Union([Type.Literal('viewer'), Type.Literal('operator'), Type.Literal('admin')]);
export type Role = Static<typeof Role>;

/** One API token. Exactly one of `sha256`, `file` and `env` says what it is. */
export const TokenDefinition = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9._-]{1,64}$',
      description: 'a name of at most 64 letters, digits, ".", "_" and "-"; the history shows it',
    }),
    role: Role,
    services: Type.Optional(
      Type.Array(ServiceName, { minItems: 1, description: 'the services it is limited to; all if unsaid' }),
    ),
    sha256: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        writeOnly: true,
        description: "the token's SHA-256 as 64 lower-case hex digits; `printf %s TOKEN | sha256sum`",
      }),
    ),
    file: Type.Optional(path('a file that holds the token')),
    env: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
        description: 'the name of an environment variable; it holds the token',
      }),
    ),
  },
  closed,
);
export type TokenDefinition = Static<typeof TokenDefinition>;

export const AdminDefinition = Type.Object(
  {
    listen: listen('where the API answers'),
    publicUrl: Type.Optional(
      Type.String({
        pattern: '^https?://',
        description: 'a URL such as https://canary.example.com; how others reach the API',
      }),
    ),
    tokens: Type.Optional(Type.Array(TokenDefinition, { maxItems: 1000 })),
    tlsDirectory: Type.Optional(
      path('the directory of the certificates, keys and authorities that services of the API may name'),
    ),
  },
  closed,
);
export type AdminDefinition = Static<typeof AdminDefinition>;

export const DEFAULT_ADMIN_LISTEN = '127.0.0.1:9090';

/** Pointers begin at the settings. */
export function adminFaults(admin: AdminDefinition = {}): Fault[] {
  const faults: Fault[] = [];
  const tokens = admin.tokens ?? [];
  const address = parseListen(admin.listen ?? DEFAULT_ADMIN_LISTEN);
  if (tokens.length === 0 && typeof address !== 'string' && !isLoopback(address.host)) {
    const detail = `${formatHostPort(address)} can be reached from other machines, so the API needs tokens; set admin.tokens, or listen on 127.0.0.1`;
    faults.push({ pointer: '/listen', detail });
  }
  if (admin.publicUrl !== undefined) faults.push(...publicUrlFaults(admin.publicUrl));
  const names = new Map<string, number>();
  for (const [index, token] of tokens.entries()) {
    const pointer = `/tokens/${index}`;
    const before = names.get(token.name);
    if (before !== undefined) {
      faults.push({
        pointer: `${pointer}/name`,
        detail: `the name "${token.name}" is that of token ${before} already; the history needs to tell them apart`,
      });
    }
    names.set(token.name, before ?? index);
    faults.push(...prefixed(pointer, sourceFaults(token)));
  }
  return faults;
}

function sourceFaults(token: TokenDefinition): Fault[] {
  const sources = (['sha256', 'file', 'env'] as const).filter((source) => token[source] !== undefined);
  if (sources.length === 1) return [];
  const got = sources.length === 0 ? 'none' : sources.map((source) => `"${source}"`).join(' and ');
  return [
    { pointer: '', detail: `expected exactly one of the fields "sha256", "file" or "env", got ${got}` },
  ];
}

function publicUrlFaults(text: string): Fault[] {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain =
    url !== null &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '' &&
    url.pathname === '/';
  return plain
    ? []
    : [
        {
          pointer: '/publicUrl',
          detail: 'expected scheme and host only, such as https://canary.example.com',
        },
      ];
}
