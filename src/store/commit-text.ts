/** The JSON of a commit, made once: commits stay the same objects, and each is written more than once. */
import type { Commit } from './store.ts';

const texts = new WeakMap<Commit, string>();

export function commitText(commit: Commit): string {
  let text = texts.get(commit);
  if (text === undefined) {
    text = JSON.stringify(commit);
    texts.set(commit, text);
  }
  return text;
}
