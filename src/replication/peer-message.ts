/**
 * What replicas say to each other directly, and how it is read. Strict: a body is taken whole or refused with a reason.
 *
 * Only things are said that stay true once they are: a replica's record of one boot and sequence, a rollout that is
 * rolled back, a revision that is written, a user who is latched in one rollout, a change that has ended. So a message that comes twice, late or
 * out of order, or that somebody recorded and plays again, tells nothing new and does no harm.
 */
import { Type } from 'typebox';
import { checkSchema } from '../schema/check.ts';
import { isRecord } from '../schema/json-value.ts';
import { PEER_MESSAGES } from '../telemetry/fleet-counters.ts';
import { type FinalChange, isFinalChange } from '../rollout/final-change.ts';
import type { Tombstone } from '../contract/tombstone.ts';
import { type ReplicaRecord, ReplicaRecordSchema } from './replica-record.ts';

export type PeerMessage =
  /** How the sender is; it never speaks for others. */
  | { readonly type: 'record'; readonly record: ReplicaRecord }
  /** These rollouts are rolled back. */
  | { readonly type: 'rollback'; readonly rollbacks: readonly Tombstone[] }
  /** A hint: the store is at this revision at least. */
  | { readonly type: 'written'; readonly revision: number }
  /** These users are latched in the rollout. */
  | {
      readonly type: 'latches';
      readonly service: string;
      readonly rolloutId: string;
      readonly entries: readonly (readonly [identityHash: number, value: string])[];
    }
  /** These changes have ended so, as the store has recorded; rollbacks also while it was away. */
  | { readonly type: 'final'; readonly finals: readonly FinalChange[] }
  /** That process of the sender stops and will not be back. */
  | { readonly type: 'left'; readonly boot: string };

/** The most entries of one `latches` message. */
export const LATCHES_LIMIT = 10_000;
/** The most entries of one `final` message. */
export const FINALS_LIMIT = 1000;

const closed = { additionalProperties: false } as const;
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const nullable = (maxLength: number) => Type.Union([Type.String({ maxLength }), Type.Null()]);

const TombstoneSchema = Type.Object(
  {
    service: text(128),
    rolloutId: text(128),
    at: text(64),
    actor: text(256),
    reason: nullable(10_000),
    requestId: nullable(1000),
    changeId: text(128),
  },
  closed,
);

/** Open: a newer version may say more of a change. */
const FinalChangeSchema = Type.Object({
  id: text(200),
  service: text(128),
  kind: text(64),
  status: text(32),
  progress: Type.String({ maxLength: 10_000 }),
  revision: Type.Union([Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()]),
  createdAt: nullable(64),
  updatedAt: nullable(64),
  actor: nullable(256),
  reason: nullable(10_000),
  requestId: nullable(1000),
  percentage: Type.Union([
    Type.Object({ rule: Type.String({ maxLength: 256 }), from: Type.Number(), to: Type.Number() }),
    Type.Null(),
  ]),
  decreaseCount: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  alone: Type.Optional(Type.Literal(true)),
});

const SCHEMAS = {
  record: Type.Object({ type: Type.Literal('record'), record: ReplicaRecordSchema }, closed),
  rollback: Type.Object(
    { type: Type.Literal('rollback'), rollbacks: Type.Array(TombstoneSchema, { maxItems: 10_000 }) },
    closed,
  ),
  written: Type.Object(
    {
      type: Type.Literal('written'),
      revision: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    },
    closed,
  ),
  latches: Type.Object(
    {
      type: Type.Literal('latches'),
      service: text(128),
      rolloutId: text(128),
      entries: Type.Array(
        Type.Array(Type.Union([Type.Number(), Type.String({ maxLength: 512 })]), {
          minItems: 2,
          maxItems: 2,
        }),
        { maxItems: LATCHES_LIMIT },
      ),
    },
    closed,
  ),
  final: Type.Object(
    { type: Type.Literal('final'), finals: Type.Array(FinalChangeSchema, { maxItems: FINALS_LIMIT }) },
    closed,
  ),
  left: Type.Object({ type: Type.Literal('left'), boot: text(64) }, closed),
} as const;

const CHECKS = {
  record: checkSchema(SCHEMAS.record),
  rollback: checkSchema(SCHEMAS.rollback),
  written: checkSchema(SCHEMAS.written),
  latches: checkSchema(SCHEMAS.latches),
  final: checkSchema(SCHEMAS.final),
  left: checkSchema(SCHEMAS.left),
} as const;

/** Why a body can't be read: `malformed` is no JSON of the right kind, `invalid` breaks a message's schema. */
export interface Unreadable {
  readonly refused: 'malformed' | 'invalid';
  readonly detail: string;
}

/** `{"messages": […]}` with these texts, each the JSON of one message. */
export function writeBody(messages: readonly string[]): string {
  return `{"messages":[${messages.join(',')}]}`;
}

/**
 * The messages of a body. Those of a type that this version does not know are left out: a newer replica says more, and
 * must not be cut off for it.
 */
export function readBody(bytes: Uint8Array): readonly PeerMessage[] | Unreadable {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { refused: 'malformed', detail: 'not JSON in UTF-8' };
  }
  const list: unknown = isRecord(value) ? value['messages'] : undefined;
  if (!Array.isArray(list)) return { refused: 'malformed', detail: 'no list of messages' };
  const messages: PeerMessage[] = [];
  for (const one of list as readonly unknown[]) {
    const type = isRecord(one) ? one['type'] : undefined;
    if (typeof type !== 'string') return { refused: 'malformed', detail: 'a message without a type' };
    const known = PEER_MESSAGES.find((candidate) => candidate === type);
    if (known === undefined) continue;
    const [fault] = CHECKS[known](one);
    if (fault !== undefined)
      return { refused: 'invalid', detail: `${known}: ${fault.pointer} ${fault.detail}` };
    const message = one as PeerMessage;
    if (message.type === 'latches' && !message.entries.every(isEntry))
      return { refused: 'invalid', detail: 'latches: an entry is no pair of a number and a text' };
    if (message.type === 'final' && !message.finals.every(isFinalChange))
      return { refused: 'invalid', detail: 'final: an entry is no change that has ended' };
    messages.push(message);
  }
  return messages;
}

function isEntry([hash, value]: readonly unknown[]): boolean {
  return Number.isSafeInteger(hash) && Number(hash) >= 0 && typeof value === 'string';
}
