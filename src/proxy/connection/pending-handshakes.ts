/**
 * Pending handshakes: accepted connections that still owe a PROXY header or a TLS handshake.
 *
 * They have proved nothing and cost memory, so their number and their time are bounded. When there are too many, the one that
 * has been at it for longest goes: an honest handshake takes a moment, and so the slow ones can't keep others out.
 */
import type { Socket } from 'node:net';

interface PendingHandshake {
  /** Clock value (ms) at which its time is over. */
  readonly deadline: number;
  readonly dismissed: (why: Dismissal) => void;
}

/** Sent away before it was done. */
export type Dismissal = 'timeout' | 'displaced';

export class PendingHandshakes {
  /** In the order in which they came. */
  readonly #present = new Map<Socket, PendingHandshake>();

  get size(): number {
    return this.#present.size;
  }

  /**
   * `deadline`: clock value in ms. `dismissed` is called before the connection is closed because its time is over or because
   * there are more than `limit`; that never happens to the one that is being added.
   */
  add(socket: Socket, deadline: number, limit: number, dismissed: (why: Dismissal) => void): void {
    for (const [oldest, handshake] of this.#present) {
      if (this.#present.size < limit) break;
      this.#dismiss(oldest, handshake, 'displaced');
    }
    this.#present.set(socket, { deadline, dismissed });
  }

  /** It is done, or gone. True when it was still here. */
  remove(socket: Socket): boolean {
    return this.#present.delete(socket);
  }

  sweep(now: number): void {
    for (const [socket, handshake] of this.#present) {
      if (now >= handshake.deadline) this.#dismiss(socket, handshake, 'timeout');
    }
  }

  #dismiss(socket: Socket, { dismissed }: PendingHandshake, why: Dismissal): void {
    this.#present.delete(socket);
    dismissed(why);
    socket.destroy();
  }
}
