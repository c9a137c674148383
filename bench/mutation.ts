/**
 * How many deliberate errors the tests notice: random ones of each room that decides something, tried one after another on a copy.
 *
 *   node bench/mutation.ts [--each 60] [--seed 1] [--rooms policy,rollout] [--no-write]
 *
 * It keeps its table and the errors that nobody noticed in bench/MUTATION.md; why a survivor may stay is written there by hand, below
 * each one's line, and is kept. It is no part of the tests: it takes an hour.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { createRandom } from '../test/fuzz/random.ts';
import { type Mutant, mutantsOf } from './mutation/mutants.ts';
import { makeBed, measure, tryMutant, type Verdict } from './mutation/trial.ts';

const ROOT = path.dirname(import.meta.dirname);
const DOCUMENT = path.join(ROOT, 'bench/MUTATION.md');

/** By the name of a room: its files, and the tests that have to notice. */
const ROOMS: Readonly<Record<string, { readonly files: string; readonly tests: readonly string[] }>> = {
  policy: {
    files: 'src/policy/**/*.ts',
    tests: ['test/unit/policy/*.test.ts', 'test/property/{stickiness,path-readings,one-browser}.test.ts'],
  },
  rollout: {
    files: 'src/{rollout,rollback}/**/*.ts',
    tests: ['test/unit/{rollout,rollback,control,replication}/*.test.ts'],
  },
  replication: {
    files: 'src/replication/**/*.ts',
    tests: ['test/unit/{replication,control,state}/*.test.ts', 'test/property/fleet.test.ts'],
  },
  control: {
    files: 'src/{control,state}/**/*.ts',
    tests: ['test/unit/{control,state,replication}/*.test.ts', 'test/property/fleet.test.ts'],
  },
  'proxy/exchange': { files: 'src/proxy/exchange/**/*.ts', tests: ['test/unit/proxy/**/*.test.ts'] },
};

interface Trial {
  readonly file: string;
  readonly line: number;
  readonly what: string;
  readonly verdict: Verdict;
}

interface Row {
  readonly room: string;
  readonly possible: number;
  readonly trials: readonly Trial[];
}

const { values } = parseArgs({
  options: {
    each: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    rooms: { type: 'string', default: Object.keys(ROOMS).join(',') },
    'no-write': { type: 'boolean', default: false },
  },
});

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

async function tryRoom(room: string, count: number, seed: number): Promise<Row> {
  const { files, tests } = ROOMS[room] ?? { files: '', tests: [] };
  if (files === '') throw new Error(`There is no room ${room}; there are ${Object.keys(ROOMS).join(', ')}.`);
  const all = globSync(files, { cwd: ROOT })
    .toSorted()
    .flatMap((file) => {
      const source = readFileSync(path.join(ROOT, file), 'utf8');
      return mutantsOf(file, source).map((mutant) => ({ file, source, mutant }));
    });
  const random = createRandom(seed);
  const chosen: typeof all = [];
  const left = [...all];
  while (chosen.length < count && left.length > 0) chosen.push(...left.splice(random.below(left.length), 1));
  const bed = makeBed(ROOT);
  try {
    const names = tests.flatMap((one) => globSync(one, { cwd: ROOT })).toSorted();
    const times = await measure(bed, names);
    const trials: Trial[] = [];
    for (const { file, source, mutant } of chosen) {
      const { verdict, by } = await tryMutant(bed, file, mutant, times);
      const line = lineOf(source, mutant);
      trials.push({ file, line, what: mutant.what, verdict });
      print(`${verdict.padEnd(9)} ${file}:${line}  ${mutant.what}${by === '' ? '' : `  (${by})`}`);
    }
    return { room, possible: all.length, trials };
  } finally {
    bed.remove();
  }
}

function lineOf(source: string, { start }: Mutant): number {
  return source.slice(0, start).split('\n').length;
}

const survivors = ({ trials }: Row): readonly Trial[] =>
  trials.filter(({ verdict }) => verdict === 'survived');

function documentOf(rows: readonly Row[], before: string): string {
  const table = rows.map((row) => {
    const tried = row.trials.length;
    const killed = tried - survivors(row).length;
    return `| ${row.room} | ${row.possible} | ${tried} | ${killed} | ${((100 * killed) / Math.max(1, tried)).toFixed(0)} % |`;
  });
  const lists = rows.map((row) => {
    const lines = survivors(row).map(({ file, line, what }) => {
      const entry = `- \`${file}:${line}\` \`${what}\``;
      const kept = new RegExp(
        `^- \`${file.replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`)}:[0-9]+\` \`([^\n]*)\`\n((?:  [^\n]*\n)+)`,
        'gm',
      );
      const argument = [...before.matchAll(kept)].find((match) => match[1] === what)?.[2] ?? '';
      return argument === '' ? entry : `${entry}\n${argument.trimEnd()}`;
    });
    return `### ${row.room}\n\n${lines.length === 0 ? 'None.' : lines.join('\n')}\n`;
  });
  return `# Deliberate errors that the tests notice

Made by \`node bench/mutation.ts\`. Of all small errors that can be made in a room's files (a comparison, a bound, a condition that always
holds, a number, a call that is left out) so many random ones were tried, one after another, each with the unit and property tests of
that room. An error is killed when a test fails or no longer ends.

| room | possible | tried | killed | share |
| --- | ---: | ---: | ---: | ---: |
${table.join('\n')}

## Survivors

What was not noticed, and why it may stay so, where that is argued.

${lists.join('\n')}`;
}

const rows: Row[] = [];
for (const room of values.rooms.split(','))
  rows.push(await tryRoom(room, Number(values.each), Number(values.seed)));
const text = documentOf(rows, existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : '');
if (values['no-write']) print(text);
else writeFileSync(DOCUMENT, text);
