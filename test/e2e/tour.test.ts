/**
 * The README's tour, run as it is written against `npm start`'s own process, so that it can't rot.
 *
 * The whole tour is one shell, because later blocks use what earlier ones defined. Only the ports are changed.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { freePort } from '../support/ports.ts';
import { compareOutput, readTour } from './tour.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const TOUR_LIMIT = 90_000;
const HEADING = '## A tour of five minutes';

let serin: ChildProcess;
let printed = '';
let ports: ReadonlyMap<string, string>;
let directory = '';

before(async () => {
  const [proxy, admin, ops] = [await freePort(), await freePort(), await freePort()];
  ports = new Map([
    ['127.0.0.1:8080', `127.0.0.1:${proxy}`],
    ['127.0.0.1:9090', `127.0.0.1:${admin}`],
    ['127.0.0.1:9091', `127.0.0.1:${ops}`],
  ]);
  directory = await mkdtemp(path.join(tmpdir(), 'serin-tour-'));
  serin = spawn(process.execPath, ['src/main.ts', '--demo'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      SERIN_PROXY_LISTEN: ports.get('127.0.0.1:8080'),
      SERIN_ADMIN_LISTEN: ports.get('127.0.0.1:9090'),
      SERIN_OPS_LISTEN: ports.get('127.0.0.1:9091'),
    },
  });
  for (const stream of [serin.stdout!, serin.stderr!]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
  }
  await eventually(() => {
    assert.equal(serin.exitCode, null, printed);
    return printed.includes('Ctrl-C stops everything');
  }, `the banner of npm start; so far: ${printed}`);
});

after(async () => {
  serin.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

const translated = (text: string, to: boolean): string => {
  let result = text;
  for (const [shown, real] of ports)
    result = to ? result.replaceAll(shown, real) : result.replaceAll(real, shown);
  return result;
};

test('the banner says where everything is and what to try', () => {
  const banner = translated(printed, false);
  assert.match(banner, /proxy +http:\/\/127\.0\.0\.1:8080\n/);
  assert.match(banner, /admin API +http:\/\/127\.0\.0\.1:9090\//);
  assert.match(banner, /metrics +http:\/\/127\.0\.0\.1:9091\/metrics\n/);
  assert.equal(banner.match(/^ {2}(for .*; do )?curl /gm)?.length, 3);
});

test('the README shows what really happens', async () => {
  const steps = readTour(await readFile(path.join(ROOT, 'README.md'), 'utf8'), HEADING);
  assert.ok(steps.length > 5, 'the tour has its steps');
  const mark = (index: number): string => `==== end of step ${index} ====`;
  const script = steps.map(({ script: text }, index) => `${text}\necho '${mark(index)}'`).join('\n');
  const shell = spawn('bash', ['-c', translated(script, true)], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: directory },
    // A group of its own, so that what the shell started ends with it.
    detached: true,
  });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  try {
    await within(once(shell, 'close'), 'the end of the tour', TOUR_LIMIT);
  } catch (error) {
    process.kill(-shell.pid!, 'SIGKILL');
    throw new Error(`the tour got no further than:\n${output}`, { cause: error });
  }
  let from = 0;
  for (const [index, step] of steps.entries()) {
    const end = output.indexOf(`${mark(index)}\n`, from);
    assert.notEqual(end, -1, `README.md:${step.line}: the step did not end\n${output.slice(from)}`);
    const actual = translated(output.slice(from, end), false);
    from = end + mark(index).length + 1;
    const difference = compareOutput(step.output ?? '', actual);
    assert.equal(difference, null, `README.md:${step.line}: ${difference}\n\n${step.script}\n\n${actual}`);
  }
});

test('Ctrl-C ends it cleanly, and its temporary directory is gone', async () => {
  const ended = once(serin, 'exit') as Promise<[number | null]>;
  serin.kill('SIGINT');
  const [code] = await within(ended, 'the end after SIGINT');
  assert.equal(code, 0, printed);
  const file = /settings +(\S+)/.exec(printed)?.[1];
  await assert.rejects(readFile(file!), { code: 'ENOENT' });
});
