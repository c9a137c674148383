/** The end of a process: not ready first, then no new connections, running requests finish, and nobody is reset. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { value } from '../support/strict-head.ts';
import type { Message } from '../support/strict-reader.ts';

let origin: Origin;
const running: Serin[] = [];

before(async () => {
  origin = await startOrigin('stable');
});

after(async () => {
  for (const serin of running) await serin.stop();
  await origin?.close();
});

async function start(drain: { delay: string; grace: string }): Promise<Serin> {
  const serin = await startSerin({
    services: { notes: { hosts: ['*'], stable: { endpoints: [origin.endpoint] } } },
    configuration: { proxy: { drain }, log: { level: 'warn' } },
    workers: 2,
  });
  running.push(serin);
  return serin;
}

const readiness = async (serin: Serin) => (await fetch(`http://127.0.0.1:${serin.opsPort}/readyz`)).status;

test('SIGTERM: not ready at once, serving goes on for the delay, running requests finish, exit 0', async () => {
  const serin = await start({ delay: '700ms', grace: '10s' });
  let held: Received | null = null;
  origin.route('/long', (received) => (held = received));
  const idle = await connect(serin.proxyPort);
  idle.write(request('/idle'));
  await idle.answer();
  const long = await connect(serin.proxyPort);
  long.write(request('/long'));
  await eventually(() => held, 'the long request');

  process.kill(serin.pid, 'SIGTERM');
  await eventually(async () => (await readiness(serin)) === 503, 'not ready');
  const late = await ask(serin.proxyPort, request('/late'));
  assert.equal(late.status, 200, 'a new connection during the delay');

  assert.equal(await within(idle.finished, 'the end of the idle connection'), 'end');
  idle.end();
  await eventually(
    () =>
      connect(serin.proxyPort).then(
        (client) => (client.destroy(), false),
        () => true,
      ),
    'no new connections',
  );
  answer(held as unknown as Received, { body: 'done' });
  const message = await long.answer();
  assert.equal(message.body.toString(), 'done');
  assert.equal(value(message, 'connection'), 'close');
  assert.equal(await within(long.finished, 'the end of the long connection'), 'end');
  long.end();
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
});

test('what does not finish within the grace is cut, and the exit is still 0', async () => {
  const serin = await start({ delay: '0ms', grace: '300ms' });
  origin.route('/endless', { end: () => {} });
  const client = await connect(serin.proxyPort);
  client.write(request('/endless'));
  await eventually(() => origin.at('/endless').length > 0, 'the endless request');
  process.kill(serin.pid, 'SIGTERM');
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
  await within(client.finished, 'the end of the connection');
});

test('requests on kept connections during the drain: each is answered, or its connection ends cleanly before', async () => {
  const serin = await start({ delay: '300ms', grace: '5s' });
  let resets = 0;
  let served = 0;
  const state = { stopped: false };
  async function work(): Promise<void> {
    while (!state.stopped) {
      const client = await connect(serin.proxyPort).catch(() => null);
      if (client === null) return;
      for (let answered = 0; ; answered += 1) {
        client.write(request('/steady'));
        const message: Message | string = await client.answer().catch((error: unknown) => String(error));
        if (typeof message === 'string') {
          // A connection that the listener had not accepted when it closed is reset by the kernel: it is not a kept one.
          if (message.includes('(reset)') && answered > 0) resets += 1;
          break;
        }
        assert.equal(message.status, 200);
        served += 1;
        if (value(message, 'connection') === 'close') break;
      }
      client.destroy();
    }
  }
  const workers = Array.from({ length: 8 }, work);
  await eventually(() => served > 100, 'some traffic');
  process.kill(serin.pid, 'SIGTERM');
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
  state.stopped = true;
  await Promise.all(workers);
  assert.equal(resets, 0);
});
