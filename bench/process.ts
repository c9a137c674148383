/**
 * Programs that a benchmark starts: pinned to a core, known by their pid, and ended by it, whatever happens. Nothing
 * that this process did not start is ever touched.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const started = new Set<ChildProcess>();

/** Ends a process and what it started itself: each leads a process group of its own. nginx would leave workers behind. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

process.on('exit', () => {
  for (const child of started) endGroup(child);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

/** The cores that this process may use, such as `0-1,4` in proc(5)'s words. */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

const CORES = allowedCores();
/** With one core only there is nothing to pin. */
export const PINNED = CORES.length >= 2;
export const PROXY_CORE = CORES[0] ?? 0;
/** The last, so that it is shared with a proxy of two cores only where there are no more. */
export const LOAD_CORE = CORES.at(-1) ?? 0;

/** The command, pinned to a core. */
export function pinned(core: number, command: readonly string[]): string[] {
  return PINNED ? ['taskset', '-c', String(core), ...command] : [...command];
}

/** What goes before a command so that it runs on the first `count` cores. */
export function pinnedToFirst(count: number): string[] {
  return PINNED ? ['taskset', '-c', CORES.slice(0, count).join(',')] : [];
}

export interface StartOptions {
  /** Whether the program reads what this process writes to `stdin`; else it has none. */
  readonly stdin?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Started {
  readonly child: ChildProcess;
  /** What it wrote, the last 64 KiB. */
  readonly output: () => string;
  /** Goes nowhere where `stdin` was not asked for. */
  readonly stdin: Writable;
}

/** Starts a command. Its output is kept for the error message should it end early. */
export function start(command: readonly string[], options: StartOptions = {}): Started {
  const child = spawn(command[0] as string, command.slice(1), {
    stdio: [options.stdin === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    detached: true,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr] as Readable[]) {
    stream.setEncoding('utf8').on('data', (piece: string) => (text = (text + piece).slice(-65_536)));
  }
  started.add(child);
  child.on('exit', () => started.delete(child));
  child.on('error', (error) => (text += error.message));
  return { child, output: () => text, stdin: child.stdin ?? new PassThrough().resume() };
}

/** Ends a process that `start` started, and waits for its end. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await Promise.race([ended, delay(2_000)]);
  if (child.exitCode === null && child.signalCode === null) {
    endGroup(child);
    await ended;
  }
}

/** Runs a command to its end and gives what it wrote to stdout; throws when it fails or takes too long. */
export async function run(command: readonly string[], seconds: number): Promise<string> {
  const { child, output } = start(command);
  let stdout = '';
  child.stdout?.on('data', (piece: string) => (stdout += piece));
  const late = setTimeout(() => endGroup(child), seconds * 1000);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(late);
  if (code !== 0) throw new Error(`${command.join(' ')} failed (${String(code)}): ${output()}`);
  return stdout;
}

/** Waits until a port accepts connections; throws with the process's output when it ends before. */
export async function listening(port: number, process_: Pick<Started, 'child' | 'output'>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const { child } = process_;
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended: ${process_.output()}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
      socket.on('close', () => socket.destroy());
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await delay(20);
  }
  throw new Error(`nothing listens on port ${port}`);
}
