/**
 * Faults of one stream that Node.js takes for faults of its whole session.
 *
 * nghttp2 resets a stream whose data goes beyond its length, and goes on; but it tells of the frame, and Node.js then destroys the
 * session, with the requests of everybody who shares it. Its report of a fault that concerns the session looks the same. So a session
 * is not destroyed for such a report; whoever holds it finds out whether it goes on.
 */
import type { Http2Session } from 'node:http2';

/** Errors of nghttp2 from this number down leave its session of no use. */
const FIRST_FATAL = -900;

interface Reported extends Error {
  readonly code?: string;
  readonly errno?: number;
}

/** Calls `suspect` instead of destroying the session where nghttp2 reports a fault that may be of one stream. */
export function spareFromStreamFaults(session: Http2Session, suspect: () => void): void {
  const destroy = session.destroy.bind(session);
  session.destroy = (error?: Error, code?: number): void => {
    const { code: kind, errno = 0 } = (error ?? {}) as Partial<Reported>;
    if (kind === 'ERR_HTTP2_ERROR' && errno < 0 && errno > FIRST_FATAL) suspect();
    else destroy(error, code);
  };
}
