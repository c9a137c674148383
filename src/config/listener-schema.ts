/**
 * How connections come in, in the configuration: TLS from clients, and PROXY headers from load balancers.
 * The same rules hold as for `schema.ts`.
 */
import { Type } from 'typebox';
import { closed, listen, path } from './schema-parts.ts';

export const ListenerTlsDefinition = Type.Object(
  {
    listen: listen('where requests come in under TLS'),
    certificates: Type.Array(
      Type.Object(
        {
          certificate: path('PEM certificates: the own one, then those that lead to its authority'),
          key: path('the PEM private key of the certificate'),
        },
        closed,
      ),
      {
        minItems: 1,
        maxItems: 1000,
        description:
          'certificates with keys, such as [{ certificate: tls.crt, key: tls.key }]; the first one is for unknown server names',
      },
    ),
    minVersion: Type.Optional(
      Type.Union([Type.Literal('1.2'), Type.Literal('1.3')], {
        description: 'a version in quotes, "1.2" or "1.3"; the oldest one of TLS that is spoken',
      }),
    ),
    strictServerNames: Type.Optional(
      Type.Boolean({
        description: 'refuse clients that ask for a server name that no certificate has, or none',
      }),
    ),
    clientCa: Type.Optional(
      path('PEM certificates of the authorities that every client must be certified by'),
    ),
  },
  { ...closed, description: 'a listener for TLS beside the plain one' },
);

export const ProxyProtocolDefinition = Type.Object(
  {
    from: Type.Array(
      Type.String({ minLength: 1, description: 'a network such as 10.8.0.0/16 or 2001:db8::/32' }),
      {
        minItems: 1,
        description:
          'networks such as ["10.8.0.0/28"]; whose connections must begin with a PROXY header, and whose word on the client is taken',
      },
    ),
  },
  closed,
);
