/**
 * Follows the EndpointSlices of one Service: a list, then a watch from there, for as long as anybody wants to know.
 *
 * It promises that what it gives is what the API server said last, in its order: a version that is older than one seen is left out, so
 * duplicate and reordered events change nothing. A watch that ends is taken up where it ended; where the server no longer knows
 * that place (410, in either shape), everything is listed anew. Every half an hour it is listed anew anyway, which heals what a
 * watch can't tell: versions that begin anew in a restored cluster.
 */
import { asSourceError, SourceError, type SourceListener } from '../source.ts';
import { type After, backoff, pause } from '../time.ts';
import { Expired, type KubernetesApi, type Subject } from './api.ts';
import type { Slice, WatchEvent } from './objects.ts';
import { detached } from '../../runtime/guard.ts';

export interface FollowOptions {
  readonly api: KubernetesApi;
  readonly subject: Subject;
  readonly listener: SliceListener;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  readonly after: After;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface SliceListener extends Omit<SourceListener, 'found'> {
  /** All slices of the Service as they are now. */
  slices(slices: Iterable<Slice>): void;
}

/** What was listed this long ago is listed anew, in ms. */
const LIST_AGAIN = 1_800_000;
/** A watch that lasted so long was one, in ms: the next failure is a first one. */
const LASTING = 5000;
/** Pages of a list; with a hundred slices each, ten million endpoints. */
const MOST_PAGES = 100;
/** As many deleted slices are remembered, so that an older word of them is known to be old. */
const MOST_GONE = 10_000;

/** Begins at once. What it returns ends it. */
export function followService(options: FollowOptions): () => void {
  const { api, subject, listener, monotonicNow, after, random } = options;
  const ending = new AbortController();
  const { signal } = ending;
  let slices = new Map<string, Slice>();
  let gone = new Map<string, string>();
  /** Up to which everything is known; null: nothing is. */
  let version: string | null = null;
  let listedAt = 0;
  let failures = 0;
  /** Events have changed the slices, and nobody was told. */
  let changed = false;
  /** Slices that were put since then. */
  const untold = new Set<string>();

  async function list(): Promise<void> {
    const found = new Map<string, Slice>();
    let page = '';
    let at = '';
    for (let count = 0; ; count++) {
      if (count === MOST_PAGES) throw new SourceError('too_large', `the list has over ${MOST_PAGES} pages`);
      const part = await api.list(subject, page, signal);
      for (const slice of part.slices) found.set(slice.name, slice);
      at = part.version;
      page = part.next;
      if (page === '') break;
    }
    version = at;
    listedAt = monotonicNow();
    slices = found;
    gone = new Map();
    listener.read();
    listener.slices(slices.values());
  }

  function take(event: WatchEvent): void {
    listener.event();
    if (event.kind === 'bookmark') {
      advance(event.version);
      return;
    }
    if (event.kind !== 'put' && event.kind !== 'gone') return;
    const { name, version: at } = event.kind === 'put' ? event.slice : event;
    const known = slices.get(name)?.version ?? gone.get(name);
    if (known !== undefined && !isNewer(at, known)) return;
    // What was said of endpoints before they went matters: whether they were about to.
    const empty = event.kind === 'gone' || event.slice.endpoints.length === 0;
    if (empty && untold.has(name)) tell();
    if (event.kind === 'put') {
      slices.set(name, event.slice);
      gone.delete(name);
      untold.add(name);
    } else {
      slices.delete(name);
      if (gone.size < MOST_GONE) gone.set(name, at);
    }
    advance(at);
    changed = true;
  }

  /** Tells of many events at once: a rolling update of a large Service comes as hundreds. */
  function tell(): void {
    if (!changed) return;
    changed = false;
    untold.clear();
    listener.slices(slices.values());
  }

  function advance(to: string): void {
    if (version === null || isNewer(to, version)) version = to;
  }

  async function watch(from: string): Promise<void> {
    let openedAt = Number.NaN;
    const onOpen = (): void => {
      openedAt = monotonicNow();
      listener.inStep();
    };
    try {
      await api.watch(subject, from, { onOpen, onEvent: take, onPause: tell }, signal);
    } finally {
      tell();
      if (monotonicNow() - openedAt >= LASTING) failures = 0;
    }
    // One that ends as soon as it begins would make a busy loop.
    if (monotonicNow() - openedAt < LASTING) await pause(after, backoff((failures += 1), random), signal);
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        if (version === null || monotonicNow() - listedAt > LIST_AGAIN) await list();
        else await watch(version);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (error instanceof Expired) {
          version = null;
          // At once the first time: nothing is wrong with the server.
          if (failures > 1) await pause(after, backoff(failures, random), signal);
          continue;
        }
        const { reason, message, retryAfter } = asSourceError(error);
        // What can't be read now could not be read at the next try either: a list may lead past it.
        if (reason === 'bad_answer' || reason === 'too_large') version = null;
        listener.trouble(reason, message);
        await pause(after, backoff(failures, random, retryAfter), signal);
      }
    }
  }

  detached('watching endpoints', run());
  return () => ending.abort();
}

/** Resource versions of one kind are numbers that grow; those that are none can't be compared, and the later word counts. */
function isNewer(a: string, b: string): boolean {
  if (!/^[0-9]+$/.test(a) || !/^[0-9]+$/.test(b)) return a !== b;
  return a.length === b.length ? a > b : a.length > b.length;
}
