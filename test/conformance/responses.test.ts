/** Answers of origins, good and bad: what of them reaches the client, and what becomes of the connection. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { within } from '../support/bounded.ts';
import { startOrigin, type Origin, type Received } from '../support/origin.ts';
import { connect } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { generatedResponses, ownResponses, type ResponseCase } from './corpus.ts';
import { inParallel } from './drive.ts';

let origin: Origin;
let serin: Serin;
const own = ownResponses();
const cases = [...own, ...generatedResponses(1, 300)];

function respond(request: Received): void {
  const one = cases[Number(request.path.slice('/case/'.length))] as ResponseCase;
  request.connection.socket.write(one.bytes);
  if (one.close) request.connection.socket.end();
}

before(async () => {
  origin = await startOrigin('origin');
  cases.forEach((_, index) => origin.route(`/case/${index}`, respond));
  serin = await startSerin({
    services: {
      notes: {
        hosts: ['*'],
        stable: { endpoints: [origin.endpoint] },
        timeouts: { responseHead: '1s', responseIdle: '1s' },
      },
    },
    configuration: { log: { level: 'error' } },
  });
});

after(async () => {
  await serin?.stop();
  await origin?.close();
});

/** Sends the request of a case and says what is wrong with what came of it. */
async function run(one: ResponseCase, index: number): Promise<string[]> {
  const wrong: string[] = [];
  const client = await connect(serin.proxyPort, { methods: [one.method, 'GET'] });
  client.write(`${one.method} /case/${index} HTTP/1.1\r\nHost: notes.test\r\n\r\n`);
  let cut = false;
  const answer = await client.answer().catch(async () => {
    await within(client.finished, 'the end of the connection').catch(() => wrong.push('left hanging'));
    cut = true;
    return client.answers[0];
  });
  if (client.reader.fault !== null) wrong.push(`malformed answer: ${client.reader.fault}`);
  if (answer === undefined) {
    if (one.expectation !== 'either') wrong.push('no answer at all');
  } else if (one.expectation === 'relay') {
    if (cut) wrong.push('cut short');
    if (answer.status !== one.status) wrong.push(`status ${answer.status} instead of ${one.status}`);
    if (one.body !== null && answer.body.toString('latin1') !== one.body) {
      wrong.push(`body ${JSON.stringify(answer.body.toString('latin1').slice(0, 40))}`);
    }
    if (client.interim.filter(({ status }) => status !== 100).length !== one.interim) {
      wrong.push(`${client.interim.length} interim answers instead of ${one.interim}`);
    }
  } else if (one.expectation === 'refuse') {
    if (answer.status !== 502 && answer.status !== 504) wrong.push(`status ${answer.status} instead of 502`);
    if (cut) wrong.push('the refusal is cut short');
  } else if (one.expectation === 'truncate' && !cut && answer.status !== 502) {
    wrong.push('a clean end to a broken body');
  }
  for (const name of one.absent) {
    if (answer !== undefined && value(answer, name) !== undefined)
      wrong.push(`the client got the field ${name}`);
  }
  client.destroy();
  // The next request: it would meet a poisoned connection first, and must get its own answer.
  const probe = await connect(serin.proxyPort);
  probe.write(`GET /probe/${index} HTTP/1.1\r\nHost: notes.test\r\n\r\n`);
  const after = await probe.answer().catch((error: unknown) => String(error));
  const text = typeof after === 'string' ? after : `${after.status} ${after.body.toString('latin1')}`;
  if (!text.startsWith(`200 origin GET /probe/${index} `))
    wrong.push(`the next request got: ${text.slice(0, 200)}`);
  probe.destroy();
  return wrong.map((what) => `${one.name}: ${what}`);
}

test('the responses of the own corpus, and generated ones', async (t) => {
  const wrong = (await inParallel(cases, 8, run)).flat();
  for (const [index, one] of cases.entries()) {
    if (one.reuse) continue;
    for (const { connection } of origin.at(`/case/${index}`)) {
      const last = connection.requests.at(-1);
      if (last?.path !== `/case/${index}`)
        wrong.push(`${one.name}: the connection was used again for ${last?.path}`);
    }
  }
  const groups = Map.groupBy(cases, (one) => one.expectation);
  for (const [expectation, list] of groups) t.diagnostic(`${expectation}: ${list.length} cases`);
  assert.deepEqual(wrong, []);
  assert.deepEqual(origin.faults, []);
});
