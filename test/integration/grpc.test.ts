/** gRPC through the proxy, with a real client and real servers: every kind of call, its end, and its variant. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { eventually, within } from '../support/bounded.ts';
import { grpcClient, startGrpcServer, type GrpcClient, type GrpcServer } from '../support/grpc.ts';
import { freePort } from '../support/ports.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let stable: GrpcServer;
let canary: GrpcServer;
let serin: Serin;
let client: GrpcClient;

before(async () => {
  stable = await startGrpcServer('stable');
  canary = await startGrpcServer('canary');
  const service = (host: string, more: object = {}) => ({
    hosts: [host],
    identity: [{ header: 'x-user' }, { fingerprint: true }],
    stable: { protocol: 'h2c', endpoints: [stable.endpoint] },
    canary: { protocol: 'h2c', endpoints: [canary.endpoint] },
    ...more,
  });
  serin = await startSerin({
    configuration: { log: { level: 'warn' } },
    services: {
      talk: service('talk.test'),
      moving: service('moving.test'),
      hasty: service('hasty.test', { timeouts: { responseHead: '300ms', requestBodyIdle: '300ms' } }),
      gone: service('gone.test', {
        stable: { protocol: 'h2c', endpoints: [`127.0.0.1:${await freePort()}`] },
        canary: { endpoints: [] },
      }),
    },
  });
  client = grpcClient(serin.proxyPort, 'talk.test');
});

after(async () => {
  client?.close();
  stable?.close();
  canary?.close();
  await serin?.stop();
});

const failed = async (call: Promise<unknown>): Promise<ServiceError> => {
  const error: unknown = await call.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  return error as ServiceError;
};

test('a unary call: message, metadata and trailers', async () => {
  const { value, trailer } = await client.ask('say', 'hello', { metadata: { 'x-user': 'anna' } });
  assert.equal(value, 'stable heard hello');
  assert.deepEqual(trailer.get('x-variant'), ['stable']);
  const sent = stable.metadata?.getMap() ?? {};
  assert.equal(sent['x-user'], 'anna');
  assert.equal(sent['x-canary'], 'stable');
  assert.equal(sent['x-forwarded-host'], 'talk.test');
});

test('a status with a message arrives as it was sent, by trailers alone', async () => {
  const error = await failed(client.ask('fail', 'x'));
  assert.equal(error.code, status.FAILED_PRECONDITION);
  assert.equal(error.details, 'stable says nö: 100 %');
});

async function grpcClientOf<T>(host: string, use: (other: GrpcClient) => Promise<T>): Promise<T> {
  const other = grpcClient(serin.proxyPort, host);
  try {
    return await use(other);
  } finally {
    other.close();
  }
}

test('a server stream of many messages, each once and in order', async () => {
  const call = client.stream('count', '20000');
  let count = 0;
  call.on('data', (value: string) => {
    count += 1;
    assert.equal(value, `stable ${count}`);
  });
  const [end] = (await within(once(call, 'status'), 'the end of the stream')) as [{ code: number }];
  assert.equal(end.code, status.OK);
  assert.equal(count, 20_000);
});

test('a client stream of many messages', async () => {
  const answer = Promise.withResolvers<string>();
  const call = client.gather((error, value) => {
    if (error === null) answer.resolve(value ?? '');
    else answer.reject(error);
  });
  const message = 'x'.repeat(1000);
  for (let count = 0; count < 2000; count += 1) {
    if (!call.write(message)) await once(call, 'drain');
  }
  call.end();
  assert.equal(await within(answer.promise, 'the answer'), 'stable got 2000 of 2000000');
});

test('both directions at once: each message is answered before the next is sent', async () => {
  const call = client.chat();
  for (let turn = 0; turn < 50; turn += 1) {
    call.write(`turn ${turn}`);
    const [heard] = (await within(once(call, 'data'), `the answer to turn ${turn}`)) as [string];
    assert.equal(heard, `stable heard turn ${turn}`);
  }
  call.end();
  const [end] = (await within(once(call, 'status'), 'the end')) as [{ code: number }];
  assert.equal(end.code, status.OK);
});

test('the server ends a call while the client still sends', async () => {
  const call = client.chat('early');
  const ended = once(call, 'error') as Promise<[ServiceError]>;
  call.write('one');
  const [error] = await within(ended, 'the end');
  assert.equal(error.code, status.PERMISSION_DENIED);
  assert.equal(error.details, 'not you');
});

test('a client that cancels is seen by the server, and counted', async () => {
  const before = await serin.metric('serin_http2_resets_total');
  const seen = stable.cancelled.length;
  const started = stable.calls.length;
  let cancel = (): void => {};
  const error = failed(client.ask('wait', 'x', { started: (call) => (cancel = () => call.cancel()) }));
  await eventually(() => stable.calls.length > started, 'the call at the server');
  cancel();
  assert.equal((await error).code, status.CANCELLED);
  await eventually(() => stable.cancelled.length > seen, 'the cancellation at the server');
  assert.equal((await serin.metric('serin_http2_resets_total')) - before, 1);
});

test('a deadline of the client passes to the server, and ends the call at both', async () => {
  const seen = stable.cancelled.length;
  const error = await failed(client.ask('wait', 'x', { deadline: 300 }));
  assert.equal(error.code, status.DEADLINE_EXCEEDED);
  await eventually(() => stable.cancelled.length > seen, 'the cancellation at the server');
});

test('a call may wait longer than other requests: for the client, and for the first message', async () => {
  await grpcClientOf('hasty.test', async (other) => {
    const call = other.chat();
    call.write('first');
    assert.deepEqual(await within(once(call, 'data'), 'an answer'), ['stable heard first']);
    const quiet = other.chat();
    // Three times the time that others get, and a look of the proxy at its clock every 250 ms.
    const error = await failed(other.ask('wait', 'x', { deadline: 1200 }));
    assert.equal(error.code, status.DEADLINE_EXCEEDED);
    quiet.write('late');
    assert.deepEqual(await within(once(quiet, 'data'), 'an answer'), ['stable heard late']);
    call.write('late too');
    assert.deepEqual(await within(once(call, 'data'), 'an answer'), ['stable heard late too']);
    call.end();
    quiet.end();
    await once(quiet, 'end');
  });
});

test('no endpoint and no service are errors that gRPC knows', async () => {
  const unavailable = await grpcClientOf('gone.test', (other) => failed(other.ask('say', 'x')));
  assert.equal(unavailable.code, status.UNAVAILABLE);
  const unknown = await grpcClientOf('nobody.test', (other) => failed(other.ask('say', 'x')));
  assert.equal(unknown.code, status.UNIMPLEMENTED);
});

test('an endpoint that restarts gently: calls go on, and the next ones find it again', async () => {
  const first = await startGrpcServer('first');
  const service = {
    hosts: ['restart.test'],
    stable: { protocol: 'h2c', endpoints: [first.endpoint] },
  };
  assert.equal((await serin.admin('PUT', '/v1/services/restart', service)).status, 202);
  await grpcClientOf('restart.test', async (other) => {
    await eventually(
      () =>
        other.ask('say', 'x').then(
          () => true,
          () => false,
        ),
      'the service',
    );
    const call = other.chat();
    call.write('before');
    assert.deepEqual(await within(once(call, 'data'), 'an answer'), ['first heard before']);
    const drained = first.drain();
    call.write('during');
    assert.deepEqual(await within(once(call, 'data'), 'an answer'), ['first heard during']);
    call.end();
    await within(once(call, 'end'), 'the end of the call');
    await within(drained, 'the end of the server');
    const second = await startGrpcServer('second', {}, first.port);
    assert.equal((await other.ask('say', 'again')).value, 'second heard again');
    second.close();
  });
});

test('10,000 calls while the percentage moves: none fails, users are kept, nobody flips', async () => {
  await putRollout(serin, 'moving', { rules: [{ name: 'everyone', percentage: 0 }] });
  const clients = Array.from({ length: 4 }, () => grpcClient(serin.proxyPort, 'moving.test'));
  const users = 500;
  /** When a user was first given the canary; a user that has it keeps it while the percentage only grows. */
  const canaries = new Set<number>();
  let made = 0;
  const moving = { still: true };
  const move = (async () => {
    for (const percentage of [5, 20, 40, 60, 80, 100]) {
      await eventually(() => made >= (percentage / 100) * 8000, `calls before ${percentage} %`);
      await act(serin, 'moving', 'percentage', { percentage });
    }
    moving.still = false;
  })();
  const caller = async (index: number): Promise<void> => {
    while (made < 10_000 || moving.still) {
      const number = made;
      made += 1;
      const user = number % users;
      const { value, trailer } = await clients[index % clients.length]!.ask('say', String(number), {
        metadata: { 'x-user': `user-${user}` },
      });
      const [variant] = trailer.get('x-variant');
      assert.equal(value, `${String(variant)} heard ${number}`);
      if (variant === 'canary') canaries.add(user);
      else assert.ok(!canaries.has(user), `user ${user} lost the canary`);
    }
  };
  // Each user's calls are made by one caller at a time: there are as many callers as divide the users.
  await Promise.all([...Array.from({ length: 20 }, (_, index) => caller(index)), move]);
  assert.ok(made >= 10_000);
  assert.equal(await serin.metric('serin_flips_total'), 0);
  assert.ok(canaries.size > 0);
  const last = await clients[0]!.ask('say', 'last', { metadata: { 'x-user': 'anyone' } });
  assert.equal(last.value, 'canary heard last');
  for (const one of clients) one.close();
});
