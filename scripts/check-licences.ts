/**
 * Checks the licence of every package that production runs on, from the lock file and the packages themselves.
 *
 * Promises that a package whose licence is not on the list, or whose manifest and lock file disagree, fails the check.
 * `ua-parser-js` is held at 1.x: from 2.0 on it is under the AGPL.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';

const ALLOWED = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
]);

const PINNED: Readonly<Record<string, { readonly version: string; readonly licence: string }>> = {
  'ua-parser-js': { version: '1.0.41', licence: 'MIT' },
};

interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
}

const root = new URL('../', import.meta.url);
const readJson = (file: string): unknown => JSON.parse(readFileSync(new URL(file, root), 'utf8'));

/** What is wrong, one sentence each. `packages` are the lock file's, `manifest` reads a package's own package.json. */
export function licenceFaults(
  packages: Readonly<Record<string, LockEntry>>,
  manifest: (path: string) => { readonly license?: unknown; readonly version?: unknown },
): string[] {
  const faults: string[] = [];
  for (const [path, entry] of Object.entries(packages)) {
    if (path === '' || entry.dev === true) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const found = manifest(path).license;
    const licence = typeof found === 'string' ? found : (entry.license ?? 'none');
    if (!ALLOWED.has(licence)) {
      faults.push(`${name} ${entry.version} is under ${licence}; allowed are ${[...ALLOWED].join(', ')}.`);
    }
    const pinned = PINNED[name];
    if (pinned !== undefined && (entry.version !== pinned.version || licence !== pinned.licence)) {
      faults.push(
        `${name} must be ${pinned.version} under ${pinned.licence}, is ${entry.version} under ${licence}.`,
      );
    }
  }
  return faults;
}

if (import.meta.main) {
  const lock = readJson('package-lock.json') as { readonly packages: Readonly<Record<string, LockEntry>> };
  const faults = licenceFaults(
    lock.packages,
    (path) => readJson(`${path}/package.json`) as { license?: unknown },
  );
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
