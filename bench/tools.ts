/**
 * The programs that a benchmark compares with and measures by: whether they are here, and how to get them. They are
 * installed only when asked for by `--install`, by the system's own package manager, and only with the right to.
 */
import { execFileSync, spawnSync } from 'node:child_process';

const PACKAGES = { wrk: 'wrk', haproxy: 'haproxy', nginx: 'nginx-light', taskset: 'util-linux' } as const;
export type Tool = keyof typeof PACKAGES;

const has = (tool: string) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

/** Makes sure that the tools are here, or throws with the command that gets them. */
export function requireTools(tools: readonly Tool[], install: boolean): void {
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length === 0) return;
  const command = [
    'apt-get',
    'install',
    '-y',
    '--no-install-recommends',
    ...missing.map((tool) => PACKAGES[tool]),
  ];
  if (!install || process.getuid?.() !== 0 || !has('apt-get')) {
    throw new Error(
      `missing: ${missing.join(', ')}. Install them (on Debian: sudo ${command.join(' ')}), or run this as root with --install.`,
    );
  }
  execFileSync(command[0] as string, command.slice(1), { stdio: 'inherit', timeout: 300_000 });
}

/** The first line that tells the tool's version. */
export function versionOf(tool: Tool): string {
  const { stdout, stderr } = spawnSync(tool, [tool === 'haproxy' || tool === 'nginx' ? '-v' : '--version'], {
    encoding: 'utf8',
  });
  const text = `${stdout}${stderr}`;
  return (
    /(?:HAProxy version |nginx version: nginx\/|wrk )(\S+)/.exec(text)?.[1] ?? (text.split('\n')[0] as string)
  );
}
