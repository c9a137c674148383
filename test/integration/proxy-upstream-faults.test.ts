/** Origins that fail: what the client gets for it, and that nothing of it touches the next request. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { startFullListener, type FullListener } from '../support/full-listener.ts';
import { answer, reply, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { value } from '../support/strict-head.ts';

let origin: Origin;
let serin: Serin;
let full: FullListener;

before(async () => {
  origin = await startOrigin('stable');
  full = await startFullListener();
  const timeouts = {
    connect: '300ms',
    responseHead: '500ms',
    responseIdle: '500ms',
    upstreamKeepAlive: '20s',
  };
  const service = (endpoints: readonly string[], name: string) => ({
    hosts: [`${name}.test`],
    stable: { endpoints },
    timeouts,
  });
  serin = await startSerin({
    configuration: { log: { level: 'error' } },
    services: {
      notes: service([origin.endpoint], 'notes'),
      closed: service([`127.0.0.1:${await freePort()}`], 'closed'),
      full: service([full.endpoint], 'full'),
      partly: service([`127.0.0.1:${await freePort()}`, origin.endpoint], 'partly'),
    },
  });
});

after(async () => {
  await serin?.stop();
  await origin?.close();
  await full?.close();
});

/** Status of the answer to a request for the path, and that the connection it came on carried nothing after it. */
async function statusOf(path: string, options: Parameters<typeof request>[1] = {}): Promise<number> {
  const message = await ask(serin.proxyPort, request(path, options));
  const next = await ask(serin.proxyPort, request('/next'));
  assert.match(next.body.toString(), /^stable GET \/next/);
  for (const { connection } of origin.at(path)) {
    assert.equal(connection.requests.at(-1)?.path, path, 'the connection was used again');
  }
  return message.status;
}

const FAULTS: Record<string, (received: Received) => void> = {
  garbage: (received) => reply(received, 'garbage\r\n\r\n'),
  'two-lengths': (received) =>
    reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'),
  'length-and-chunks': (received) =>
    reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  'head-of-1-MB': (received) => reply(received, `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(1_048_576)}\r\n\r\n`),
  'head-without-end': (received) => reply(received, `HTTP/1.1 200 OK\r\n${'X: a\r\n'.repeat(20_000)}`),
  'hundred-interim': (received) => reply(received, 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)),
  'close-in-head': (received) => received.connection.socket.end('HTTP/1.1 200 OK\r\nContent-'),
};

for (const [name, fault] of Object.entries(FAULTS)) {
  test(`${name}: 502`, async () => {
    origin.route(`/${name}`, fault);
    assert.equal(await statusOf(`/${name}`), 502);
    assert.equal(await statusOf(`/${name}`, { method: 'POST', body: 'x' }), 502);
    // An answer has begun, however badly: the request was delivered, and is not delivered again.
    assert.equal(origin.at(`/${name}`).length, 2);
  });
}

test('a close before any answer: 502, and a POST is delivered once', async () => {
  origin.route('/close', (received) => received.connection.socket.end());
  assert.equal(await statusOf('/close', { method: 'POST', body: 'x' }), 502);
  assert.equal(origin.at('/close').length, 1);
  assert.equal(await statusOf('/close'), 502);
});

test('a reset before any answer: 502, and a POST is delivered once', async () => {
  origin.route('/reset', (received) => received.connection.socket.resetAndDestroy());
  assert.equal(await statusOf('/reset', { method: 'POST', body: 'x' }), 502);
  assert.equal(origin.at('/reset').length, 1);
});

test('a close after an interim answer: 502, and the request is not sent again', async () => {
  origin.route('/hinted', (received) => {
    reply(received, 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    received.connection.socket.end();
  });
  assert.equal(await statusOf('/hinted'), 502);
  assert.equal(origin.at('/hinted').length, 1);
});

test('a POST without a body is delivered once as well', async () => {
  origin.route('/bodiless', (received) => received.connection.socket.end());
  for (const headers of [[], ['Content-Length: 0']]) {
    const before = origin.at('/bodiless').length;
    assert.equal(await statusOf('/bodiless', { method: 'POST', headers }), 502);
    assert.equal(origin.at('/bodiless').length, before + 1);
  }
});

test('an origin that never answers: 504, and its request is canceled', async () => {
  origin.route('/never', { end: () => {} });
  assert.equal(await statusOf('/never', { method: 'POST', body: 'x' }), 504);
  assert.equal(origin.at('/never').length, 1);
  await eventually(
    () => origin.at('/never').every(({ connection }) => connection.closed || connection.ended),
    'the end at the origin',
  );
});

test('an origin that drips its head: 504', async () => {
  origin.route('/drip', (received) => {
    const timer = setInterval(() => reply(received, 'X: a\r\n'), 50);
    received.connection.socket.on('close', () => clearInterval(timer));
    reply(received, 'HTTP/1.1 200 OK\r\n');
  });
  assert.equal(await statusOf('/drip', { method: 'POST', body: 'x' }), 504);
});

test('nobody listens: 503 with Retry-After', async () => {
  const message = await ask(serin.proxyPort, request('/', { host: 'closed.test' }));
  assert.equal(message.status, 503);
  assert.ok(value(message, 'retry-after') !== undefined);
});

test('an endpoint that does not accept in time: 504', async () => {
  const message = await ask(serin.proxyPort, request('/', { host: 'full.test', method: 'POST', body: 'x' }));
  assert.equal(message.status, 504);
});

test('one of two endpoints does not listen: nobody notices', async () => {
  for (let count = 0; count < 30; count++) {
    assert.equal(
      (await ask(serin.proxyPort, request(`/partly/${count}`, { host: 'partly.test' }))).status,
      200,
    );
    assert.equal(
      (
        await ask(
          serin.proxyPort,
          request(`/partly/${count}`, { host: 'partly.test', method: 'POST', body: 'x' }),
        )
      ).status,
      200,
    );
  }
});

const TRUNCATED: Record<string, string> = {
  'short-length': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello',
  'chunks-without-end': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
  'bad-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n',
};

for (const [name, bytes] of Object.entries(TRUNCATED)) {
  for (const ending of ['close', 'reset'] as const) {
    test(`${name}, then ${ending}: the client sees that the answer is cut`, async () => {
      const path = `/${name}/${ending}`;
      origin.route(path, (received) => {
        reply(received, bytes);
        if (ending === 'close') received.connection.socket.end();
        if (ending === 'reset') setImmediate(() => received.connection.socket.resetAndDestroy());
      });
      const client = await connect(serin.proxyPort);
      client.write(request(path));
      await within(client.finished, 'the end of the connection');
      const [message] = client.answers;
      // A reset may overtake the bytes before it.
      if (message === undefined) return;
      if (message.status === 200) assert.equal(message.complete, false);
      else assert.equal(message.status, 502);
      client.destroy();
    });
  }
}

test('a reset in the middle of a close-delimited answer is no clean end', async () => {
  origin.route('/cut-close', (received) => {
    reply(received, `HTTP/1.1 200 OK\r\n\r\nhello`);
  });
  const client = await connect(serin.proxyPort);
  client.write(request('/cut-close'));
  await eventually(() => client.answers.length === 1, 'the head');
  (origin.at('/cut-close').at(-1) as Received).connection.socket.resetAndDestroy();
  const how = await within(client.finished, 'the end of the connection');
  assert.ok(how === 'reset' || client.answers[0]?.complete !== true, 'a clean end to a cut answer');
  client.destroy();
});

test('bytes on an idle connection end it, and answer nobody', async () => {
  const first = await ask(serin.proxyPort, request('/rest'));
  assert.equal(first.status, 200);
  const { connection } = origin.at('/rest').at(-1) as Received;
  connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged');
  await eventually(() => connection.closed || connection.ended, 'the end of the connection');
  const next = await ask(serin.proxyPort, request('/rest-next'));
  assert.match(next.body.toString(), /^stable GET \/rest-next/);
});

test('bytes after an answer end the connection, and answer nobody', async () => {
  origin.route('/more', (received) => {
    answer(received, { body: 'mine' });
    reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged');
  });
  for (let count = 0; count < 20; count++) {
    assert.equal((await ask(serin.proxyPort, request('/more'))).body.toString(), 'mine');
    assert.match(
      (await ask(serin.proxyPort, request('/more-next'))).body.toString(),
      /^stable GET \/more-next/,
    );
  }
});

test('connections that the origin closes while they rest: no request fails, no POST arrives twice', async () => {
  let sent = 0;
  for (let round = 0; round < 40; round++) {
    // The origin closes at the very time at which the next request comes.
    for (const connection of origin.connections) if (!connection.closed) connection.socket.end();
    const id = `/stale/${round}`;
    const message = await ask(serin.proxyPort, request(id, { method: 'POST', body: id }));
    sent += 1;
    assert.ok(message.status === 200 || message.status === 502, String(message.status));
    assert.ok(origin.at(id).length <= 1, `${id} was delivered ${origin.at(id).length} times`);
  }
  assert.equal(sent, 40);
});

test('a GET on a connection that the origin has just reset is sent again', async () => {
  origin.route('/warm', (received) => {
    answer(received, { body: 'warm' });
  });
  for (let round = 0; round < 20; round++) {
    await ask(serin.proxyPort, request('/warm'));
    const { connection } = origin.at('/warm').at(-1) as Received;
    // Closed as soon as the next request is there: the proxy has sent it and hears nothing.
    connection.socket.prependOnceListener('data', () => connection.socket.resetAndDestroy());
    const message = await ask(serin.proxyPort, request(`/again/${round}`));
    assert.equal(message.status, 200);
    assert.match(message.body.toString(), new RegExp(`^stable GET /again/${round} `));
  }
});

test('a POST on a connection that the origin resets is not sent again', async () => {
  for (let round = 0; round < 20; round++) {
    await ask(serin.proxyPort, request('/warm'));
    const { connection } = origin.at('/warm').at(-1) as Received;
    connection.socket.prependOnceListener('data', () => connection.socket.resetAndDestroy());
    const id = `/once/${round}`;
    const body = round % 2 === 0 ? { body: 'x' } : {};
    const message = await ask(serin.proxyPort, request(id, { method: 'POST', ...body }));
    assert.equal(message.status, 502);
    assert.ok(origin.at(id).length <= 1);
  }
});

/** Of each fault: where it happens, the outcome that is counted, and the reasons that the log gives. */
const REASONS: Record<
  string,
  {
    endpoint?: () => string | Promise<string>;
    fault?: (received: Received) => void;
    /** The time that runs out; what is not about time must not be late on a busy machine. */
    timeouts?: object;
    outcome: string;
    logged: string[];
  }
> = {
  garbage: { fault: FAULTS['garbage']!, outcome: 'bad_response', logged: ['bad_version', 'bad_response'] },
  'two lengths': {
    fault: FAULTS['two-lengths']!,
    outcome: 'bad_response',
    logged: ['duplicate_length', 'bad_response'],
  },
  'a head of 1 MB': {
    fault: FAULTS['head-of-1-MB']!,
    outcome: 'bad_response',
    logged: ['head_too_large', 'response_head_too_large'],
  },
  'a hundred interim answers': {
    fault: FAULTS['hundred-interim']!,
    outcome: 'bad_response',
    logged: ['unexpected_interim', 'bad_response'],
  },
  'an early close': { fault: FAULTS['close-in-head']!, outcome: 'reset', logged: ['upstream_reset'] },
  'a reset': {
    fault: (received) => received.connection.socket.resetAndDestroy(),
    outcome: 'reset',
    logged: ['upstream_reset'],
  },
  'no answer': {
    fault: () => {},
    timeouts: { responseHead: '300ms' },
    outcome: 'response_timeout',
    logged: ['response_timeout'],
  },
  'nobody listens': {
    endpoint: async () => `127.0.0.1:${await freePort()}`,
    outcome: 'connect_failed',
    logged: ['ECONNREFUSED', 'connect_failed'],
  },
  'nobody accepts in time': {
    endpoint: () => full.endpoint,
    timeouts: { connect: '300ms' },
    outcome: 'connect_timeout',
    logged: ['timeout', 'connect_timeout'],
  },
};

for (const [
  name,
  { endpoint = () => origin.endpoint, fault, timeouts = {}, outcome, logged },
] of Object.entries(REASONS)) {
  test(`${name}: counted as ${outcome}, logged with its reason`, async () => {
    // Lines of one message are bounded in a second: those of the tests before are not to stand in for these, nor to crowd them out.
    const own = await startSerin({
      configuration: { log: { level: 'warn' } },
      services: {
        one: {
          hosts: ['*'],
          stable: { endpoints: [await endpoint()] },
          timeouts: { connect: '30s', responseHead: '30s', ...timeouts },
          retries: 0,
        },
      },
    });
    try {
      const path = `/reason/${name.replaceAll(' ', '-')}`;
      if (fault !== undefined) origin.route(path, fault);
      await ask(own.proxyPort, request(path, { method: 'POST', body: 'x' }));
      assert.equal(await own.metric('serin_upstream_results_total', { outcome }), 1);
      for (const reason of logged)
        await eventually(() => own.output().includes(`"error.type":"${reason}"`), `a line with ${reason}`);
    } finally {
      await own.stop();
    }
  });
}
