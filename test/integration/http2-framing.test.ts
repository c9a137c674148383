/** What frames a message between HTTP/2 and HTTP/1.1: one decision, and nothing of a message is lost or becomes another one. */
import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import type { Http2Client, Http2Origin } from '../support/http2-pair.ts';
import { answer, type Origin } from '../support/origin.ts';
import { ask, connect } from '../support/raw-client.ts';
import { head, startHttp2Serin, type Http2Serin } from '../support/http2-serin.ts';
import type { Serin } from '../support/serin.ts';

let h1: Origin;
let h2: Http2Origin;
let serin: Serin;
let client: Http2Client;
let all: Http2Serin | undefined;

before(async () => {
  all = await startHttp2Serin();
  ({ h1, h2, serin, client } = all);
});

after(() => all?.stop());

/** Answers when the request is whole: its body, with a length, and its trailers as its own. */
const echoWithLength = (stream: ServerHttp2Stream): void => {
  const pieces: Buffer[] = [];
  let trailers: object = {};
  stream.on('trailers', (sent: object) => (trailers = sent));
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  stream.on('end', () => {
    const body = Buffer.concat(pieces);
    stream.respond({ ':status': 200, 'content-length': String(body.length) }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ ...trailers, 'grpc-status': '0' }));
    stream.end(body);
  });
};

describe('a request', () => {
  const second = '0\r\n\r\nGET /admin HTTP/1.1\r\nHost: one.test\r\nX-User-Id: root\r\n\r\n';
  const words: Record<string, string> = {
    'x-a': 'content-length',
    'x-b': 'transfer-encoding',
    'x-c': ':method',
    'x-d': 'chunked',
    'x-e': 'te',
    cookie: 'content-length',
  };
  for (const [name, value] of Object.entries(words)) {
    test(`with the value "${value}" in ${name} and another request in its body is one request`, async () => {
      const path = `/value-${name}`;
      const headers = head(path, 'one.test', { ':method': 'POST', [name]: value });
      const result = await client.ask({ headers, body: second });
      assert.equal(result.status, 200);
      const [received, ...more] = h1.at(path);
      assert.equal(more.length, 0);
      assert.equal(received?.message.body.toString('latin1'), second);
      assert.deepEqual(
        received?.message.fields.filter(([key]) => key === name).map(([, text]) => text),
        [value],
      );
      assert.deepEqual([h1.at('/admin').length, h1.faults], [0, []]);
    });
  }

  test('whose data does not have the length that it declares, is cut', async () => {
    for (const [length, body] of [
      [5, '12345GET /admin HTTP/1.1\r\nHost: one.test\r\n\r\n'],
      [50, 'too short'],
    ] as const) {
      for (const host of ['one.test', 'two.test']) {
        const headers = head('/length', host, { ':method': 'POST', 'content-length': String(length) });
        const result = await client.ask({ headers, body });
        assert.notEqual(result.rstCode, 0, `${length} to ${host}`);
      }
    }
    assert.equal(h1.at('/admin').length, 0);
  });

  test('with a length and trailers keeps both to an endpoint of HTTP/2', async () => {
    h2.route('/both', echoWithLength);
    for (const body of ['hello', '']) {
      const headers = head('/both', 'two.test', {
        ':method': 'POST',
        'content-length': String(body.length),
        te: 'trailers',
      });
      const result = await client.ask({ headers, body, trailers: { 'x-sum': '1' } });
      const [received] = h2.at('/both').slice(-1);
      assert.equal(received?.['content-length'], String(body.length));
      assert.deepEqual([result.status, result.body.toString(), result.rstCode], [200, body, 0]);
      assert.equal(result.trailers?.['x-sum'], '1', `trailers after ${body.length} bytes`);
    }
  });

  test('with a length whose trailers come late, and one that is answered before them', async () => {
    h2.route('/late', echoWithLength);
    const headers = head('/late', 'two.test', { ':method': 'POST', 'content-length': '2' });
    const stream = client.session.request(headers, { waitForTrailers: true });
    stream.write('ab');
    const answered = new Promise<unknown>((resolve) => {
      stream.on('trailers', resolve);
    });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-late': 'yes' }));
    stream.resume();
    await client.ask({ headers: head('/between') });
    stream.end();
    assert.equal(((await answered) as Record<string, unknown>)['x-late'], 'yes');

    h2.route('/early', (early) => {
      early.respond({ ':status': 200 });
      early.end('early');
    });
    const early = head('/early', 'two.test', { ':method': 'POST', 'content-length': '2' });
    for (let time = 0; time < 3; time += 1) {
      const open = client.session.request(early, { waitForTrailers: true });
      open.write('ab');
      open.on('error', () => {
        // 'close' follows.
      });
      open.resume();
      await new Promise((resolve) => open.once('close', resolve));
      assert.equal(open.rstCode, 0);
      assert.equal((await client.ask({ headers: head('/between') })).status, 200);
    }
  });
});

describe('an answer of an endpoint of HTTP/2 with a length and trailers', () => {
  const answerBoth = (stream: ServerHttp2Stream): void => {
    stream.respond(
      { ':status': 200, 'content-type': 'text/plain', 'content-length': '5' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '7', 'grpc-message': 'no' }));
    stream.end('hello');
  };

  test('keeps both to a client of HTTP/2', async () => {
    h2.route('/status', answerBoth);
    const result = await client.ask({ headers: head('/status') });
    assert.deepEqual([result.status, result.body.toString()], [200, 'hello']);
    assert.equal(result.headers['content-length'], '5');
    assert.deepEqual([result.trailers?.['grpc-status'], result.trailers?.['grpc-message']], ['7', 'no']);
  });

  test('keeps the trailers to a client of HTTP/1.1 that wants them, else the length', async () => {
    h2.route('/status', answerBoth);
    const wanting = await connect(serin.proxyPort);
    wanting.write('GET /status HTTP/1.1\r\nHost: two.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n');
    const message = await wanting.answer();
    assert.equal(message.body.toString(), 'hello');
    assert.deepEqual(Object.fromEntries(message.trailers), { 'grpc-status': '7', 'grpc-message': 'no' });
    wanting.destroy();
    const plain = await ask(serin.proxyPort, 'GET /status HTTP/1.1\r\nHost: two.test\r\n\r\n');
    assert.equal(plain.body.toString(), 'hello');
    assert.equal(plain.fields.find(([name]) => name.toLowerCase() === 'content-length')?.[1], '5');
    assert.deepEqual(plain.trailers, []);
  });
});

describe('odd but legal answers', () => {
  test('205 has no content over HTTP/2, whatever its endpoint sends', async () => {
    h1.route('/reset-content', (request) =>
      answer(request, { status: 205, body: 'content that no 205 has' }),
    );
    h1.route('/reset-chunks', (request) => answer(request, { status: 205, chunks: ['content', 'more'] }));
    h1.route('/reset-empty', (request) => answer(request, { status: 205 }));
    h2.route('/reset-content', (stream) => {
      stream.respond({ ':status': 205 });
      stream.end();
    });
    for (const [path, host] of [
      ['/reset-content', 'one.test'],
      ['/reset-chunks', 'one.test'],
      ['/reset-empty', 'one.test'],
      ['/reset-content', 'two.test'],
    ] as const) {
      const result = await client.ask({ headers: head(path, host) });
      assert.deepEqual(
        [result.status, result.body.toString(), result.rstCode, result.ended],
        [205, '', 0, true],
        `${path} of ${host}`,
      );
      assert.equal((await client.ask({ headers: head('/next', host) })).status, 200);
    }
  });

  test('HEAD and 304 with lengths, 204, trailers after nothing, a length of 0, interim answers', async () => {
    h2.route('/length', (stream) => {
      stream.respond({ ':status': 200, 'content-length': '77' }, { endStream: true });
    });
    h2.route('/304', (stream) => {
      stream.respond({ ':status': 304, 'content-length': '77', etag: '"a"' }, { endStream: true });
    });
    h2.route('/204', (stream) => stream.respond({ ':status': 204 }, { endStream: true }));
    h2.route('/zero', (stream) => {
      stream.respond({ ':status': 200, 'content-length': '0' }, { endStream: true });
    });
    h2.route('/tail', (stream) => {
      stream.respond({ ':status': 200, 'content-length': '0' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-tail': 'yes' }));
      stream.end();
    });
    h2.route('/hints', (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.additionalHeaders({ ':status': 100 });
      stream.respond({ ':status': 200, 'content-length': '2' });
      stream.end('ok');
    });
    const got = async (path: string, method = 'GET', te: object = {}) => {
      const result = await client.ask({ headers: head(path, 'two.test', { ':method': method, ...te }) });
      const { status, body, rstCode, headers, trailers, interim } = result;
      assert.equal(rstCode, 0, path);
      return { status, body: body.toString(), length: headers['content-length'], trailers, interim };
    };
    const none = { trailers: null, interim: [] };
    assert.deepEqual(await got('/length', 'HEAD'), { status: 200, body: '', length: '77', ...none });
    assert.deepEqual(await got('/304'), { status: 304, body: '', length: '77', ...none });
    assert.deepEqual(await got('/204'), { status: 204, body: '', length: undefined, ...none });
    assert.deepEqual(await got('/zero'), { status: 200, body: '', length: '0', ...none });
    assert.deepEqual(await got('/hints'), {
      status: 200,
      body: 'ok',
      length: '2',
      trailers: null,
      interim: [103, 100],
    });
    const tail = await got('/tail', 'GET', { te: 'trailers' });
    assert.deepEqual([tail.status, tail.length, tail.trailers?.['x-tail']], [200, '0', 'yes']);
  });
});

describe('what is sent piece by piece arrives so', () => {
  const EVENTS = ['data: one\n\n', 'data: two\n\n', 'data: three\n\n'];

  test('events of both kinds of endpoints to both kinds of clients: none waits for the next one', async () => {
    let send: ((text: string) => void) | null = null;
    h1.route('/events', ({ connection: { socket } }) => {
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
      );
      send = (text) => void socket.write(`${text.length.toString(16)}\r\n${text}\r\n`);
    });
    h2.route('/events', (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
      send = (text) => void stream.write(text);
    });
    for (const host of ['one.test', 'two.test']) {
      let came = '';
      const stream = client.open({ headers: head('/events', host) });
      stream.on('data', (piece: Buffer) => (came += piece.toString()));
      await lockstep(host, () => came);
      stream.close();
      const raw = await connect(serin.proxyPort);
      raw.write(`GET /events HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await lockstep(host, () => raw.raw().toString());
      raw.destroy();
    }

    /** Each event is sent when the one before it has come. */
    async function lockstep(host: string, came: () => string): Promise<void> {
      const write = await eventually(() => send, `the request to ${host}`);
      send = null;
      for (const event of EVENTS) {
        write(event);
        await eventually(() => came().includes(event), `${event} of ${host}`);
      }
    }
  });

  test('a body to both kinds of endpoints', async () => {
    let came = '';
    h1.route('/upload', { data: (_request, bytes) => void (came += bytes.toString()) });
    h2.route('/upload', (stream) => {
      stream.on('data', (bytes: Buffer) => (came += bytes.toString()));
    });
    for (const host of ['one.test', 'two.test']) {
      came = '';
      const stream = client.open({ headers: head('/upload', host, { ':method': 'POST' }), keepOpen: true });
      for (const event of EVENTS) {
        stream.write(event);
        await eventually(() => came.includes(event), `${event} at ${host}`);
      }
      stream.close();
    }
  });
});
