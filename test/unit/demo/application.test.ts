import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApplication, type RunningApplication } from '../../../src/demo/application.ts';

const identity = { variant: 'canary', version: '1.5.0', endpoint: 'canary-1' } as const;

async function withApplication(
  use: (origin: string, running: RunningApplication) => Promise<void>,
): Promise<void> {
  const running = await startApplication(identity);
  try {
    await use(`http://127.0.0.1:${running.port}`, running);
  } finally {
    await running.close();
  }
}

test('every answer names variant, version, endpoint and path', () =>
  withApplication(async (origin) => {
    const answer = await fetch(`${origin}/some/path?query`);
    assert.deepEqual(await answer.json(), { ...identity, method: 'GET', path: '/some/path' });
  }));

test('/headers shows the fields as they arrived', () =>
  withApplication(async (origin) => {
    const answer = await fetch(`${origin}/headers`, { headers: { 'x-canary': 'canary' } });
    const body = (await answer.json()) as { headers: Record<string, string> };
    assert.equal(body.headers['x-canary'], 'canary');
  }));

test('a browser gets a page', () =>
  withApplication(async (origin) => {
    const answer = await fetch(origin, { headers: { accept: 'text/html,*/*' } });
    assert.match(answer.headers.get('content-type') ?? '', /text\/html/);
    assert.match(await answer.text(), /<h1>canary<\/h1>/);
  }));

test('/echo gives a body back, /status/{code} answers with the status', () =>
  withApplication(async (origin) => {
    const echo = await fetch(`${origin}/echo`, { method: 'POST', body: 'x'.repeat(100_000) });
    assert.equal((await echo.text()).length, 100_000);
    assert.equal((await fetch(`${origin}/status/503`)).status, 503);
  }));

test('/events sends a first event at once', () =>
  withApplication(async (origin) => {
    const abort = new AbortController();
    const answer = await fetch(`${origin}/events`, { signal: abort.signal });
    const first = await answer.body!.getReader().read();
    assert.match(Buffer.from(first.value).toString(), /^id: 1\ndata: \{"variant":"canary"/);
    abort.abort();
  }));

test('a WebSocket on /echo gets its messages back, short and long', () =>
  withApplication(async (origin) => {
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/echo`);
    await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
    for (const text of ['hello', 'x'.repeat(5_000)]) {
      const answered = new Promise<unknown>((resolve) =>
        socket.addEventListener('message', (event) => resolve(event.data), { once: true }),
      );
      socket.send(text);
      assert.equal(await answered, `canary: ${text}`);
    }
    const closed = new Promise<number>((resolve) =>
      socket.addEventListener('close', (event) => resolve(event.code), { once: true }),
    );
    socket.close(1000);
    assert.equal(await closed, 1000);
  }));

test('an upgrade that is no WebSocket handshake is refused', () =>
  withApplication(async (origin) => {
    const { connect } = await import('node:net');
    const socket = connect(Number(new URL(origin).port), '127.0.0.1');
    socket.write('GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n');
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    assert.match(answer, /^HTTP\/1\.1 400 /);
  }));
