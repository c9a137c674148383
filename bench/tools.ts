/** The programs that the benchmarks compare with and load by: whether they are here, and which versions. */
import { spawnSync } from 'node:child_process';
import { ensureDebianPackages } from '../scripts/debian.ts';

/** Makes sure that the tools are here, installing them where that is permitted, or throws with what to install. */
export function requireTools(): void {
  const missing = ensureDebianPackages('bench', (line) => console.log(line));
  if (missing !== null) throw new Error(missing);
}

/** How each program tells its version, and where the number stands. */
const VERSIONS = {
  haproxy: { argument: '-v', pattern: /HAProxy version (\d[^\s-]*)/ },
  nginx: { argument: '-v', pattern: /nginx\/(\S+)/ },
  caddy: { argument: 'version', pattern: /v?(\d\S*)/ },
  traefik: { argument: 'version', pattern: /Version:\s*(\S+)/ },
  envoy: { argument: '--version', pattern: /\/(\d+\.\d+\.\d+)\// },
} as const;

type Tool = keyof typeof VERSIONS;

function words(tool: Tool): string | null {
  const { stdout, stderr, error } = spawnSync(tool, [VERSIONS[tool].argument], { encoding: 'utf8' });
  return error === undefined ? `${stdout}${stderr}` : null;
}

/** Why the program cannot be used; null when it can. */
export function missing(tool: Tool): string | null {
  return words(tool) === null ? `${tool} is not on the path` : null;
}

/** The version that the program tells. */
export function versionOf(tool: Tool): string {
  return VERSIONS[tool].pattern.exec(words(tool) ?? '')?.[1] ?? 'of an unknown version';
}
