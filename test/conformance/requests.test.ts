/** Requests, good and bad, sent to a real proxy with a strict recording origin behind it. */
import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { after, before, test, type TestContext } from 'node:test';
import { startOrigin, type Origin } from '../support/origin.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import {
  generatedRequests,
  loadExceptions,
  ownRequests,
  sharedCorpusFile,
  sharedRequests,
  type RequestCase,
} from './corpus.ts';
import { complaints, drive, summary } from './drive.ts';
import { readByLlhttp } from './second-opinion.ts';

let origin: Origin;
let serin: Serin;
let patient: Serin;
let used = 0;

/** `headTime`: how long a head may take. */
function start(headTime: string): Promise<Serin> {
  return startSerin({
    services: {
      notes: {
        hosts: ['*'],
        stable: { endpoints: [origin.endpoint] },
        timeouts: { requestBodyIdle: headTime, responseHead: '3s', responseIdle: '3s' },
      },
    },
    configuration: {
      proxy: { timeouts: { requestHead: headTime, keepAlive: '5s' } },
      log: { level: 'error' },
    },
    workers: 2,
  });
}

before(async () => {
  origin = await startOrigin('origin', { keep: 33_554_432 });
  // What is not whole is answered when its time is up; what comes in pieces takes its time.
  serin = await start('500ms');
  patient = await start('4s');
});

after(async () => {
  await serin?.stop();
  await patient?.stop();
  await origin?.close();
});

async function check(t: TestContext, cases: readonly RequestCase[], piece = Infinity): Promise<void> {
  const first = used;
  used += cases.length;
  const { proxyPort } = piece === Infinity ? serin : patient;
  const judged = await drive(cases, proxyPort, origin, first, 48, piece);
  for (const line of summary(judged)) t.diagnostic(line);
  assert.deepEqual(complaints(judged), []);
}

test('the requests of the own corpus', (t) => check(t, ownRequests()));

test(
  'the requests of the shared corpus',
  { skip: sharedCorpusFile() === null ? 'no corpus here' : false },
  (t) => check(t, sharedRequests(sharedCorpusFile() as string)),
);

test('generated requests', (t) => check(t, generatedRequests(1, 600)));

for (const piece of [1, 3, 50]) {
  test(`requests in pieces of ${piece}`, (t) => {
    // Longer ones might take longer than a head may here. A refusal may come before the proxy can know that it is asked for a head only.
    const generated = generatedRequests(piece, 120).filter(({ bytes }) => !bytes.includes('HEAD '));
    const cases = [...ownRequests(), ...generated].filter(
      ({ bytes }) => bytes.length < (piece === 1 ? 200 : 400),
    );
    return check(t, cases, piece);
  });
}

test('every exception names a case and gives its reason', { skip: sharedCorpusFile() === null }, () => {
  const names = new Set(sharedRequests(sharedCorpusFile() as string).map((one) => one.name));
  for (const { name, why } of loadExceptions().values()) {
    assert.ok(names.has(name), `${name} is no case`);
    assert.ok(why.length > 20, `${name} has no reason`);
  }
});

const UNKNOWN_METHOD = 'an unknown method';

test('a second parser reads the forwarded bytes alike', async () => {
  assert.deepEqual(origin.faults, []);
  for (const connection of origin.connections) {
    const complete = connection.requests.filter(({ message }) => message.complete);
    const expected = complete.map(
      ({ message }) => `${message.method} ${message.target} ${message.bodyLength}`,
    );
    // llhttp knows a list of methods and stops at others, which are no fault of the framing.
    // One that was cut, which can only be the last, stops it as well.
    const unknown = connection.requests.findIndex(({ message }) => !METHODS.includes(message.method));
    if (unknown >= 0) expected.splice(unknown, Infinity, UNKNOWN_METHOD);
    const seen = await readByLlhttp(connection.raw());
    const lines = seen.map((line) =>
      /^error HPE_INVALID_(METHOD|CONSTANT)$/.test(line) ? UNKNOWN_METHOD : line,
    );
    assert.deepEqual(
      lines.filter((line) => line !== 'error HPE_INVALID_EOF_STATE'),
      expected,
    );
  }
});
