/**
 * Asks the registry for known vulnerabilities of the production packages.
 *
 * Exit code 0: none known. 1: some are, printed. 2: the registry did not answer (a mirror, or no network), which is
 * reported apart and is no failure. It must never take a missing answer for a clean one.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';

export type AuditResult = 'clean' | 'vulnerable' | 'unavailable';

/** Reads what `npm audit --json` printed. */
export function readAudit(stdout: string): { readonly result: AuditResult; readonly text: string } {
  let report: unknown;
  try {
    report = JSON.parse(stdout);
  } catch {
    return { result: 'unavailable', text: 'npm audit printed no report' };
  }
  const { metadata, message, error } = report as {
    metadata?: { vulnerabilities?: { total?: number } };
    message?: string;
    error?: { summary?: string };
  };
  const total = metadata?.vulnerabilities?.total;
  if (total === undefined) {
    return { result: 'unavailable', text: message ?? error?.summary ?? 'the registry answered no audit' };
  }
  if (total === 0) return { result: 'clean', text: 'no known vulnerability' };
  return { result: 'vulnerable', text: stdout };
}

if (import.meta.main) {
  const { stdout } = spawnSync('npm', ['audit', '--json', '--omit=dev', '--fetch-retries=0'], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  const { result, text } = readAudit(stdout);
  process.stdout.write(`${result === 'unavailable' ? 'not available: ' : ''}${text}\n`);
  process.exitCode = { clean: 0, vulnerable: 1, unavailable: 2 }[result];
}
