/**
 * Tries a mutant: the tests run on a copy of the program that has the error, one file after another, until one notices.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import type { Mutant } from './mutants.ts';

export type Verdict = 'killed' | 'timed out' | 'survived';

export interface Bed {
  readonly root: string;
  remove(): void;
}

/** A copy of the program and its tests, to be spoilt. */
export function makeBed(project: string): Bed {
  const root = mkdtempSync(path.join(tmpdir(), 'serin-mutation-'));
  for (const part of ['src', 'test', 'config', 'scripts', 'docs', 'bench', 'k8s'])
    cpSync(path.join(project, part), path.join(root, part), { recursive: true });
  for (const file of ['package.json', 'tsconfig.json', 'README.md', 'ARCHITECTURE.md'])
    cpSync(path.join(project, file), path.join(root, file));
  symlinkSync(path.join(project, 'node_modules'), path.join(root, 'node_modules'));
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** How long each test file takes as it is, in ms. Throws where one fails without any error of ours. */
export async function measure(bed: Bed, tests: readonly string[]): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const test of tests) {
    const began = performance.now();
    if ((await run(bed, test, 300_000)) !== 'survived') throw new Error(`${test} fails as it is.`);
    times.set(test, performance.now() - began);
  }
  return times;
}

/** `times` as `measure` gives them; the quick ones come first. */
export async function tryMutant(
  bed: Bed,
  file: string,
  mutant: Mutant,
  times: ReadonlyMap<string, number>,
): Promise<{ readonly verdict: Verdict; readonly by: string }> {
  const place = path.join(bed.root, file);
  const source = readFileSync(place, 'utf8');
  writeFileSync(place, source.slice(0, mutant.start) + mutant.replacement + source.slice(mutant.end));
  try {
    for (const [test, time] of [...times].toSorted((a, b) => a[1] - b[1])) {
      // A loop without an end is noticed too.
      const verdict = await run(bed, test, 10_000 + 5 * time);
      if (verdict !== 'survived') return { verdict, by: test };
    }
    return { verdict: 'survived', by: '' };
  } finally {
    writeFileSync(place, source);
  }
}

function run(bed: Bed, test: string, limit: number): Promise<Verdict> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--test', '--test-reporter=dot', test], {
      cwd: bed.root,
      stdio: 'ignore',
      detached: true,
    });
    let late = false;
    const end = (): void => {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // The group is gone.
      }
    };
    const timer = setTimeout(() => {
      late = true;
      end();
    }, limit);
    child.on('close', (code) => {
      clearTimeout(timer);
      end();
      resolve(late ? 'timed out' : code === 0 ? 'survived' : 'killed');
    });
  });
}
