/**
 * Where inputs come from: the grammar, changes to what it makes, and changes to inputs that led somewhere new before.
 *
 * A pool keeps what led somewhere new: to a pair of stops, of the codec and of llhttp, or to messages of another make-up. That
 * stands in for coverage, which neither parser can be asked for here. The same seed and the same codec give the same inputs.
 */
import { generateRequests, generateResponses, type Input } from './grammar.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import type { Comparison } from './compare.ts';
import type { Kind, MessageRead } from './reading.ts';

export interface Delivery extends Input {
  /** Into pieces of how many bytes chunked bodies are cut. */
  readonly step: number;
}

const STEPS = [1, 2, 3, 7, 16, Infinity] as const;
const POOL_LIMIT = 4_096;
/** Longer ones are not kept: repeated changes would let them grow without end. */
const KEPT_LENGTH = 4_096;
/** llhttp takes this field for Connection; a proxy takes it out before anything is passed on. */
const LOOK_ALIKE = /proxy-connection/gi;

export class InputSource {
  readonly #kind: Kind;
  readonly #pool: Input[] = [];
  readonly #seen = new Set<string>();
  #added = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  get kept(): number {
    return this.#added;
  }

  #generate(random: Random): Input {
    return this.#kind === 'request' ? generateRequests(random) : generateResponses(random);
  }

  next(random: Random): Delivery {
    const pool = this.#pool.length > 0;
    const kept = pool && random.chance(0.3);
    let { text, answered } = kept ? random.pick(this.#pool) : this.#generate(random);
    if (kept || random.chance(0.3)) {
      const other = pool && random.chance(0.7) ? random.pick(this.#pool) : this.#generate(random);
      text = mutate(random, text, other.text);
      if (random.chance(0.05)) answered = other.answered;
    }
    return { text: text.replaceAll(LOOK_ALIKE, 'proxy-connectiox'), answered, step: random.pick(STEPS) };
  }

  /** Keeps the input if what became of it is new, and it is not refused from its first message on. */
  learn(input: Input, came: Comparison): void {
    const key = signature(came);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (came.messages.length === 0 || input.text.length > KEPT_LENGTH) return;
    // When it is full, the oldest goes.
    this.#pool[this.#added % POOL_LIMIT] = input;
    this.#added += 1;
  }
}

/** What an input came to, without its particulars. */
function signature(came: Comparison): string {
  const { messages } = came;
  const last = messages.at(-1);
  return `${came.state} ${came.opinion} ${Math.min(4, messages.length)}${last === undefined ? '' : makeUp(last)}`;
}

function makeUp(message: MessageRead): string {
  const flags =
    (message.complete ? 1 : 0) |
    (message.keepAlive ? 2 : 0) |
    (message.minor << 2) |
    (message.trailers.length > 0 ? 8 : 0) |
    (message.body === '' ? 0 : 16) |
    (Math.min(3, message.fields.length >> 4) << 5);
  return ` ${message.status} ${flags}`;
}
