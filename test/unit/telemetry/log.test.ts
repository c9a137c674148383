import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { createLog, type Logger, type LogOptions } from '../../../src/telemetry/log.ts';
import { within } from '../../support/bounded.ts';
import { scratch } from './pipe.ts';

function listening(options: Partial<LogOptions> = {}): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', ...options, destination: { write: (line) => lines.push(line) } });
  return { log, lines };
}

function only(lines: readonly string[]): Record<string, unknown> {
  assert.equal(lines.length, 1);
  assert.ok(lines[0]!.endsWith('}\n'));
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

test('a line is one JSON object with the service, the level by name, and a time that sorts', () => {
  const { log, lines } = listening({ fields: { 'serin.worker': 3 } });
  log.info({ 'http.request.method': 'GET' }, 'hello');
  const { time, ...rest } = only(lines);
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, {
    level: 'info',
    'service.name': 'serin',
    'serin.worker': 3,
    'http.request.method': 'GET',
    msg: 'hello',
  });
});

test('levels below the chosen one are silent', () => {
  const { log, lines } = listening({ level: 'warn' });
  log.info({}, 'no');
  log.warn({}, 'yes');
  assert.equal(only(lines)['msg'], 'yes');
  const silent = listening({ level: 'silent' });
  silent.log.fatal({}, 'no');
  assert.deepEqual(silent.lines, []);
});

test('an error gives OpenTelemetry’s exception fields and none of its other properties', () => {
  const { log, lines } = listening();
  const cause = new Error('the disk is full');
  const error = Object.assign(new RangeError('too much', { cause }), {
    code: 'E_MUCH',
    request: { secret: 'S' },
  });
  log.error({ err: error, 'serin.service': 'notes' }, 'failed');
  const line = only(lines);
  assert.equal(line['error.type'], 'E_MUCH');
  assert.equal(line['exception.type'], 'RangeError');
  assert.equal(line['exception.message'], 'too much');
  assert.match(String(line['exception.stacktrace']), /too much\n[^]*caused by: Error: the disk is full/);
  assert.equal(line['serin.service'], 'notes');
  assert.equal(line['msg'], 'failed');
  assert.ok(!('err' in line));
  assert.doesNotMatch(lines[0]!, /request/);
});

test('an error alone is a line as well, and an own error.type wins', () => {
  const { log, lines } = listening();
  log.error(new Error('alone'));
  assert.equal(only(lines)['msg'], 'alone');
  lines.length = 0;
  log.error({ 'error.type': 'mine', error: new Error('x') }, 'failed');
  assert.equal(only(lines)['error.type'], 'mine');
});

test('secrets are cut out of fields, children, messages, formatted messages and errors', () => {
  const { log, lines } = listening({ fields: { token: 'hunter2' } });
  const headers = { Authorization: 'Bearer hunter2', cookie: 'a=hunter2', 'x-serin-override': 'hunter2' };
  log.info({ headers }, 'request');
  log
    .child({ password: 'hunter2' })
    .child({ 'http.request.header.cookie': ['hunter2'] })
    .info({}, 'child');
  log.info('sent authorization: Bearer hunter2 and more');
  log.info('%s', 'cookie: serin_override=hunter2');
  log.error(new Error('bad value serin_override=hunter2; path=/'));
  log.error({ err: new Error('Set-Cookie: serin_id=hunter2') }, 'x-serin-override: hunter2');
  assert.equal(lines.length, 6);
  for (const line of lines) {
    assert.doesNotMatch(line, /hunter2/);
    assert.match(line, /\[redacted\]/);
    JSON.parse(line);
  }
});

test('pretty lines are for people, and as safe', () => {
  const { log, lines } = listening({ pretty: true });
  log.warn({ 'serin.service': 'notes', 'serin.rule': 'half of them', token: 'hunter2' }, 'raised');
  assert.match(
    lines[0]!,
    /^\d\d:\d\d:\d\d\.\d{3} WARN  raised  serin\.service=notes serin\.rule="half of them" token="\[redacted\]"\n$/,
  );
  log.error({ err: new Error('boom') }, 'failed');
  assert.match(lines[1]!, /ERROR failed[^\n]*exception\.message=boom\n {2}Error: boom\n {6}at /);
});

test('a worker thread logs to a file on its own, without the help of the main thread', async (context) => {
  const path = join(scratch(context), 'log');
  const logModule = new URL('../../../src/telemetry/log.ts', import.meta.url).href;
  // It says when it has logged and then hangs: nothing of it ever reaches the main thread's loop but that message.
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(${JSON.stringify(logModule)}).then(({ createLog }) => {
      createLog({ level: 'info', destination: workerData, fields: { 'serin.worker': 1 } }).info({}, 'from a worker');
      parentPort.postMessage('logged');
      for (;;);
    });`;
  const worker = new Worker(code, { eval: true, workerData: path });
  await within(once(worker, 'message'), 'the worker has logged');
  const line = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  assert.equal(line['msg'], 'from a worker');
  await worker.terminate();
});

test('flush calls back', async () => {
  const { log } = listening();
  await within(
    new Promise<void>((resolve) => {
      log.flush(() => {
        resolve();
      });
    }),
    'flushed',
  );
});

test('a line for people holds nothing that a terminal acts on, and no line that another one wrote', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', pretty: true, destination: { write: (line) => lines.push(line) } });
  const evil = 'x\u001b[2J\u009b\u202e\u200b\r\nFAKE \u007f';
  log.warn({ 'serin.reason': evil, [evil]: evil, list: [evil] }, evil);
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines[0]!, /[^\n\P{Cc}]|\p{Cf}/u);
  assert.equal(lines[0]!.split('\n').length, 2);
  const plain: string[] = [];
  createLog({ level: 'info', destination: { write: (line) => plain.push(line) } }).warn(
    { reason: evil },
    evil,
  );
  assert.doesNotMatch(plain[0]!, /[^\n\P{Cc}]|\p{Cf}/u);
  assert.equal((JSON.parse(plain[0]!) as { reason: string }).reason, evil);
});
