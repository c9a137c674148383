/**
 * The two programs that load the proxies and answer behind them, compiled from C. They are not in TypeScript because they
 * share one core with each other and must never be what is measured: a generator that is busy would make a proxy look
 * idle, and one that collects garbage would put its pauses into a proxy's latencies.
 */
import { join } from 'node:path';
import { run } from '../process.ts';

export interface Programs {
  readonly client: string;
  readonly origin: string;
}

/** Compiles both into a directory. Throws with the compiler's words when that fails. */
export async function buildPrograms(directory: string): Promise<Programs> {
  const build = async (name: string) => {
    const program = join(directory, name);
    const source = join(import.meta.dirname, `${name}.c`);
    await run(['cc', '-O2', '-std=gnu11', '-Wall', '-Wextra', '-o', program, source, '-lm'], 60);
    return program;
  };
  return { client: await build('client'), origin: await build('origin') };
}
