/** The end of a process: not ready first, then no new connections, running requests finish, and nobody is reset. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { inspect } from '../support/inspector.ts';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
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

async function start(
  drain: { delay: string; grace: string; idle?: string },
  { proxy = {}, ...more }: { proxy?: object; workers?: number; nodeArguments?: string[] } = {},
): Promise<Serin> {
  const serin = await startSerin({
    services: { notes: { hosts: ['*'], stable: { endpoints: [origin.endpoint] } } },
    configuration: { proxy: { drain, ...proxy }, log: { level: 'warn' } },
    workers: 2,
    ...more,
  });
  running.push(serin);
  return serin;
}

/** Waits until nobody listens on the proxy's port any more. */
async function listenerClosed(serin: Serin): Promise<void> {
  await eventually(
    () =>
      connect(serin.proxyPort).then(
        (client) => (client.destroy(), false),
        () => true,
      ),
    'no new connections',
  );
}

const readiness = async (serin: Serin) => (await fetch(`http://127.0.0.1:${serin.opsPort}/readyz`)).status;

test('SIGTERM: not ready at once, serving goes on for the delay, running requests finish, exit 0', async () => {
  const serin = await start({ delay: '700ms', grace: '10s', idle: '100ms' });
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
  await listenerClosed(serin);
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
  const serin = await start({ delay: '300ms', grace: '5s', idle: '1s' });
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

test('an idle connection gets one more answer during the drain, and the process does not wait any longer', async () => {
  const serin = await start({ delay: '0s', grace: '30s', idle: '30s' });
  const idle = await connect(serin.proxyPort);
  idle.write(request('/first'));
  assert.equal(value(await idle.answer(), 'connection'), undefined);
  process.kill(serin.pid, 'SIGTERM');
  await listenerClosed(serin);
  idle.write(request('/last'));
  const last = await idle.answer();
  assert.equal(last.status, 200);
  assert.equal(value(last, 'connection'), 'close');
  assert.equal(await within(idle.finished, 'the end of the connection'), 'end');
  idle.end();
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
});

test('an idle connection that stays idle ends by a FIN; a request that crosses it is dropped without a reset', async () => {
  const serin = await start({ delay: '0s', grace: '30s', idle: '50ms' });
  const idle = await connect(serin.proxyPort);
  idle.write(request('/before'));
  await idle.answer();
  process.kill(serin.pid, 'SIGTERM');
  assert.equal(await within(idle.finished, 'the end of the idle connection'), 'end');
  idle.write(request('/crossing', { method: 'POST', body: 'x'.repeat(10_000) }));
  idle.end();
  assert.equal(await within(idle.over, 'the close'), 'end');
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
  assert.equal(origin.at('/crossing').length, 0);
});

test('requests that are pipelined are all answered, and only the last answer says that it is', async () => {
  const serin = await start({ delay: '0s', grace: '30s' });
  const held: Received[] = [];
  origin.route('/pipelined', (received) => void held.push(received));
  const client = await connect(serin.proxyPort);
  client.write(request('/pipelined') + request('/pipelined') + request('/pipelined'));
  await eventually(() => held.length === 1, 'the first request');
  process.kill(serin.pid, 'SIGTERM');
  await listenerClosed(serin);
  const said: (string | undefined)[] = [];
  for (const body of ['one', 'two', 'three']) {
    answer(await eventually(() => held.shift(), body), { body });
    const message = await client.answer();
    assert.equal(message.body.toString(), body);
    said.push(value(message, 'connection'));
  }
  assert.deepEqual(said, [undefined, undefined, 'close']);
  client.destroy();
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
});

test('connections that the kernel has accepted and the worker has not are served before the listener closes', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'serin-drain-'));
  t.after(() => rm(directory, { recursive: true }));
  for (let attempt = 1; ; attempt++) {
    const inspectorPort = await freePort();
    const serin = await start(
      { delay: '0s', grace: '30s', idle: '1s' },
      { workers: 1, nodeArguments: [`--inspect=127.0.0.1:${inspectorPort}`] },
    );
    try {
      const statuses = await drainWhileHeldUp(
        serin,
        inspectorPort,
        path.join(directory, `release-${attempt}`),
      );
      assert.deepEqual(
        statuses,
        Array.from({ length: 50 }, () => 200),
      );
      assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
      return;
    } catch (error) {
      // On a busy machine the worker may be held up for so long that it counts as hung: then it is ended, and this shows nothing.
      if (attempt === 10 || !serin.output().includes('a worker hangs')) throw error;
      await serin.stop();
    }
  }
});

/** Connections come in while the only worker is held up and the process is told to stop; then the worker goes on. The answers' statuses. */
async function drainWhileHeldUp(serin: Serin, inspectorPort: number, release: string): Promise<number[]> {
  const inspector = await inspect(inspectorPort);
  const listeners = `process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length`;
  for (const worker of inspector.workers) {
    if ((await inspector.ask(worker, listeners)) === 1)
      inspector.evaluate(
        worker,
        `const { existsSync } = process.getBuiltinModule('node:fs'); while (!existsSync(${JSON.stringify(release)}));`,
      );
  }
  await eventually(async () => {
    const client = await connect(serin.proxyPort);
    client.write(request('/probe'));
    return client.answer(100).then(
      () => (client.destroy(), false),
      () => (client.destroy(), true),
    );
  }, 'a worker that does not accept');
  inspector.close();
  const clients = await Promise.all(
    Array.from({ length: 50 }, async (_, number) => {
      const client = await connect(serin.proxyPort);
      client.write(request(`/waiting/${number}`));
      return client;
    }),
  );
  process.kill(serin.pid, 'SIGTERM');
  await eventually(
    () =>
      fetch(`http://127.0.0.1:${serin.opsPort}/readyz`).then(
        ({ status }) => status !== 200,
        () => true,
      ),
    'the beginning of the end',
  );
  await writeFile(release, '');
  const answers = await Promise.all(clients.map(async (client) => client.answer()));
  for (const client of clients) client.destroy();
  return answers.map(({ status }) => status);
}

test('a port is shared with another Serin only where the configuration says so', async () => {
  const first = await start({ delay: '0s', grace: '5s', idle: '100ms' }, { proxy: { sharePort: true } });
  const listen = `127.0.0.1:${first.proxyPort}`;
  await assert.rejects(start({ delay: '0s', grace: '5s' }, { proxy: { listen } }), /EADDRINUSE/);
  const second = await start({ delay: '0s', grace: '5s' }, { proxy: { listen, sharePort: true } });
  process.kill(first.pid, 'SIGTERM');
  assert.equal(await within(first.exit, 'the end of the first'), 0, first.output());
  for (let count = 0; count < 20; count++) {
    assert.equal((await ask(first.proxyPort, request('/second'))).status, 200);
  }
  assert.equal(await second.metric('serin_connections_accepted_total'), 20);
});

test('a stop does not wait for who began a request to the admin API or the ops server and says no more', async () => {
  const serin = await start({ delay: '0s', grace: '5s', idle: '100ms' });
  const clients = await Promise.all([connect(serin.adminPort), connect(serin.opsPort)]);
  for (const client of clients)
    client.write('POST /v1/services HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n');
  assert.equal((await fetch(`http://127.0.0.1:${serin.opsPort}/livez`)).status, 200);
  process.kill(serin.pid, 'SIGTERM');
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
  for (const client of clients) client.destroy();
});
