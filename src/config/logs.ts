/**
 * The sections `log` and `accessLog`: their schema and their defaults.
 */
import { Type, type Static } from 'typebox';
import { closed } from './schema-parts.ts';

export const LogDefinition = Type.Object(
  {
    level: Type.Optional(
      Type.Union([
        Type.Literal('debug'),
        Type.Literal('info'),
        Type.Literal('warn'),
        Type.Literal('error'),
        Type.Literal('silent'),
      ]),
    ),
    pretty: Type.Optional(Type.Boolean({ description: 'for people at a terminal; JSON lines if false' })),
  },
  closed,
);

export const AccessLogDefinition = Type.Object(
  {
    mode: Type.Optional(
      Type.Union([Type.Literal('off'), Type.Literal('sampled'), Type.Literal('on')], {
        description: 'which requests are logged',
      }),
    ),
    percentage: Type.Optional(
      Type.Number({ minimum: 0, maximum: 100, description: 'percent of requests that "sampled" logs' }),
    ),
  },
  closed,
);

export interface AccessLogSettings {
  readonly mode: 'off' | 'sampled' | 'on';
  /** Share of the requests that `sampled` logs, 0 to 1. */
  readonly share: number;
}
const DEFAULT_ACCESS_LOG: AccessLogSettings = { mode: 'off', share: 0.01 };

export interface LogSettings {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly pretty: boolean;
}
const DEFAULT_LOG: LogSettings = { level: 'info', pretty: false };

export function logSettings(configuration: { readonly log?: Static<typeof LogDefinition> }): LogSettings {
  return { ...DEFAULT_LOG, ...configuration.log };
}

export function accessLogSettings(configuration: {
  readonly accessLog?: Static<typeof AccessLogDefinition>;
}): AccessLogSettings {
  const { mode, percentage } = configuration.accessLog ?? {};
  return {
    mode: mode ?? DEFAULT_ACCESS_LOG.mode,
    share: percentage === undefined ? DEFAULT_ACCESS_LOG.share : percentage / 100,
  };
}
