/** Long work in turns, so that whatever else the thread has to do never waits for the whole of it. */
import { setImmediate } from 'node:timers/promises';

/** Characters of JSON that are read in one turn: their checks take some 5 ms. One text that is longer has a turn of its own. */
export const CHARACTERS_A_TURN = 128 * 1024;

/** To be awaited before each text is read, with its length. */
export function createTurns(): (characters: number) => Promise<void> {
  let left = CHARACTERS_A_TURN;
  return async (characters) => {
    left -= characters;
    if (left >= 0) return;
    left = CHARACTERS_A_TURN - characters;
    await setImmediate();
  };
}
