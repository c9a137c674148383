/** What a hop owes the next one: Via with its version, loops that end, Max-Forwards, Date, targets and hosts that mean the same. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { http2Client } from '../support/http2-pair.ts';
import { reply, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import type { Message } from '../support/strict-reader.ts';
import { value, values } from '../support/strict-head.ts';

let origin: Origin;
let serin: Serin;
let other: Serin;
let port: number;

const code = (message: Message): string => (JSON.parse(message.body.toString()) as { code: string }).code;

before(async () => {
  origin = await startOrigin('stable');
  port = await freePort();
  const self = `127.0.0.1:${port}`;
  serin = await startSerin({
    configuration: { log: { level: 'error' }, proxy: { listen: self } },
    services: {
      notes: { hosts: ['notes.test'], stable: { endpoints: [origin.endpoint] } },
      round: { hosts: ['round.test'], stable: { endpoints: [self] } },
      h2round: { hosts: ['h2round.test'], stable: { protocol: 'h2c', endpoints: [self] } },
      checked: {
        hosts: ['checked.test'],
        stable: { endpoints: [self], healthCheck: { path: '/', interval: '200ms' } },
      },
      mirrored: {
        hosts: ['mirrored.test'],
        stable: { endpoints: [origin.endpoint] },
        canary: { endpoints: [self] },
        mirror: { percentage: 100 },
      },
    },
  });
  // Another installation in front of it: another key ring.
  other = await startSerin({
    configuration: { log: { level: 'error' } },
    services: { notes: { hosts: ['*'], stable: { endpoints: [self] } } },
  });
});

after(async () => {
  await other?.stop();
  await serin?.stop();
  await origin?.close();
});

const loops = (): Promise<number> =>
  serin.metric('serin_rejected_requests_total', { reason: 'loop_detected' });
const requests = (service: string): Promise<number> => serin.metric('serin_requests_total', { service });

describe('loops', () => {
  test('an endpoint that leads back here: 508 after a few rounds, over both versions', async () => {
    for (const service of ['round', 'h2round']) {
      const before = [await loops(), await requests(service)];
      const message = await ask(port, request('/', { host: `${service}.test` }));
      assert.deepEqual([message.status, code(message)], [508, 'loop_detected']);
      const rounds = (await requests(service)) - before[1]!;
      assert.ok(rounds >= 1 && rounds <= 4, `${rounds} rounds for ${service}`);
      assert.equal((await loops()) - before[0]!, 1);
    }
  });

  test('a client of HTTP/2 that sends it round gets 508', async () => {
    const client = await http2Client(port);
    const { status } = await client.ask({ headers: { ':path': '/', ':authority': 'round.test' } });
    client.close();
    assert.equal(status, 508);
  });

  test('a mirrored request that comes round ends too, and the user notices nothing', async () => {
    const { status } = await ask(port, request('/', { host: 'mirrored.test' }));
    assert.equal(status, 200);
    // Each round is answered by the origin and may be mirrored again: after a few there are no more.
    const seen = (): number =>
      origin.requests.filter(({ message }) => value(message, 'host') === 'mirrored.test').length;
    let last = -1;
    await eventually(async () => {
      const now = seen();
      const still = now === last;
      last = now;
      await serin.metrics();
      return still && now > 0;
    }, 'no more rounds');
    assert.ok(seen() > 1 && seen() <= 8, `${seen()} requests for one`);
  });

  test('two installations one behind the other are no loop', async () => {
    const { status } = await ask(other.proxyPort, request('/chained'));
    assert.equal(status, 200);
    const via = value(origin.at('/chained')[0]!.message, 'via') ?? '';
    const [first, second, ...more] = via.split(', ');
    assert.match(first ?? '', /^1\.1 serin-[0-9a-f]{8}$/);
    assert.match(second ?? '', /^1\.1 serin-[0-9a-f]{8}$/);
    assert.notEqual(first, second);
    assert.deepEqual(more, []);
  });

  test('names that only look like ours are nobody', async () => {
    await ask(port, request('/own-name'));
    const own = (value(origin.at('/own-name')[0]!.message, 'via') ?? '').split(' ')[1]!;
    const many = (name: string): string => Array.from({ length: 9 }, () => `1.1 ${name}`).join(', ');
    for (const [via, status] of [
      [many(`${own}x`), 200],
      [many(`x${own}`), 200],
      [many('serin'), 200],
      [`1.1 ${own}, 1.1 ${own}`, 200],
      [many(own), 508],
      [`1.1 ${own.toUpperCase()}\r\nVia: 2.0 ${own} (a comment),1.0 ${own}`, 508],
    ] as const) {
      assert.equal((await ask(port, request('/', { headers: [`Via: ${via}`] }))).status, status, via);
    }
  });
});

test('Via names the version that was received', async () => {
  await ask(port, 'GET /version/1.0 HTTP/1.0\r\nHost: notes.test\r\n\r\n');
  await ask(port, request('/version/1.1'));
  const client = await http2Client(port);
  await client.ask({ headers: { ':path': '/version/2.0', ':authority': 'notes.test' } });
  client.close();
  for (const version of ['1.0', '1.1', '2.0']) {
    const { message } = origin.at(`/version/${version}`)[0] as Received;
    assert.ok(value(message, 'via')?.startsWith(`${version} serin-`), value(message, 'via'));
  }
});

describe('Max-Forwards', () => {
  const send = (method: string, target: string, limit: string): Promise<Message> =>
    ask(port, request(target, { method, headers: [`Max-Forwards: ${limit}`] }), {
      methods: [method],
    });

  test('0: OPTIONS and TRACE end here', async () => {
    assert.equal((await send('OPTIONS', '/ends', '0')).status, 204);
    const trace = await send('TRACE', '/ends', '0');
    assert.deepEqual([trace.status, code(trace)], [501, 'trace_ends_here']);
    assert.equal((await send('OPTIONS', '*', '0')).status, 204);
    assert.equal(origin.at('/ends').length, 0);
  });

  test('more: one less is sent on, once', async () => {
    for (const method of ['OPTIONS', 'TRACE']) {
      await send(method, `/less/${method}`, '7');
      const [received] = origin.at(`/less/${method}`) as [Received];
      assert.deepEqual(values(received.message.fields, 'max-forwards'), ['6']);
    }
  });

  test('other methods take no notice', async () => {
    await send('GET', '/unnoticed', '0');
    assert.equal(value(origin.at('/unnoticed')[0]!.message, 'max-forwards'), '0');
  });

  test('no number: refused', async () => {
    for (const limit of ['-1', 'x', '1, 2', '1234567890', '']) {
      const message = await send('OPTIONS', '/no-number', limit);
      assert.deepEqual([message.status, code(message)], [400, 'bad_max_forwards'], limit);
    }
    assert.equal(origin.at('/no-number').length, 0);
  });
});

describe('Date', () => {
  const DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

  test('an answer without one gets one, an answer with one keeps it', async () => {
    origin.route('/undated', (received) => reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    origin.route('/dated', (received) =>
      reply(received, 'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n'),
    );
    const before = Math.floor(Date.now() / 1000) * 1000 - 2000;
    const undated = value(await ask(port, request('/undated')), 'date') ?? '';
    assert.match(undated, DATE);
    assert.ok(Date.parse(undated) >= before && Date.parse(undated) <= Date.now() + 1000, undated);
    const dated = await ask(port, request('/dated'));
    assert.deepEqual(values(dated.fields, 'date'), ['Thu, 01 Jan 1970 00:00:00 GMT']);
    const client = await http2Client(port);
    const { headers } = await client.ask({ headers: { ':path': '/undated', ':authority': 'notes.test' } });
    client.close();
    assert.match(String(headers['date']), DATE);
    // One that is for this hop alone is none for the client.
    origin.route('/nominated', (received) =>
      reply(
        received,
        'HTTP/1.1 200 OK\r\nConnection: date\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n',
      ),
    );
    const dates = values((await ask(port, request('/nominated'))).fields, 'date');
    assert.equal(dates.length, 1);
    assert.ok(Date.parse(dates[0]!) >= before, dates[0]);
  });

  test('our own answers have one', async () => {
    for (const text of [
      request('/', { host: 'nobody.test' }),
      'GET / HTTP/1.1\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      request('/', { method: 'OPTIONS', headers: ['Max-Forwards: 0'] }),
    ]) {
      assert.match(value(await ask(port, text), 'date') ?? '', DATE, text);
    }
  });

  test('it goes on with the time', async () => {
    const first = value(await ask(port, request('/', { host: 'nobody.test' })), 'date');
    await eventually(
      async () => value(await ask(port, request('/', { host: 'nobody.test' })), 'date') !== first,
      'another second',
    );
  });
});

describe('targets and hosts', () => {
  test('an empty port, and the default port of the scheme, go without saying', async () => {
    for (const [target, host] of [
      ['/', 'notes.test:'],
      ['http://notes.test:80/', 'notes.test'],
      ['http://notes.test/', 'notes.test:80'],
      ['http://notes.test:/', 'NOTES.test:0080'],
      ['https://notes.test:443/', 'notes.test:'],
    ] as const) {
      assert.equal((await ask(port, request(target, { host }))).status, 200, `${target} for ${host}`);
    }
    for (const [target, host] of [
      ['http://notes.test:81/', 'notes.test'],
      ['https://notes.test:80/', 'notes.test'],
      ['http://notes.test:80/', 'other.test'],
      ['http://notes.test/', ':'],
    ] as const) {
      assert.equal((await ask(port, request(target, { host }))).status, 400, `${target} for ${host}`);
    }
  });

  test('OPTIONS without a path is about the server', async () => {
    const seen = origin.at('*').length;
    await ask(port, request('http://notes.test', { method: 'OPTIONS' }));
    assert.match(origin.at('*')[seen]?.message.text ?? '', /^OPTIONS \* HTTP\/1\.1\r\n/);
    await ask(port, request('http://notes.test/', { method: 'OPTIONS' }));
    assert.match(origin.requests.at(-1)?.message.text ?? '', /^OPTIONS \/ HTTP\/1\.1\r\n/);
    await ask(port, request('http://notes.test?', { method: 'OPTIONS' }));
    assert.match(origin.requests.at(-1)?.message.text ?? '', /^OPTIONS \/\? HTTP\/1\.1\r\n/);
  });

  test('registered methods pass', async () => {
    for (const method of ['VERSION-CONTROL', 'UPDATEREDIRECTREF', 'QUERY', 'LABEL', 'ORDERPATCH']) {
      assert.equal((await ask(port, request(`/${method}`, { method }))).status, 200, method);
    }
  });
});

test('a head that is too large for us says so', async () => {
  origin.route('/large-head', (received) =>
    reply(received, `HTTP/1.1 200 OK\r\nX-Large: ${'x'.repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`),
  );
  origin.route('/many-fields', (received) =>
    reply(received, `HTTP/1.1 200 OK\r\n${'X-Many: x\r\n'.repeat(500)}Content-Length: 0\r\n\r\n`),
  );
  for (const path of ['/large-head', '/many-fields']) {
    const client = await connect(port);
    client.write(request(path));
    const message = await client.answer();
    assert.deepEqual([message.status, code(message)], [502, 'response_head_too_large'], path);
    client.destroy();
  }
});
