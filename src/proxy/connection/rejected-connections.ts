/**
 * Connections that are turned away: each gets one final answer and lingers for a moment, then it is gone.
 *
 * Lingering matters: closing a socket on which the client's request arrives resets it, and the reset can overtake the
 * answer. What the client sends meanwhile is read and dropped. How many may linger is bounded, and those beyond are closed
 * as soon as their answer is written, so that a flood of connections holds no more than it did before.
 */
import type { Socket } from 'node:net';
import { readShared } from '../../net/accepted-socket.ts';

/** How long one may take to go, in ms. */
const LINGER_TIME = 2000;

export interface TurnedAway {
  /** Answers and closes `socket`, which was accepted with `pauseOnConnect` and not been touched. */
  take(socket: Socket, answer: string, now: number): void;
  /** Cuts those that are still there after their time. */
  sweep(now: number): void;
}

/** At most `most` linger at a time. */
export function createTurnedAway(most: number): TurnedAway {
  // In the order of their deadlines, because all linger for the same time.
  const lingering = new Map<Socket, number>();
  return {
    take(accepted, answer, now) {
      const socket = readShared(accepted, () => {
        // What the client sends is of no interest any more.
      });
      socket.on('error', () => {
        // The client may be gone already; there is nobody to tell.
      });
      if (lingering.size >= most) {
        socket.end(answer, 'latin1', () => socket.destroy());
        return;
      }
      lingering.set(socket, now + LINGER_TIME);
      socket.on('close', () => lingering.delete(socket));
      // Once the client has closed as well, Node.js destroys it.
      socket.end(answer, 'latin1');
    },
    sweep(now) {
      for (const [socket, deadline] of lingering) {
        if (deadline > now) return;
        socket.destroy();
      }
    },
  };
}
