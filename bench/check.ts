/**
 * Whether Serin got slower: runs the quick variant of `run.ts` and compares its ratios with those stored. Wants a quiet
 * machine, and says so where it was not: that is why `npm test` does not run it.
 *
 *   node bench/check.ts [scenario ...]
 *
 * Exits 0 when nothing got worse by half, 1 when something did or a request failed, 2 when it could not be told.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcomes } from './outcome.ts';
import { compare } from './regression.ts';
import { storedOutcomes } from './results.ts';

const directory = mkdtempSync(join(tmpdir(), 'serin-bench-check-'));
try {
  const file = join(directory, 'outcomes.json');
  const program = join(import.meta.dirname, 'run.ts');
  const only = ['--peers', 'serin,haproxy', '--quick', '--no-latency', '--no-write', '--json', file];
  const { status } = spawnSync(process.execPath, [program, ...process.argv.slice(2), ...only], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (!existsSync(file)) {
    console.error(`the bench ended with ${status} and no outcomes`);
    process.exitCode = 2;
  } else {
    const fresh = JSON.parse(readFileSync(file, 'utf8')) as Outcomes;
    const { worse, unsure, compared } = compare(storedOutcomes(), fresh);
    for (const line of unsure) console.error(`cannot tell: ${line}`);
    for (const line of worse) console.error(`worse: ${line}`);
    if (worse.length === 0 && compared > 0)
      console.log(`${compared} ratios compared with the stored ones: none got worse by half`);
    if (worse.length > 0) process.exitCode = 1;
    else if (unsure.length > 0 || compared === 0) process.exitCode = 2;
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
