/**
 * Tells faults of the surroundings from errors of the program.
 *
 * A fault is what the system, a disk, the network or a library for them says about the world: no descriptors left, no room on the
 * disk, a file that is gone. Whoever meets one can go on, and try again later. Any other error means that the program is not
 * in the state that its author thought of, and going on with that is a gamble. What is in doubt is no fault. Never throws.
 */
import { constants } from 'node:os';

/** System errors that only a wrong call brings about: a descriptor that is not open, a bad address. They are no faults. */
const WRONG_CALLS = new Set(['EBADF', 'EFAULT', 'EINVAL', 'ENOTSOCK', 'EISCONN', 'EDOM', 'ERANGE']);

/** What Node.js and libuv say of the surroundings beside the system's own codes. */
const FAULTS = new Set([
  ...Object.keys(constants.errno).filter((code) => !WRONG_CALLS.has(code)),
  // Of DNS.
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_MEMORY',
  'EAI_NODATA',
  'EAI_NONAME',
  'ECANCELLED',
  'EDESTRUCTION',
  'ENODATA',
  'ENOTFOUND',
  'EREFUSED',
  'ESERVFAIL',
  'ETIMEOUT',
  // Of files, databases and threads.
  'ERR_SQLITE_ERROR',
  'ERR_WORKER_INIT_FAILED',
  'ERR_WORKER_OUT_OF_MEMORY',
  'ERR_MEMORY_ALLOCATION_FAILED',
  'ERR_FS_FILE_TOO_LARGE',
  // Of the other end of a connection.
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
  'ERR_SOCKET_CLOSED',
  'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_HANDSHAKE_TIMEOUT',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_HTTP2_STREAM_CANCEL',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'UND_ERR_ABORTED',
]);

/** This machine or process lacks something: that says nothing of whom it wanted to talk to. */
const SHORTAGES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** Whether `code` says that this process lacks descriptors or memory, whatever the other end is like. */
export function isShortage(code: string | undefined): boolean {
  return code !== undefined && SHORTAGES.has(code);
}

/** Causes of causes that are looked at. */
const DEEPEST = 5;

/** The code of the fault that `error` is, or that it was caused by, such as `EMFILE`; null: it is none. */
export function faultCode(error: unknown): string | null {
  let at = error;
  for (let depth = 0; depth < DEEPEST && at instanceof Error; depth += 1) {
    const code = codeIn(at);
    if (FAULTS.has(code)) return code;
    at = at.cause;
  }
  return null;
}

function codeIn(error: Error): string {
  if (!('code' in error) || typeof error.code !== 'string') return '';
  // What libuv says where Node.js wraps it: the system's code is within.
  if (error.code === 'ERR_SYSTEM_ERROR' && 'info' in error) {
    const { info } = error;
    if (typeof info === 'object' && info !== null && 'code' in info && typeof info.code === 'string')
      return info.code;
  }
  return error.code;
}
