/** The kernel settings that decide whether connections survive what Serin does. Never throws. */
import { readFileSync } from 'node:fs';

const TCP_MIGRATE_REQ = '/proc/sys/net/ipv4/tcp_migrate_req';

/**
 * Whether the kernel hands the connections that wait at one of several `reusePort` listeners to another one when it
 * closes (Linux 5.14 or later, off by default). Without it a worker that ends resets the connections that it had not yet
 * accepted. null: the system does not tell.
 */
export function readTcpMigrateReq(read: (path: string) => string = readText): boolean | null {
  try {
    const text = read(TCP_MIGRATE_REQ).trim();
    return text === '' ? null : text !== '0';
  } catch {
    return null;
  }
}

function readText(path: string): string {
  return readFileSync(path, 'latin1');
}
