/** What guarded callbacks survive, what they do not, and how often that is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { faultCode, isShortage } from '../../../src/runtime/faults.ts';
import {
  after,
  detached,
  every,
  guarded,
  guardedListener,
  onFault,
  soon,
  survive,
  survivedFaults,
} from '../../../src/runtime/guard.ts';
import { within } from '../../support/bounded.ts';

afterEach(() => onFault(null));

function fault(code: string): Error {
  return Object.assign(new Error(`${code}: so it is`), { code });
}

test('faults of the system are faults, also as causes and within what Node.js makes of them', () => {
  for (const code of [
    'EMFILE',
    'ENFILE',
    'ENOSPC',
    'EIO',
    'EACCES',
    'EROFS',
    'ENOENT',
    'ECONNRESET',
    'ENOTFOUND',
  ])
    assert.equal(faultCode(fault(code)), code);
  assert.equal(faultCode(fault('ERR_WORKER_INIT_FAILED')), 'ERR_WORKER_INIT_FAILED');
  assert.equal(faultCode(new Error('no file', { cause: fault('ENOENT') })), 'ENOENT');
  const wrapped = Object.assign(fault('ERR_SYSTEM_ERROR'), { info: { code: 'EMFILE' } });
  assert.equal(faultCode(wrapped), 'EMFILE');
  assert.ok(isShortage('EMFILE') && !isShortage('ECONNREFUSED') && !isShortage(undefined));
});

test('what the program does wrong is no fault', () => {
  const circle = new Error('round');
  circle.cause = circle;
  for (const error of [
    new TypeError('undefined is not a function'),
    new Error('assertion failed'),
    fault('EBADF'),
    fault('EINVAL'),
    fault('ERR_INVALID_ARG_TYPE'),
    fault('ERR_ASSERTION'),
    circle,
    'EMFILE',
    undefined,
    { code: 'EMFILE' },
  ])
    assert.equal(faultCode(error), null);
});

test('a guarded callback survives a fault, counts it, and goes on', () => {
  let calls = 0;
  const run = guarded('test 1', () => {
    calls += 1;
    throw fault('EMFILE');
  });
  run();
  run();
  guardedListener('test 1', (value: number) => {
    calls += value;
    throw fault('ENOSPC');
  })(5);
  assert.equal(calls, 7);
  assert.equal(survivedFaults().get('test 1'), 3);
});

test('any other error passes', () => {
  assert.throws(
    guarded('test 2', () => {
      throw new TypeError('a mistake');
    }),
    TypeError,
  );
  assert.equal(survivedFaults().get('test 2'), undefined);
});

test('each task and code is told once a minute, with the number of those left out', () => {
  const told: string[] = [];
  let counted = 0;
  onFault({
    count: () => void counted++,
    tell: (task, code, _, suppressed) => void told.push(`${task} ${code} ${suppressed}`),
  });
  for (let second = 0; second < 121; second++) survive('test 3', fault('EMFILE'), 1000 * second);
  survive('test 3', fault('ENFILE'), 121_000);
  assert.deepEqual(told, ['test 3 EMFILE 0', 'test 3 EMFILE 59', 'test 3 EMFILE 59', 'test 3 ENFILE 0']);
  assert.equal(counted, 122);
});

test('timers, turns and promises that nobody waits for', async () => {
  const told = new Set<string>();
  const { promise, resolve } = Promise.withResolvers<void>();
  onFault({
    tell(task) {
      told.add(task);
      if (told.size === 4) resolve();
    },
  });
  const failing = (task: string) =>
    guarded(task, () => {
      throw fault('EIO');
    });
  const timer = every(1, failing('test 4 every'));
  after(1, failing('test 4 after'));
  soon(failing('test 4 soon'));
  detached('test 4 detached', Promise.reject(fault('EIO')));
  await within(promise, 'four faults');
  clearInterval(timer);
});

const ROOT = path.resolve(import.meta.dirname, '../../..');

function run(throwing: string): { status: number | null; text: string } {
  const program = `
    import { surviveFaults } from './src/telemetry/fault-log.ts';
    import { createLog } from './src/telemetry/log.ts';
    surviveFaults({ log: createLog({ level: 'info' }), end: () => process.exit(1) });
    setTimeout(() => {
      setTimeout(() => process.stdout.write('alive'), 1);
      ${throwing}
    }, 1);`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return { status, text: stdout };
}

test('what nobody guarded: a fault is survived and told', () => {
  for (const throwing of [
    `throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });`,
    `Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));`,
    `new (process.getBuiltinModule('events'))().emit('error', Object.assign(new Error('EIO'), { code: 'EIO' }));`,
  ]) {
    const { status, text } = run(throwing);
    assert.equal(status, 0, text);
    // The log and standard output are written apart: neither need come first.
    assert.match(text, /"serin.task":"unguarded".*a fault of the system was survived/);
    assert.match(text, /alive/);
  }
});

test('what nobody guarded: any other error is told and ends the process with 1', () => {
  for (const throwing of [`null.x;`, `Promise.reject(new Error('a mistake'));`]) {
    const { status, text } = run(throwing);
    assert.equal(status, 1, text);
    assert.match(text, /"level":"fatal".*an error that was not foreseen/);
    assert.doesNotMatch(text, /alive/);
  }
});
