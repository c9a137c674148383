/**
 * Makes an accepted connection read into the shared buffer.
 *
 * `net.connect` can do that by its option `onread`, but `net.createServer` can't: it makes the sockets itself. So the
 * accepted socket's handle is moved into a socket of our own. This leans on two undocumented things, the option `handle`
 * of `net.Socket` (used by Node.js's own cluster and child_process) and the property `_handle`; the runtime's version is
 * pinned, and the proxy's tests would not pass a byte without them. The gain is measured in the decision records.
 */
import { Socket, type Server } from 'node:net';
import { readBuffer } from './read-buffer.ts';

interface WithHandle {
  _handle: unknown;
}

/** An accepted connection that nothing was done with yet: a socket made with `pauseOnConnect`, or only its handle. */
export type Accepted = Socket | { _handle: AcceptedHandle | null };

interface AcceptedHandle {
  setNoDelay(on: boolean): void;
}

interface ListeningHandle {
  onconnection?: (this: ListeningHandle, error: number, handle: AcceptedHandle | undefined) => void;
}

/**
 * Calls `accept` for each connection of a listening server. The server would make a socket of each, only for its handle to be
 * moved on; where that can be helped, no such socket is made. Nagle's algorithm is off.
 */
export function onAccepted(server: Server, accept: (accepted: Accepted) => void): void {
  const listening = (server as unknown as { _handle: ListeningHandle | null })._handle;
  const usual = listening?.onconnection;
  if (listening === null || usual === undefined) {
    server.on('connection', accept);
    return;
  }
  listening.onconnection = function onconnection(error, handle) {
    if (error !== 0 || handle === undefined) {
      usual.call(this, error, handle);
      return;
    }
    handle.setNoDelay(true);
    accept({ _handle: handle });
  };
}

/** The socket of an accepted connection, as the server would have made it: it reads nothing before it is resumed. */
export function socketOf(accepted: Accepted): Socket {
  if (accepted instanceof Socket) return accepted;
  const options = { handle: accepted._handle, allowHalfOpen: true, pauseOnCreate: true };
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
}

/**
 * A socket with the connection of `accepted`. `receive` is called with the number of bytes that stand at the beginning of the shared
 * buffer.
 */
export function readShared(accepted: Accepted, receive: (length: number) => void): Socket {
  const owner = accepted as unknown as WithHandle;
  const options = {
    handle: owner._handle,
    allowHalfOpen: true,
    onread: {
      buffer: readBuffer,
      callback: (length: number): boolean => {
        receive(length);
        return true;
      },
    },
  };
  // The old socket must not close what is no longer its own.
  owner._handle = null;
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
}

/**
 * A socket with the connection of `socket`, from which `first` was read, whose bytes, `first` before all others, go to `receive`; they
 * are valid only during the call. `socket` is dead then.
 */
export function handOver(socket: Socket, first: Buffer, receive: (bytes: Buffer) => void): Socket {
  const { _handle: handle } = socket as unknown as WithHandle;
  socket.removeAllListeners();
  // The new socket sets its own reader.
  delete (handle as { writer?: unknown }).writer;
  const own = readShared(socket, (length) => receive(readBuffer.subarray(0, length)));
  own.allowHalfOpen = false;
  const read = Buffer.from(first);
  process.nextTick(() => receive(read));
  return own;
}
