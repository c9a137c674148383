/**
 * How changes end, the same for all replicas: the first judgement that the shared store records is the end of a change.
 *
 * It promises that nothing is shown as final that is not recorded in the store, but for a rollback that all have applied; that it is
 * on this replica's disk by then; and that what the store forgets is recorded again. Nothing here is on the way of a request or of a
 * write. Decision 36 says why it is so.
 */
import type { Change } from '../rollout/change.ts';
import type { Changes, JudgedBy } from '../rollout/changes.ts';
import { type FinalChange, finalOf, parseFinal } from '../rollout/final-change.ts';
import { detached, guarded, soon } from '../runtime/guard.ts';
import type { FinalLog } from '../store/file/final-log.ts';
import type { FinalRecord, SharedStore } from '../store/shared-store.ts';
import { StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { FINALS_LIMIT, type PeerMessage } from './peer-message.ts';

/**
 * With which beat a judgement is recorded: at once by the replica that took the write, by another one only where that has not, and by
 * one that was not there only when those who were have had the time to put back what an emptied store forgot.
 */
const BEATS: Readonly<Record<JudgedBy, number>> = { own: 0, other: 1, remembered: 60 };

/** So many beats at once pass for those that are only remembered while all replicas are here. */
const PACE = 20;

/** So many beats after history was put into the store nobody judges: who knew how changes ended puts that back first. */
const PUTTING_BACK = 2;

/** Changes that one beat asks for. */
const MOST_ASKED = 5000;

/** With how many beats more a record is said again: a failover may lose the store's last writes. */
const SAID_AGAIN = 5;

export interface FinalStatusesOptions {
  readonly store: Pick<SharedStore, 'finals' | 'condition'>;
  readonly changes: Pick<Changes, 'recorded' | 'underWay' | 'ended'>;
  readonly disk: FinalLog;
  readonly send: (message: PeerMessage) => void;
  /** The id of the store that this replica follows. */
  readonly storeId: () => string;
  /** Whether no replica is known that can't be reached. */
  readonly areAllHere: () => boolean;
  readonly log: Pick<Logger, 'error' | 'warn'>;
}

interface Judgement {
  readonly final: FinalChange;
  readonly by: JudgedBy;
  beats: number;
}

export interface FinalStatuses {
  /** The register's recorder: this replica judges that a change has ended so. */
  record(ended: Change, by: JudgedBy): void;
  /** A replica says how changes have ended. */
  heard(finals: readonly FinalChange[]): void;
  /** Records what is due and asks for what is under way. Never rejects. */
  beat(): Promise<void>;
  /** How a change ended that is not known here. Rejects with StoreError. */
  lookUp(id: string): Promise<void>;
  /** History was put into the store, which `restored` tells: records again all that is known. Rejects with StoreError. */
  putBack(restored: string): Promise<void>;
}

/** Ends that were read from the disk are given as `known`. */
export function createFinalStatuses(
  options: FinalStatusesOptions,
  known: readonly FinalChange[],
): FinalStatuses {
  const { store, changes, disk, send, storeId, areAllHere, log } = options;
  /** Judgements that are not recorded, by the id of the change, and the beats until they are. */
  const judged = new Map<string, Judgement>();
  /** Ids of the changes whose end another replica has told, on their way to the disk. */
  const arriving = new Set<string>();
  /** Recorded by this replica a moment ago, by id. */
  const fresh = new Map<string, { readonly final: FinalChange; beats: number }>();
  /** Decided without the store, and not in it yet. */
  const owed = new Map<string, FinalChange>();
  /** Ids of the changes that were decided so. */
  const alone = new Set<string>();
  let busy: Promise<void> | null = null;
  let again = false;
  let diskTrouble = '';
  /** The store's word under which this replica judges, and the one that is to come. */
  let word = '';
  let next: { readonly word: string; beats: number } | null = null;

  for (const final of known) if (final.alone === true) owe(final);

  function owe(final: FinalChange): void {
    alone.add(final.id);
    owed.set(final.id, final);
  }

  const textOf = (final: FinalChange): string => JSON.stringify(final);

  /** These are final: kept on disk, shown, and, where this replica was the one to record them, told. Resolves to those that are shown. */
  async function end(finals: readonly FinalChange[], tells: boolean): Promise<readonly FinalChange[]> {
    if (finals.length === 0) return [];
    for (const { id } of finals) judged.delete(id);
    await keep(finals);
    const shown = show(finals);
    if (!tells) return shown;
    for (let from = 0; from < shown.length; from += FINALS_LIMIT)
      send({ type: 'final', finals: shown.slice(from, from + FINALS_LIMIT) });
    return shown;
  }

  async function keep(finals: readonly FinalChange[]): Promise<void> {
    try {
      await disk.append(finals.map(textOf));
      diskTrouble = '';
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (diskTrouble !== error.message)
        log.error({ err: error }, 'how changes ended cannot be kept on disk; the store has it');
      diskTrouble = error.message;
    }
  }

  /** Shows them, and gives those that are shown now. */
  function show(finals: readonly FinalChange[]): readonly FinalChange[] {
    return finals.filter((final) => {
      const { id, status } = final;
      const became = changes.recorded(final);
      if (became === 'contradicted')
        log.error(
          { 'serin.change': id, 'serin.status': status },
          'another end of this change was shown here before; it stays here',
        );
      return became === 'shown';
    });
  }

  /** As another replica says. */
  async function take(finals: readonly FinalChange[]): Promise<void> {
    await keep(finals);
    for (const { id } of finals) arriving.delete(id);
    for (const final of show(finals)) if (final.alone === true && !alone.has(final.id)) owe(final);
  }

  /** What is to be said to the store now. */
  function due(beat: boolean): FinalRecord[] {
    const records: FinalRecord[] = [...owed.values()].map((final) => ({
      id: final.id,
      text: textOf(final),
      replaces: true,
    }));
    for (const [id, { final, beats }] of judged)
      if (beats <= 0 && !owed.has(id)) records.push({ id, text: textOf(final), restored: word });
    if (beat) {
      for (const [id, { final }] of fresh) records.push({ id, text: textOf(final) });
      const asked = changes.underWay().filter((id) => (judged.get(id)?.beats ?? 1) > 0);
      for (const id of asked.slice(0, MOST_ASKED)) records.push({ id, text: null });
    }
    return records;
  }

  /** False where the store could not be asked. */
  async function exchange(beat: boolean): Promise<boolean> {
    await endAlone();
    // What is sure to fail must not take its time to do so.
    if (store.condition !== 'available') return false;
    const records = due(beat);
    if (records.length === 0) return true;
    let answers: readonly (string | null)[];
    try {
      answers = await store.finals(storeId(), records);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return false;
    }
    const own: FinalChange[] = [];
    const others: FinalChange[] = [];
    for (const [index, { id, text }] of records.entries()) {
      const final = parseFinal(answers[index] ?? '');
      owed.delete(id);
      if (final === null || (text !== null && !judged.has(id))) continue;
      (text === null ? others : own).push(final);
    }
    await end(own, true);
    await end(others, false);
    for (const final of own) fresh.set(final.id, { final, beats: SAID_AGAIN });
    return true;
  }

  /**
   * A rollback that all have applied is applied, whatever the store would say: nobody waits for it, who may be away for long. What
   * else a rollback can come to, no replica judges while all have applied it.
   */
  async function endAlone(): Promise<void> {
    const ended = [...judged.values()].filter(endsAlone).map(({ final }) => finalOf(final, true));
    for (const final of await end(ended, true)) owe(final);
  }

  /** One exchange at a time; what comes meanwhile goes with the next. */
  function run(beat: boolean): Promise<void> {
    if (busy !== null) {
      again = true;
      return busy;
    }
    busy = (async () => {
      try {
        let asks = beat;
        for (let goesOn = true; goesOn; goesOn &&= again) {
          again = false;
          goesOn = await exchange(asks);
          asks = false;
        }
      } finally {
        busy = null;
      }
    })();
    return busy;
  }

  let wanted = false;
  const promptly = guarded('recording how changes ended', () => {
    wanted = false;
    detached('recording how changes ended', run(false));
  });

  return {
    record(ended, by) {
      if (judged.has(ended.id) || arriving.has(ended.id)) return;
      const judgement: Judgement = { final: finalOf(ended), by, beats: BEATS[by] };
      judged.set(ended.id, judgement);
      if (wanted || (by !== 'own' && !endsAlone(judgement) && store.condition === 'available')) return;
      wanted = true;
      soon(promptly);
    },
    heard(finals) {
      for (const { id } of finals) {
        judged.delete(id);
        arriving.add(id);
      }
      detached('keeping how changes ended', take(finals));
    },
    async beat() {
      if (next !== null && (next.beats -= 1) < 0) {
        ({ word } = next);
        next = null;
      }
      const pace = areAllHere() ? PACE : 1;
      for (const one of judged.values()) one.beats -= one.by === 'remembered' ? pace : 1;
      for (const [id, one] of fresh) {
        one.beats -= 1;
        if (one.beats < 0) fresh.delete(id);
      }
      await run(true);
    },
    async lookUp(id) {
      const [text = null] = await store.finals(storeId(), [{ id, text: null }]);
      const final = parseFinal(text ?? '');
      if (final !== null) await end([final], false);
    },
    async putBack(restored) {
      if (restored !== word) next = { word: restored, beats: PUTTING_BACK };
      const ended = changes.ended();
      if (ended.length === 0) return;
      const records = ended.map((one) => {
        const final = finalOf(one, alone.has(one.id));
        return { id: one.id, text: textOf(final), replaces: final.alone === true };
      });
      const answers = await store.finals(storeId(), records);
      show(answers.flatMap((text) => parseFinal(text ?? '') ?? []));
    },
  };
}

/** Who only remembers a rollback does not know whether it was too late. */
function endsAlone({ final, by }: Judgement): boolean {
  return final.kind === 'rollout.rollback' && final.status === 'APPLIED' && by !== 'remembered';
}
