/** Says when the limit on open files leaves less than the limits of the configuration, and what would be enough. */
import type { ConnectionLimits } from '../runtime/descriptors.ts';

export interface LimitNotesOptions {
  /** Descriptors that this process may have; null: no limit, or unknown. */
  readonly descriptors: number | null;
  /** What holds now. */
  readonly limits: () => ConnectionLimits;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
}

/**
 * Call what it returns whenever limits were set anew. `configured`: what is wanted; `asked`: the configuration says so itself. Only
 * that is worth a warning: the defaults are meant to be no limit. The same is said once.
 */
export function createLimitNotes({
  descriptors,
  limits,
  log,
}: LimitNotesOptions): (configured: ConnectionLimits, asked: boolean) => void {
  let said = '';
  return (configured, asked) => {
    const { maxConnections, maxRequests } = limits();
    const enough = maxConnections >= configured.maxConnections && maxRequests >= configured.maxRequests;
    const fields = {
      'serin.descriptors': descriptors,
      'serin.connections_limit': maxConnections,
      'serin.requests_limit': maxRequests,
    };
    const text = JSON.stringify({ ...fields, ...configured, asked });
    if (text === said || enough) {
      said = text;
      return;
    }
    said = text;
    const what = `the limit on open files (${descriptors}) leaves ${maxConnections} connections and ${maxRequests} requests at a time; ${configured.maxConnections} and ${configured.maxRequests} would be ${asked ? 'as configured' : 'the defaults'}. Raise the limit (LimitNOFILE of systemd, ulimit -n), or lower proxy.limits.connections and proxy.limits.requests`;
    if (asked) log.warn(fields, what);
    else log.info(fields, what);
  };
}
