/**
 * The latches of users whose identity comes in a header, in one block of memory that all threads of a replica share.
 *
 * Promise: it never grows, never blocks a reader, and never shows half a latch. What one thread keeps, the others find with
 * their next decision. A thread that is ended in the middle of a write leaves at worst a lock, which `release` opens.
 *
 * A latch has its place in one of two sets of eight slots (by two hashes; the emptier set gets it), both within one of many
 * regions. Whoever writes holds the region's lock; readers hold nothing. A slot is its head, which says whether it is taken
 * and by what fingerprint, and its body. A body is written while its head says that the slot is free, and a latch that
 * changes moves to a free slot before its old one is given up, so that a reader finds the old or the new one. A head counts
 * the uses of its slot: a reader that sees the same head before and after the body has read one latch. The region's version
 * changes before a latch's old slot is given up, and is odd while a latch is written over for want of a free slot: a reader
 * that found nothing looks again where it has changed. (Two choices: Azar, Broder, Karlin, Upfal, "Balanced allocations",
 * SIAM J. Comput. 29, 1999. Sequence locks: Boehm, "Can seqlocks get along with programming language memory models?", 2012;
 * every access is atomic here, so the order is that of the program.)
 */
import { merged } from './latch.ts';
import {
  AT_COUNT,
  AT_EVICTED,
  AT_LIMIT,
  AT_LOST,
  AT_REGION,
  AT_REGIONS,
  AT_SETS,
  BODY,
  REGION_WORDS,
  scopeAt,
  WAYS,
} from './latch-layout.ts';
import {
  numbered,
  packLatch,
  sameLatch,
  unpackLatch,
  type FoundLatch,
  type NumberedLatch,
} from './packed-latch.ts';

/** `unchanged`: it says nothing new. `evicting`: another latch went for it. `busy`: the lock was not free in time; not kept. */
export type Kept = 'kept' | 'unchanged' | 'evicting' | 'busy' | 'refused';

const TAKEN = 0x100;
const USES = 0xff;
const FINGERPRINT = ~(TAKEN | USES);

const SPINS = 1000;
/** Waits for a lock whose holder was put to sleep by the system, each at most one ms. */
const WAITS = 2;
/** How often a read looks again, while others write, before it finds nothing. */
const READS = 256;

const TWO_32 = 0x1_0000_0000;

export class LatchTable {
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** What its locks say while this thread holds them; not 0. */
  readonly #owner: number;
  readonly #limit: number;
  readonly #regions: number;
  readonly #sets: number;
  readonly #heads: number;
  readonly #bodies: number;
  // Where the latch of the last `#locate` belongs; fields, so that a read allocates nothing.
  #region = 0;
  #first = 0;
  #second = 0;
  #head = 0;
  #low = 0;
  #high = 0;

  /** `buffer` of `latchMemory`; `owner` is a number from 1 that no other thread has. */
  constructor(buffer: SharedArrayBuffer, owner: number) {
    this.#words = new Int32Array(buffer);
    this.#owner = owner;
    this.#limit = this.#words[AT_LIMIT]!;
    this.#regions = this.#words[AT_REGIONS]!;
    this.#sets = this.#words[AT_SETS]!;
    this.#heads = AT_REGION + this.#regions * REGION_WORDS;
    this.#bodies = this.#heads + this.#regions * this.#sets * WAYS;
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  get count(): number {
    return Atomics.load(this.#words, AT_COUNT);
  }

  /** Latches that went for others, because the table or their sets were full. */
  get evicted(): number {
    return Atomics.load(this.#words, AT_EVICTED) >>> 0;
  }

  /** What `countLost` was told. */
  get lost(): number {
    return Atomics.load(this.#words, AT_LOST) >>> 0;
  }

  countLost(latches: number): void {
    Atomics.add(this.#words, AT_LOST, latches);
  }

  get regions(): number {
    return this.#regions;
  }

  /** Latches of a scope; 0 where it is not the one with that serial number any more. */
  countOf(scope: number, serial: number): number {
    const at = scopeAt(scope);
    return Atomics.load(this.#words, at) === serial ? Atomics.load(this.#words, at + 1) : 0;
  }

  /** Of the main thread alone: gives a free scope a serial number and an age. */
  openScope(scope: number, serial: number, age: number): void {
    const at = scopeAt(scope);
    Atomics.store(this.#words, at + 1, 0);
    Atomics.store(this.#words, at + 2, age);
    Atomics.store(this.#words, at, serial);
  }

  /** Of the main thread alone: latches of the scope with the lowest age are the first to go. */
  setAge(scope: number, age: number): void {
    Atomics.store(this.#words, scopeAt(scope) + 2, age);
  }

  /** Of the main thread alone: nothing of it is found or kept any more; `clear` every region before it is opened again. */
  freeScope(scope: number): void {
    Atomics.store(this.#words, scopeAt(scope), 0);
  }

  /** Finds the latch of a user of a scope. */
  find(scope: number, hash: number, out: FoundLatch): boolean {
    this.#locate(scope, hash);
    const words = this.#words;
    const versionAt = AT_REGION + this.#region * REGION_WORDS + 1;
    for (let read = 0; read < READS; read++) {
      const version = Atomics.load(words, versionAt);
      if (this.#read(this.#first, out) || this.#read(this.#second, out)) return true;
      if ((version & 1) === 0 && Atomics.load(words, versionAt) === version) return false;
    }
    return false;
  }

  /**
   * Keeps what the latch says together with what is known of the user already. `refused`: no scope has that serial number.
   */
  keep(scope: number, serial: number, hash: number, latch: NumberedLatch): Kept {
    this.#locate(scope, hash);
    const lock = AT_REGION + this.#region * REGION_WORDS;
    if (!this.#acquire(lock)) return 'busy';
    try {
      return Atomics.load(this.#words, scopeAt(scope)) === serial ? this.#keep(scope, latch) : 'refused';
    } finally {
      this.#open(lock);
    }
  }

  /** Clears a region of the latches of scopes for which `gone` holds; how many there were, or -1 where it is busy. */
  clear(region: number, gone: (scope: number) => boolean): number {
    const lock = AT_REGION + region * REGION_WORDS;
    if (!this.#acquire(lock)) return -1;
    let cleared = 0;
    const from = region * this.#sets * WAYS;
    for (let slot = from; slot < from + this.#sets * WAYS; slot++) {
      if (this.#isTaken(slot) && gone(this.#scopeOf(slot))) {
        this.#giveUp(slot);
        cleared++;
      }
    }
    this.#open(lock);
    return cleared;
  }

  /** The latches of a scope in a region, as far as one look finds them: a latch that moves meanwhile may be left out. */
  list(scope: number, region: number): { readonly hash: number; readonly latch: NumberedLatch }[] {
    const listed = [];
    const from = region * this.#sets * WAYS;
    for (let slot = from; slot < from + this.#sets * WAYS; slot++) {
      const head = Atomics.load(this.#words, this.#heads + slot);
      if ((head & TAKEN) === 0 || this.#scopeOf(slot) !== scope) continue;
      const at = this.#bodies + slot * BODY;
      const low = Atomics.load(this.#words, at) >>> 0;
      const high = Atomics.load(this.#words, at + 1) & 0x1fffff;
      const latch = this.#latchAt(slot);
      if (Atomics.load(this.#words, this.#heads + slot) !== head) continue;
      listed.push({ hash: high * TWO_32 + low, latch });
    }
    return listed;
  }

  /** Opens what a thread that has ended held. */
  release(owner: number): void {
    for (let region = 0; region < this.#regions; region++) {
      const lock = AT_REGION + region * REGION_WORDS;
      if (Atomics.load(this.#words, lock) !== owner) continue;
      const version = Atomics.load(this.#words, lock + 1);
      Atomics.store(this.#words, lock + 1, version + (version & 1));
      Atomics.store(this.#words, lock, 0);
      Atomics.notify(this.#words, lock);
    }
  }

  #locate(scope: number, hash: number): void {
    const low = hash | 0;
    const high = Math.floor(hash / TWO_32);
    // The upper bits of a latched user's hash are alike: they are the bucket. The finalizer of MurmurHash3 spreads them.
    let mixed = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
    mixed ^= mixed >>> 13;
    mixed = Math.imul(mixed, 0xc2b2ae35);
    mixed ^= mixed >>> 16;
    const sets = this.#sets;
    const other = Math.imul(mixed ^ low, 0x27d4eb2f);
    const turned = other ^ (other >>> 15);
    const first = ((turned & 0xffff) * sets) >>> 16;
    const second = ((turned >>> 16) * sets) >>> 16;
    this.#region = mixed & (this.#regions - 1);
    const start = this.#region * sets;
    this.#first = (start + first) * WAYS;
    this.#second = (start + (second === first ? (first + 1) % sets : second)) * WAYS;
    this.#head = (Math.imul(low, 0x165667b1) & FINGERPRINT) | TAKEN;
    this.#low = low;
    this.#high = high | (scope << 21);
  }

  /** The located latch, if it is in the set that begins at slot `set`. */
  #read(set: number, out: FoundLatch): boolean {
    const words = this.#words;
    for (let slot = set; slot < set + WAYS; slot++) {
      const head = Atomics.load(words, this.#heads + slot);
      if ((head & ~USES) !== this.#head) continue;
      const at = this.#bodies + slot * BODY;
      if (Atomics.load(words, at) !== this.#low || Atomics.load(words, at + 1) !== this.#high) continue;
      unpackLatch(words, at + 2, out);
      // Otherwise the slot was given to another latch meanwhile, and this one has moved: the version has changed.
      if (Atomics.load(words, this.#heads + slot) === head) return true;
    }
    return false;
  }

  #keep(scope: number, latch: NumberedLatch): Kept {
    const known = this.#slotsOfLocated();
    let whole = latch;
    for (const slot of known) whole = merged(this.#latchAt(slot), whole);
    const [old] = known;
    if (known.length === 1 && sameLatch(this.#latchAt(old!), whole)) return 'unchanged';
    const free = this.#freeSlot();
    const victim =
      old === undefined && (free < 0 || this.count >= this.#limit) ? this.#victim(scope, free < 0) : -1;
    if (victim >= 0) {
      this.#giveUp(victim);
      Atomics.add(this.#words, AT_EVICTED, 1);
    }
    if (free < 0) {
      // For want of a free slot the latch's own is written over, or the one that was just given up.
      const versionAt = AT_REGION + this.#region * REGION_WORDS + 1;
      Atomics.add(this.#words, versionAt, 1);
      for (const slot of known) this.#giveUp(slot);
      this.#fill(scope, old ?? victim, whole);
      Atomics.add(this.#words, versionAt, 1);
    } else {
      this.#fill(scope, free, whole);
      if (old !== undefined) Atomics.add(this.#words, AT_REGION + this.#region * REGION_WORDS + 1, 2);
      for (const slot of known) this.#giveUp(slot);
    }
    return victim < 0 ? 'kept' : 'evicting';
  }

  /** More than one only where a thread was ended between filling the new slot and giving up the old one. */
  #slotsOfLocated(): number[] {
    const slots: number[] = [];
    for (const set of [this.#first, this.#second]) {
      for (let slot = set; slot < set + WAYS; slot++) {
        const at = this.#bodies + slot * BODY;
        if ((Atomics.load(this.#words, this.#heads + slot) & ~USES) !== this.#head) continue;
        if (Atomics.load(this.#words, at) === this.#low && Atomics.load(this.#words, at + 1) === this.#high)
          slots.push(slot);
      }
    }
    return slots;
  }

  /** A free slot in the emptier of the two sets, or -1. */
  #freeSlot(): number {
    let best = -1;
    let most = 0;
    for (const set of [this.#first, this.#second]) {
      let free = 0;
      let last = -1;
      for (let slot = set; slot < set + WAYS; slot++) {
        if (this.#isTaken(slot)) continue;
        free++;
        last = slot;
      }
      if (free > most) {
        most = free;
        best = last;
      }
    }
    return best;
  }

  /**
   * The slot that goes for a latch of `scope`: of the oldest scope, there of the oldest revision; -1 where there is none. It is
   * one of the latch's two sets, unless they hold nothing of an older scope and the region does.
   */
  #victim(scope: number, near: boolean): number {
    const age = this.#ageOf(scope);
    const first = this.#oldest(this.#first, this.#first + WAYS, -1);
    const nearby = this.#oldest(this.#second, this.#second + WAYS, first);
    const older = nearby >= 0 && this.#ageOf(this.#scopeOf(nearby)) < age;
    if (near || older || (nearby >= 0 && this.#allOf(scope))) return nearby;
    const start = this.#region * this.#sets * WAYS;
    return this.#oldest(start, start + this.#sets * WAYS, nearby);
  }

  #oldest(from: number, to: number, than: number): number {
    let oldest = than;
    let age = than < 0 ? Number.POSITIVE_INFINITY : this.#ageOf(this.#scopeOf(than));
    let revision = than < 0 ? 0 : this.#latchAt(than).revision;
    for (let slot = from; slot < to; slot++) {
      if (!this.#isTaken(slot)) continue;
      const own = this.#ageOf(this.#scopeOf(slot));
      if (own > age) continue;
      const since = this.#latchAt(slot).revision;
      if (own === age && since >= revision) continue;
      oldest = slot;
      age = own;
      revision = since;
    }
    return oldest;
  }

  #ageOf(scope: number): number {
    return Atomics.load(this.#words, scopeAt(scope) + 2);
  }

  /** Whether all latches are of that scope. */
  #allOf(scope: number): boolean {
    return Atomics.load(this.#words, scopeAt(scope) + 1) >= this.count;
  }

  #isTaken(slot: number): boolean {
    return (Atomics.load(this.#words, this.#heads + slot) & TAKEN) !== 0;
  }

  #scopeOf(slot: number): number {
    return Atomics.load(this.#words, this.#bodies + slot * BODY + 1) >>> 21;
  }

  #latchAt(slot: number): NumberedLatch {
    return numbered(unpackLatch(this.#words, this.#bodies + slot * BODY + 2, scratch));
  }

  /** Writes the located latch. Counted first: a thread that is ended in between must not make a latch uncounted. */
  #fill(scope: number, slot: number, latch: NumberedLatch): void {
    const words = this.#words;
    Atomics.add(words, AT_COUNT, 1);
    Atomics.add(words, scopeAt(scope) + 1, 1);
    const at = this.#bodies + slot * BODY;
    Atomics.store(words, at, this.#low);
    Atomics.store(words, at + 1, this.#high);
    packLatch(latch, words, at + 2);
    const uses = (Atomics.load(words, this.#heads + slot) + 1) & USES;
    Atomics.store(words, this.#heads + slot, this.#head | uses);
  }

  #giveUp(slot: number): void {
    const words = this.#words;
    const scope = this.#scopeOf(slot);
    Atomics.store(words, this.#heads + slot, Atomics.load(words, this.#heads + slot) & USES);
    Atomics.sub(words, AT_COUNT, 1);
    Atomics.sub(words, scopeAt(scope) + 1, 1);
  }

  #acquire(lock: number): boolean {
    const words = this.#words;
    for (let wait = 0; ; wait++) {
      for (let spin = 0; spin < SPINS; spin++) {
        if (Atomics.compareExchange(words, lock, 0, this.#owner) === 0) return true;
      }
      if (wait === WAITS) return false;
      Atomics.wait(words, lock, Atomics.load(words, lock), 1);
    }
  }

  #open(lock: number): void {
    Atomics.store(this.#words, lock, 0);
    Atomics.notify(this.#words, lock);
  }
}

/** Only this thread's writes use it, one at a time. */
const scratch: FoundLatch = { bucket: 0, revision: 0, admitted: 0, excluded: 0 };
