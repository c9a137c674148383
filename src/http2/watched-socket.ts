/**
 * A socket for node:http2 whose bytes are looked at before nghttp2 reads them.
 *
 * nghttp2 reads a socket of Node.js by its handle, past all of JavaScript. Of what has no handle it asks a stream's methods, so this
 * gives it those, and none more than it uses; the bytes, their order and their pace stay those of the socket.
 */
import type { Socket } from 'node:net';

/** Opens or takes over a socket whose bytes go to `receive`; they are valid only during the call. */
export type OpenSocket = (receive: (bytes: Buffer) => void) => Socket;

type Listener = (...values: unknown[]) => void;

/** The socket that `open` gives as a stream; `look` is called with its bytes, just before nghttp2 gets them. */
export function watchedSocket(open: OpenSocket, look: (bytes: Buffer) => void): [Socket, stream: Socket] {
  let read: Listener = () => {};
  const socket = open((bytes) => {
    look(bytes);
    read(bytes);
  });
  const stream = {
    on(event: string, listener: Listener) {
      if (event === 'data') read = listener;
      else socket.on(event, listener);
    },
    once: (event: string, listener: Listener) => void socket.once(event, listener),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    write: (bytes: Buffer, done: (error?: Error | null) => void) => socket.write(bytes, done),
    end: (done: () => void) => void socket.end(done),
    destroy: () => void socket.destroy(),
    readable: true,
    writable: true,
    readableObjectMode: false,
  };
  return [socket, stream as unknown as Socket];
}
