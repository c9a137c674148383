/**
 * What each write to a rollout comes to: from the request to the next rollout, a refusal, or nothing to do.
 *
 * It reads the state at the moment when it is the write's turn, and changes nothing itself.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DocumentBody, RolloutWrite, WriteRequest } from '../rollout/write-request.ts';
import type { ServiceView } from '../state/service-view.ts';
import { isSmall, isSmallValue, readBody } from '../helper/read-body.ts';
import { pathPrefix } from '../config/service.ts';
import { list } from '../policy/conditions/texts.ts';
import { doubtsOf } from '../policy/doubts.ts';
import { DocumentError } from '../schema/faults.ts';
import type { RolloutState } from '../policy/rollout.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import type { Change } from '../rollout/change.ts';
import { percentageMove } from '../rollout/remembered-change.ts';
import { advance, type NewRollout, type Outcome, type RolloutCommand } from '../rollout/lifecycle.ts';
import { raises } from '../rollout/raise.ts';
import { checkPrecondition } from '../rollout/precondition.ts';
import { type Refusal, refused, RefusedError } from '../rollout/refusal.ts';
import type { Commit, CommitKind } from '../store/store.ts';
import type { CanaryGuard } from './canary-guard.ts';
import type { FinishGuard } from './finish-guard.ts';
import type { Helper } from '../helper/helper.ts';
import type { ActiveState } from '../state/active-state.ts';
import { overlapWarnings } from './overlaps.ts';
import { type Preparation, prepareRollout } from '../helper/prepare.ts';
import { validationContext } from '../state/state.ts';
import type { Plan } from './writer.ts';
import type { NetworkCache } from '../state/network-cache.ts';
import { networksKey } from '../policy/network-lists.ts';
import { percentageFault, rememberNetworks, type ValidationContext } from '../policy/validate.ts';

export interface RolloutPlannerOptions {
  readonly activeState: ActiveState;
  readonly helper: Helper;
  readonly networks: NetworkCache;
  readonly finishGuard: FinishGuard;
  readonly canaryGuard: CanaryGuard;
  /** The service's commit of that revision, or null. */
  readonly commitAt: (service: string, revision: number) => Promise<Commit | null>;
  readonly fresh: () => NewRollout;
  /** The youngest change that made a revision of the service. */
  readonly latest: (service: string) => Change | undefined;
  /** What replicas do not have alike, in sentences. */
  readonly disagreements: () => readonly string[];
}

export interface Planned {
  readonly view: ServiceView;
  readonly outcome: Outcome;
}

/** A write whose body, if it has one, was read: before its turn, so that no other write waits for that. */
export type ReadWrite =
  | Exclude<RolloutWrite, { readonly body: DocumentBody }>
  | (Omit<Extract<RolloutWrite, { readonly body: DocumentBody }>, 'body'> & {
      /** The document, valid in `context`; of a patch any value. */
      readonly value: unknown;
      readonly context: PlainContext;
    });

/** As plain data, for the helper. */
type PlainContext = Omit<ValidationContext, 'segments'> & { readonly segments: readonly string[] };

export interface RolloutPlanner {
  /** Reads the body of a write that has one. Rejects with DocumentError and RefusedError. */
  read(service: string, command: RolloutWrite, write: WriteRequest): Promise<ReadWrite>;
  /** What the write would do now. Throws DocumentError and RefusedError. */
  consider(service: string, command: ReadWrite, write: WriteRequest): Promise<Planned>;
  /** The plan of an accepted write. */
  plan(service: string, command: ReadWrite, write: WriteRequest): Promise<Plan>;
  /** What people should know of a write that is accepted. */
  warnings(view: ServiceView, after: RolloutState): readonly string[];
}

export function commitKind(command: Pick<RolloutWrite, 'kind'>): CommitKind {
  return `rollout.${command.kind}`;
}

/** What a request id stands for. */
export function askedBy(command: RolloutWrite): readonly (string | Uint8Array)[] {
  if (!('body' in command)) return [JSON.stringify(command)];
  return [`${command.body.format} ${command.allowDecrease}\n`, command.body.bytes];
}

export function createRolloutPlanner(options: RolloutPlannerOptions): RolloutPlanner {
  const { activeState, helper, networks, finishGuard, canaryGuard, commitAt, fresh, latest, disagreements } =
    options;

  async function read(service: string, command: RolloutWrite, write: WriteRequest): Promise<ReadWrite> {
    if (!('body' in command)) return command;
    // What is refused whatever the body says is not worth reading it.
    const view = activeState.written(service);
    checkExpected(view, command.kind, write);
    const { body, kind, allowDecrease } = command;
    const context = contextOf(view);
    const value = await valueOf(kind, body, context, write.actor);
    return { kind, allowDecrease, value, context };
  }

  async function valueOf(
    kind: 'put' | 'patch',
    body: DocumentBody,
    context: PlainContext,
    caller: string,
  ): Promise<unknown> {
    if (kind === 'put') {
      const preparation: Preparation = { source: { body }, base: null, context };
      return isSmall(body) ? prepareRollout(preparation) : helper.prepare(preparation, caller);
    }
    const { value } = isSmall(body)
      ? readBody('document', body)
      : await helper.read('document', body, caller);
    return value;
  }

  async function documentOf(
    view: ServiceView,
    { kind, value, context: former }: Extract<ReadWrite, { readonly value: unknown }>,
  ): Promise<RolloutDocument> {
    const context = contextOf(view);
    const base = kind === 'patch' ? view.rollout!.document : null;
    if (base === null && isDeepStrictEqual(former, context)) return value as RolloutDocument;
    // A patch is merged and validated as a whole, a document where the configuration has changed since it was read.
    const preparation: Preparation = { source: { value }, base, context };
    const isLarge = !isSmallValue(value);
    // What is in force is valid, and a small patch leaves its lists as they are: to copy them to a thread and back would take longest.
    if (base !== null && !isLarge) rememberNetworks(base);
    return isLarge ? helper.prepare(preparation, '') : prepareRollout(preparation);
  }

  function contextOf({ definition }: ServiceView): PlainContext {
    return { ...plainContext(), pathPrefix: pathPrefix(definition) };
  }

  function plainContext(): PlainContext {
    const { segments, hasRegionDatabase } = validationContext(activeState.state.configuration);
    return { segments: [...segments], hasRegionDatabase };
  }

  /** It was valid once; what has changed since is the configuration. */
  async function restored(service: string, revision: number): Promise<RolloutDocument> {
    const commit = await commitAt(service, revision);
    if (commit === null) {
      throw refused('revision_not_found', `"${service}" has no revision ${revision} in its history.`, {
        revision,
      });
    }
    const document = commit.document?.rollout?.document;
    if (document === undefined) {
      throw refused('nothing_to_restore', `Revision ${revision} of "${service}" holds no policy.`, {
        revision,
      });
    }
    const preparation: Preparation = {
      source: { value: document },
      base: null,
      context: { ...plainContext(), stored: true },
    };
    return isLargeDocument(document) ? helper.prepare(preparation, '') : prepareRollout(preparation);
  }

  async function commandOf(view: ServiceView, command: ReadWrite): Promise<RolloutCommand> {
    switch (command.kind) {
      case 'put':
      case 'patch':
        return {
          kind: 'put',
          document: await documentOf(view, command),
          allowDecrease: command.allowDecrease,
        };
      case 'restore':
        return {
          kind: 'restore',
          document: await restored(view.name, command.revision),
          allowDecrease: command.allowDecrease,
        };
      case 'finish':
        return {
          kind: 'finish',
          guard:
            view.rollout?.phase === 'promoted' ? await finishGuard(view.name, view.definition) : { ok: true },
        };
      case 'promote': {
        const fault = canaryGuard(view.name, view.definition);
        if (fault === null) return { kind: 'promote', guard: { ok: true } };
        const detail = `Promote gives everyone the canary, but ${fault.detail}. Wait until one is, or roll back.`;
        return { kind: 'promote', guard: { ok: false, detail, figures: fault.figures } };
      }
      case 'percentage': {
        const fault = percentageFault(command.percentage);
        if (fault === null) return command;
        throw new DocumentError('request_invalid', 'The request is not valid.', [
          { pointer: '/percentage', detail: fault },
        ]);
      }
      case 'step':
        return command;
      default:
        return { kind: command.kind };
    }
  }

  async function consider(service: string, command: ReadWrite, write: WriteRequest): Promise<Planned> {
    const view = activeState.written(service);
    const { rollout } = view;
    checkExpected(view, command.kind, write);
    const outcome = advance(rollout, await commandOf(view, command), fresh);
    if (outcome.kind === 'changed') {
      await compileLists(outcome.rollout);
      refuseToDisagree(rollout, outcome.rollout);
    }
    return { view, outcome };
  }

  /** Replicas that decide by different things would give one user both variants; nobody new may come into that. */
  function refuseToDisagree(before: RolloutState | null, after: RolloutState): void {
    const reasons = disagreements();
    if (reasons.length === 0 || !raises(before, after)) return;
    throw new RefusedError({
      code: 'fleet_disagrees',
      detail: `The replicas do not decide by the same: ${reasons[0]}. Give all of them the same; until then the canary can be given to nobody new, and can be taken away.`,
      figures: { disagreements: reasons.length },
      reasons,
    });
  }

  /** A list of networks that can't be compiled is refused before anything is written. */
  async function compileLists({ document }: RolloutState): Promise<void> {
    const lists = [...document.rules, ...(document.exclude ?? [])].flatMap(({ match }) =>
      match?.cidr === undefined ? [] : [list(match.cidr)],
    );
    await networks.compile(new Map(lists.map((one) => [networksKey(one), one])));
  }

  /** The change that took this very step already, where the request is one that is sent again. */
  function earlierStep(view: ServiceView, command: ReadWrite, { code }: Refusal): Change | null {
    if (command.kind !== 'step' || command.from === null) return null;
    if (code !== 'step_moved' && code !== 'no_next_step') return null;
    const change = latest(view.name);
    return change?.kind === 'rollout.step' && change.percentage?.from === command.from ? change : null;
  }

  function warnings(view: ServiceView, after: RolloutState): readonly string[] {
    const { trustedProxies = [] } = activeState.state.configuration;
    const { compiled } = networks;
    const { document } = after;
    const warned = [
      ...overlapWarnings(document, compiled.get(networksKey(trustedProxies)), compiled),
      ...doubtsOf(document, view.definition),
    ];
    if (!raises(view.rollout, after) || !givesCanary(after)) return warned;
    const fault = canaryGuard(view.name, view.definition);
    if (fault !== null) warned.push(`Nobody gets the canary for now: ${fault.detail}.`);
    return warned;
  }

  return {
    read,
    consider,
    warnings,
    async plan(service, command, write) {
      const { view, outcome } = await consider(service, command, write);
      if (outcome.kind === 'refused') {
        const change = earlierStep(view, command, outcome.refusal);
        if (change !== null) return { kind: 'retry', change };
        throw new RefusedError(outcome.refusal);
      }
      if (outcome.kind === 'unchanged') return { kind: 'nothing' };
      const { rollout, decreases } = outcome;
      return {
        kind: 'write',
        document: { definition: view.source === 'api' ? view.definition : null, rollout },
        decreases,
        percentage: percentageMove(commitKind(command), view.rollout, rollout),
        warnings: () => warnings(view, rollout),
      };
    },
  };
}

/** What the write expects to be there. Throws RefusedError. */
function checkExpected({ name, rollout, revision }: ServiceView, kind: string, write: WriteRequest): void {
  checkPrecondition(write.precondition, rollout === null ? null : revision, `The rollout of "${name}"`);
  if (kind !== 'patch' || rollout !== null) return;
  throw refused(
    'no_rollout',
    'The service has no rollout yet, so there is nothing to patch. Start one with PUT.',
  );
}

/** Whether anybody is to have the canary by it. */
function givesCanary({ phase, document }: RolloutState): boolean {
  return phase === 'promoted' || document.rules.some(({ percentage }) => percentage > 0);
}

/** Rough, but cheap to know: so much takes long enough to validate that the main thread should not. */
function isLargeDocument({ rules, exclude = [] }: RolloutDocument): boolean {
  const networks = [...rules, ...exclude].reduce(
    (sum, { match }) => sum + (match?.cidr === undefined ? 0 : list(match.cidr).length),
    0,
  );
  return networks + rules.length + exclude.length > 2000;
}
