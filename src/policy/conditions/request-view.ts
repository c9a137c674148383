/**
 * One request as the conditions of one policy see it: every fact is derived once at most, and only when asked for.
 *
 * What facts there are the kinds of conditions say: each asks for a slot while a policy is compiled, with what reads it. A view
 * belongs to a compiled policy and is used again for each request; it allocates nothing of its own for a request, and after
 * `end` it holds nothing of it.
 */
import type { RequestFacts } from '../facts.ts';

const UNREAD = Symbol('unread');

/** The place of one fact. */
export interface Slot<Fact> {
  readonly read: (facts: RequestFacts, view: RequestView) => Fact;
  /** Of the view alone. */
  value: Fact | typeof UNREAD;
}

export class RequestView {
  readonly #slots = new Map<string, Slot<unknown>>();
  /** Slots read for this request, so that ending it costs as much as it read. */
  readonly #touched: Slot<unknown>[] = [];
  #touchedCount = 0;
  #facts: RequestFacts | null = null;
  #identity: string | undefined;

  /** The slot of that name; while a policy is compiled. The first to ask for it says how it is read. */
  slot<Fact>(name: string, read: Slot<Fact>['read']): Slot<Fact> {
    const known = this.#slots.get(name);
    if (known !== undefined) return known as Slot<Fact>;
    const slot: Slot<Fact> = { read, value: UNREAD };
    this.#slots.set(name, slot);
    this.#touched.push(slot);
    return slot;
  }

  /** `identity` is the user's name, a wire text, where the service's identity chain found one that somebody gave. */
  begin(facts: RequestFacts, identity: string | undefined): void {
    // Only a request that ended in an exception can have left something.
    if (this.#facts !== null) this.end();
    this.#facts = facts;
    this.#identity = identity;
  }

  end(): void {
    for (let index = 0; index < this.#touchedCount; index++) this.#touched[index]!.value = UNREAD;
    this.#touchedCount = 0;
    this.#facts = null;
    this.#identity = undefined;
  }

  get facts(): RequestFacts {
    return this.#facts!;
  }

  get identity(): string | undefined {
    return this.#identity;
  }

  get<Fact>(slot: Slot<Fact>): Fact {
    const { value } = slot;
    return value === UNREAD ? this.#read(slot) : value;
  }

  #read<Fact>(slot: Slot<Fact>): Fact {
    const fact = slot.read(this.#facts!, this);
    this.put(slot, fact);
    return fact;
  }

  /** Keeps a fact: for what reads several at once. */
  put<Fact>(slot: Slot<Fact>, fact: Fact): void {
    if (slot.value === UNREAD) this.#touched[this.#touchedCount++] = slot;
    slot.value = fact;
  }
}
