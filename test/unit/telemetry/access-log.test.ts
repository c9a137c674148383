import { test } from 'node:test';
import assert from 'node:assert/strict';
import {
  createAccessLog,
  type AccessLogOptions,
  type AccessRecord,
} from '../../../src/telemetry/access-log.ts';
import { WORKER_SLOT } from '../../../src/telemetry/worker-counters.ts';
import { LineWriter } from '../../../src/telemetry/line-writer.ts';
import { newWorkerCounters } from './fake-source.ts';

const RECORD: AccessRecord = {
  time: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  durationSeconds: 0.0123456789,
  method: 'GET',
  path: '/notes/7',
  query: 'token=S3CRET',
  host: 'notes.example.com',
  version: '1.1',
  status: 200,
  clientAddress: '203.0.113.7',
  userAgent: 'curl/8',
  requestId: 'r-1',
  service: 'notes',
  variant: 'canary',
  reason: 'rule',
  rule: 'everyone',
  revision: 12,
  endpoint: '10.1.0.7:8080',
  requestBytes: 0,
  responseBytes: 1024,
  errorType: '',
};

function accessLog(options: Partial<AccessLogOptions> = {}, accept: () => boolean = () => true) {
  const lines: string[] = [];
  const counters = newWorkerCounters();
  const log = createAccessLog(
    { mode: 'on', share: 1, includeQuery: false, worker: 2, random: () => 0.5, ...options },
    {
      write: (line) => accept() && lines.push(line) > 0,
      flush: (done) => {
        done();
      },
    },
    counters,
  );
  return { log, lines, counters };
}

test('a record is one line of JSON with OpenTelemetry’s names', () => {
  const { log, lines } = accessLog();
  log.record(RECORD);
  assert.equal(lines.length, 1);
  assert.ok(lines[0]!.endsWith('}\n'));
  assert.deepEqual(JSON.parse(lines[0]!), {
    level: 'info',
    'service.name': 'serin',
    'serin.worker': 2,
    'event.name': 'http.access',
    time: '2026-01-02T03:04:05.678Z',
    'http.request.method': 'GET',
    'url.path': '/notes/7',
    'network.protocol.version': '1.1',
    'http.response.status_code': 200,
    'serin.duration': 0.012346,
    'server.address': 'notes.example.com',
    'client.address': '203.0.113.7',
    'user_agent.original': 'curl/8',
    'serin.request_id': 'r-1',
    'serin.service': 'notes',
    'serin.variant': 'canary',
    'serin.reason': 'rule',
    'serin.rule': 'everyone',
    'serin.revision': 12,
    'serin.endpoint': '10.1.0.7:8080',
    'http.request.body.size': 0,
    'http.response.body.size': 1024,
  });
});

test('the query is left out unless it is asked for', () => {
  const { log, lines } = accessLog();
  log.record(RECORD);
  assert.doesNotMatch(lines[0]!, /S3CRET/);
  const asked = accessLog({ includeQuery: true });
  asked.log.record(RECORD);
  assert.equal((JSON.parse(asked.lines[0]!) as Record<string, unknown>)['url.query'], 'token=S3CRET');
});

test('what is not known is left out', () => {
  const { log, lines } = accessLog();
  const empty = {
    clientAddress: '',
    userAgent: '',
    requestId: '',
    service: '',
    variant: '',
    reason: '',
    rule: '',
    revision: -1,
  };
  log.record({
    ...RECORD,
    ...empty,
    endpoint: '',
    host: '',
    status: 0,
    requestBytes: -1,
    responseBytes: -1,
    errorType: 'bad_target',
  });
  const line = JSON.parse(lines[0]!) as object;
  assert.deepEqual(Object.keys(line).slice(5), [
    'http.request.method',
    'url.path',
    'network.protocol.version',
    'serin.duration',
    'error.type',
  ]);
});

test('hostile texts stay within their JSON strings', () => {
  const { log, lines } = accessLog();
  const hostile = '"},\\\n\r\u0000\u2028{"level":"fatal\u00ff';
  log.record({ ...RECORD, path: hostile, userAgent: hostile, host: hostile, rule: hostile });
  assert.equal(lines[0]!.indexOf('\n'), lines[0]!.length - 1);
  const line = JSON.parse(lines[0]!) as Record<string, unknown>;
  for (const name of ['url.path', 'user_agent.original', 'server.address', 'serin.rule']) {
    assert.equal(line[name], hostile);
  }
  assert.equal(line['level'], 'info');
});

test('the longest line fits into one write to a pipe', () => {
  const { log, lines } = accessLog({ includeQuery: true });
  const long = 'é'.repeat(40_000);
  log.record({ ...RECORD, path: long, query: long, userAgent: long, host: 'h'.repeat(40_000) });
  assert.ok(Buffer.byteLength(lines[0]!) <= 4096 + 1024, `${Buffer.byteLength(lines[0]!)} bytes`);
  assert.match(lines[0]!, /é…"/);
});

test('sampled: the share of the requests whose number falls below it', () => {
  let next = 0;
  const { log } = accessLog({ mode: 'sampled', share: 0.25, random: () => next });
  next = 0.2499;
  assert.equal(log.wanted(), true);
  next = 0.25;
  assert.equal(log.wanted(), false);
});

test('a share of 0 logs nothing, of 1 everything', () => {
  const none = accessLog({ mode: 'sampled', share: 0, random: () => 0 });
  assert.equal(none.log.wanted(), false);
  const all = accessLog({ mode: 'sampled', share: 1, random: () => 1 - Number.EPSILON / 2 });
  assert.equal(all.log.wanted(), true);
});

test('on: every request, and chance is not asked', () => {
  const { log } = accessLog({
    share: 0,
    random: () => {
      throw new Error('not needed');
    },
  });
  assert.equal(log.wanted(), true);
});

test('records taken and dropped are counted apart', () => {
  const counters = newWorkerCounters();
  const writer = new LineWriter({
    output: { fd: 99, kind: 'nonBlocking' },
    limit: 1200,
    immediate: false,
    onDropped: (lines) => {
      counters.logDropped(lines);
    },
    system: {
      write: () => {},
      writeSync: () => {
        throw Object.assign(new Error('full'), { code: 'EAGAIN' });
      },
      soon: (run) => {
        run();
      },
      later: () => {},
    },
  });
  const options = { mode: 'on', share: 1, includeQuery: false, worker: 0, random: Math.random } as const;
  const log = createAccessLog(options, writer, counters);
  for (let n = 0; n < 5; n++) log.record(RECORD);
  const { logWritten, logDropped } = WORKER_SLOT;
  assert.equal(counters.slots[logWritten], 2);
  assert.equal(counters.slots[logDropped], 3);
});
