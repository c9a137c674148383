/**
 * Lays out the root of the production image in a folder: Node.js, the libraries it needs, the program and its packages.
 *
 * The Dockerfile runs it, and so does the test that starts the result; so what is tested is what is shipped. No shell,
 * no package manager and no development package may get in.
 *
 *   node scripts/image-root.ts DESTINATION PACKAGES
 *
 * PACKAGES is a node_modules folder with the production packages alone.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, cpSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

/** The user that the image runs as; "nonroot" of the distroless images has the same number. */
export const IMAGE_USER = 65_532;
/** Where the image looks for its configuration. */
export const IMAGE_CONFIG = '/etc/serin/serin.yaml';
/** The one place that the program writes to; a volume in production. */
export const IMAGE_DATA = '/var/lib/serin';

const ROOT = path.dirname(import.meta.dirname);

/** The shared libraries of an executable, the loader among them, as absolute paths. */
function librariesOf(executable: string): string[] {
  const listed = execFileSync('ldd', [executable], { encoding: 'utf8' });
  const found = new Set<string>();
  for (const line of listed.split('\n')) {
    const library = /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1];
    if (library !== undefined) found.add(library);
  }
  return [...found];
}

function copyInto(destination: string, source: string, target: string): void {
  const file = path.join(destination, target);
  mkdirSync(path.dirname(file), { recursive: true });
  copyFileSync(realpathSync(source), file);
}

/** Fills `destination`. `packages` is the production node_modules, `node` the executable to ship. */
export function layOutImage(destination: string, packages: string, node: string = process.execPath): void {
  copyInto(destination, node, '/usr/local/bin/node');
  chmodSync(path.join(destination, '/usr/local/bin/node'), 0o755);
  for (const library of librariesOf(realpathSync(node))) copyInto(destination, library, library);

  const application = path.join(destination, 'app');
  for (const part of ['src', 'config', 'package.json', 'LICENSE']) {
    cpSync(path.join(ROOT, part), path.join(application, part), { recursive: true });
  }
  cpSync(packages, path.join(application, 'node_modules'), { recursive: true, verbatimSymlinks: true });

  const etc = path.join(destination, 'etc');
  mkdirSync(path.join(etc, 'serin'), { recursive: true });
  writeFileSync(
    path.join(etc, 'passwd'),
    `serin:x:${IMAGE_USER}:${IMAGE_USER}::${IMAGE_DATA}:/sbin/nologin\n`,
  );
  writeFileSync(path.join(etc, 'group'), `serin:x:${IMAGE_USER}:\n`);
  writeFileSync(path.join(etc, 'nsswitch.conf'), 'hosts: files dns\n');
  mkdirSync(path.join(destination, 'proc'));
  mkdirSync(path.join(destination, 'tmp'));
  chmodSync(path.join(destination, 'tmp'), 0o1777);
  const data = path.join(destination, IMAGE_DATA);
  mkdirSync(data, { recursive: true });
  if (process.getuid?.() === 0) chownSync(data, IMAGE_USER, IMAGE_USER);
}

if (import.meta.main) {
  const [destination, packages] = process.argv.slice(2);
  if (destination === undefined || packages === undefined) {
    process.stderr.write('usage: node scripts/image-root.ts DESTINATION PACKAGES\n');
    process.exitCode = 2;
  } else {
    layOutImage(destination, packages);
  }
}
