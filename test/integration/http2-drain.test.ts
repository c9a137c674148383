/** The end of sessions of HTTP/2: a GOAWAY, and nothing that was under way is lost; and of streams after a rollback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { eventually, within } from '../support/bounded.ts';
import { grpcClient, startGrpcServer, type GrpcServer } from '../support/grpc.ts';
import { END_HEADERS, END_STREAM, FRAME, frame, frameClient, headBlock } from '../support/http2-frames.ts';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let origin: Origin;
let stable: GrpcServer;
let canary: GrpcServer;
let serin: Serin;

before(async () => {
  origin = await startOrigin('stable');
  stable = await startGrpcServer('stable');
  canary = await startGrpcServer('canary');
  serin = await startSerin({
    configuration: {
      proxy: { drain: { delay: '100ms', grace: '10s', idle: '100ms' } },
      log: { level: 'error' },
    },
    services: {
      notes: { hosts: ['notes.test'], stable: { endpoints: [origin.endpoint] } },
      talk: {
        hosts: ['talk.test'],
        stable: { protocol: 'h2c', endpoints: [stable.endpoint] },
        canary: { protocol: 'h2c', endpoints: [canary.endpoint] },
        rollback: { streamGrace: '500ms' },
      },
    },
  });
});

after(async () => {
  stable?.close();
  canary?.close();
  await serin?.stop();
  await origin?.close();
});

const head = (stream: number, path: string): Buffer => {
  const fields = [':method', 'GET', ':scheme', 'http', ':authority', 'notes.test', ':path', path];
  return frame(FRAME.headers, END_STREAM | END_HEADERS, stream, headBlock(fields));
};

test('after a rollback streams on the canary go on for the grace, then they end as failed', async () => {
  await putRollout(serin, 'talk', { rules: [{ name: 'everyone', percentage: 100 }] });
  const client = grpcClient(serin.proxyPort, 'talk.test');
  const call = client.chat();
  const failed = once(call, 'error') as Promise<[ServiceError]>;
  call.write('before');
  const heard: string[] = [];
  call.on('data', (value: string) => heard.push(value));
  await eventually(() => heard.length === 1, 'an answer');
  await act(serin, 'talk', 'rollback');
  call.write('after');
  await eventually(() => heard.length === 2, 'an answer during the grace');
  assert.deepEqual(heard, ['canary heard before', 'canary heard after']);
  const [error] = await within(failed, 'the end of the stream');
  assert.equal(error.code, status.INTERNAL);
  assert.equal((await client.ask('say', 'hello')).value, 'stable heard hello');
  client.close();
});

test('the drain: the last stream is named, what crosses that is left unread, and all under way finish', async () => {
  let held: Received | null = null;
  origin.route('/long', (received) => (held = received));
  const client = await frameClient(serin.proxyPort);
  const idle = await frameClient(serin.proxyPort);
  client.write(head(1, '/long'));
  await eventually(() => held, 'the long request');

  process.kill(serin.pid, 'SIGTERM');
  const goaway = await client.frame(({ type }) => type === FRAME.goaway, 'the GOAWAY');
  assert.deepEqual([goaway.payload.readUInt32BE(0), goaway.payload.readUInt32BE(4)], [1, 0]);
  // As if it had been sent before the GOAWAY came; the client knows by its number that it may send it elsewhere.
  client.write(head(3, '/crossing'));
  await within(idle.closed, 'the end of the idle session');

  answer(held as unknown as Received, { body: 'done' });
  await client.frame(({ type, stream }) => type === FRAME.data && stream === 1, 'the long answer');
  assert.equal(
    client.frames.some(({ type }) => type === FRAME.reset),
    false,
  );
  await within(client.closed, 'the end of the session');
  assert.equal(origin.at('/crossing').length, 0);
  assert.equal(await within(serin.exit, 'the end of the process'), 0, serin.output());
});
