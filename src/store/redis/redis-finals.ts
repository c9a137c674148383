/**
 * How changes have ended, in Redis: a key for each, which goes by itself after a day, so that nothing has to be cleared.
 *
 * It promises that the first record of a change stays, whoever asks how often, unless one says that it takes its place.
 */
import { HISTORY_TIME } from '../kept-history.ts';
import type { FinalRecord } from '../shared-store.ts';
import { StoreError } from '../store.ts';
import type { RedisQuestions } from './redis-questions.ts';
import { FORMAT } from './redis-scripts.ts';
import { FINALS } from './redis-write-scripts.ts';

/** In one call, which is some 200 kB. */
const AT_ONCE = 500;

export function createRedisFinals({ connection, keys, ask }: RedisQuestions) {
  async function some(storeId: string, records: readonly FinalRecord[]): Promise<(string | null)[]> {
    const args: (string | number)[] = [FORMAT, storeId, HISTORY_TIME];
    for (const { text, replaces = false, restored = '*' } of records)
      args.push(text ?? '', replaces ? 1 : 0, restored);
    // A store that takes no writes can be asked all the same.
    const script = { ...FINALS, writes: records.some(({ text }) => text !== null) };
    const [answer, ...found] = await ask(
      script,
      [keys.meta, ...records.map(({ id }) => connection.key(`final:${id}`))],
      args,
    );
    if (answer === 'other')
      throw new StoreError('foreign', 'The store is another one than this replica follows.');
    return records.map((_, index) => {
      const text = found[index];
      return typeof text === 'string' && text !== '' ? text : null;
    });
  }

  return async (storeId: string, records: readonly FinalRecord[]): Promise<readonly (string | null)[]> => {
    const found: (string | null)[] = [];
    for (let from = 0; from < records.length; from += AT_ONCE)
      found.push(...(await some(storeId, records.slice(from, from + AT_ONCE))));
    return found;
  };
}
