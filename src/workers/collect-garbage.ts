/**
 * Gives back memory that nobody uses any more, now rather than when V8 gets to it.
 *
 * For a worker without work nothing else does: V8 collects when something is allocated, so a process that refuses work for
 * want of memory could go on refusing it for ever. It stops the thread for as long as a full collection takes.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | null = null;

export function collectGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
