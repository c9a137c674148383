/** Refused requests: the right status, a closed connection, and a count by reason. The corpus has many more of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { startPair } from '../support/pair.ts';
import { connect, request } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';

const pair = startPair({
  configuration: { proxy: { limits: { connections: 40, requestLine: 1000, head: 4000, fields: 20 } } },
});

const HOST = 'Host: a\r\n';
const BAD: readonly (readonly [what: string, bytes: string, status: number, reason: string])[] = [
  ['a bad method', `G@T / HTTP/1.1\r\n${HOST}\r\n`, 400, 'bad_method'],
  ['a bad target', `GET /\x7f HTTP/1.1\r\n${HOST}\r\n`, 400, 'bad_target'],
  ['another version', `GET / HTTP/2.0\r\n${HOST}\r\n`, 505, 'unsupported_version'],
  ['a bad version', `GET / HTTQ/1.1\r\n${HOST}\r\n`, 400, 'bad_version'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'missing_host'],
  ['two Hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400, 'duplicate_host'],
  [
    'length and coding',
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    'length_and_coding',
  ],
  ['an unknown coding', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip\r\n\r\n`, 501, 'unknown_coding'],
  ['a folded field', `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`, 400, 'obs_fold'],
  ['a bare LF', `GET / HTTP/1.1\nHost: a\n\n`, 400, 'bare_lf'],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 400, 'connect'],
  ['a long request line', `GET /${'a'.repeat(1000)} HTTP/1.1\r\n${HOST}\r\n`, 431, 'request_line_too_long'],
  ['a large head', `GET / HTTP/1.1\r\n${HOST}X: ${'a'.repeat(5000)}\r\n\r\n`, 431, 'head_too_large'],
  ['too many fields', `GET / HTTP/1.1\r\n${HOST}${'X: a\r\n'.repeat(30)}\r\n`, 431, 'too_many_fields'],
];

for (const [what, bytes, status, reason] of BAD) {
  test(`${what}: ${status}, and the count of ${reason}`, async () => {
    const before = await pair.serin.metric('serin_rejected_requests_total', { reason });
    const received = pair.origin.requests.length;
    const client = await connect(pair.port);
    // A second request behind it must not be served: where the first one ends is not known.
    client.write(bytes + request('/behind'));
    const message = await client.answer();
    assert.equal(message.status, status);
    assert.equal(value(message, 'connection'), 'close');
    assert.equal(value(message, 'content-type'), 'application/problem+json');
    assert.equal((JSON.parse(message.body.toString()) as { code: string }).code, reason);
    assert.equal(await within(client.finished, 'the end of the connection'), 'end');
    assert.equal(client.answers.length, 1);
    client.destroy();
    assert.equal(pair.origin.requests.length, received);
    await eventually(
      async () => (await pair.serin.metric('serin_rejected_requests_total', { reason })) === before + 1,
      `the count of ${reason}`,
    );
  });
}

test('a bad chunk: the origin never sees a whole request, and the count says why', async () => {
  const before = await pair.serin.metric('serin_rejected_requests_total', { reason: 'chunk_size' });
  const client = await connect(pair.port);
  client.write(`POST /chunk HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n`);
  assert.equal((await client.answer()).status, 400);
  await within(client.finished, 'the end of the connection');
  client.destroy();
  await eventually(
    () => pair.origin.at('/chunk').every(({ connection }) => connection.closed || connection.ended),
    'the end at the origin',
  );
  assert.ok(pair.origin.at('/chunk').every(({ message }) => !message.complete));
  await eventually(
    async () =>
      (await pair.serin.metric('serin_rejected_requests_total', { reason: 'chunk_size' })) === before + 1,
    'the count',
  );
});

test('more connections than allowed: 503 at once, and room again when others leave', async () => {
  const clients = await Promise.all(Array.from({ length: 40 }, () => connect(pair.port)));
  await Promise.all(
    clients.map(async (client) => {
      client.write(request('/in'));
      assert.equal((await client.answer()).status, 200);
    }),
  );
  const extra = await connect(pair.port);
  const message = await extra.answer();
  assert.equal(message.status, 503);
  assert.equal(value(message, 'connection'), 'close');
  assert.ok(value(message, 'retry-after') !== undefined);
  extra.destroy();
  for (const client of clients) client.destroy();
  await eventually(async () => {
    const later = await connect(pair.port);
    later.write(request('/later'));
    const status = await later.answer().then(
      (answer) => answer.status,
      () => 0,
    );
    later.destroy();
    return status === 200;
  }, 'room for one more');
});
