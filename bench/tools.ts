/** The programs that the benchmarks compare with and measure by: whether they are here, and which versions. */
import { spawnSync } from 'node:child_process';
import { ensureDebianPackages } from '../scripts/debian.ts';

/** Makes sure that the tools are here, installing them where that is permitted, or throws with what to install. */
export function requireTools(): void {
  const missing = ensureDebianPackages('bench', (line) => console.log(line));
  if (missing !== null) throw new Error(missing);
}

/** The version that the program tells. */
export function versionOf(tool: 'haproxy' | 'nginx'): string {
  const { stdout, stderr } = spawnSync(tool, ['-v'], { encoding: 'utf8' });
  const text = `${stdout}${stderr}`;
  return /(?:HAProxy version |nginx version: nginx\/)(\S+)/.exec(text)?.[1] ?? 'of an unknown version';
}
