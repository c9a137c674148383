import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { readBuffer } from '../../../src/net/read-buffer.ts';
import { SocketWriter } from '../../../src/net/socket-writer.ts';

interface Ends {
  readonly writer: SocketWriter;
  readonly socket: Socket;
  /** The other end, which reads nothing before it is asked to. */
  readonly peer: Socket;
  readonly seen: {
    received: Buffer[];
    stalled: number;
    drained: number;
    readsOn?: boolean;
    failed: number;
    onStalled?: () => void;
  };
}

/** A writer on a real connection that reads into the shared buffer. */
async function ends(context: TestContext, attach: boolean): Promise<Ends> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as { port: number };
  const seen: Ends['seen'] = {
    received: [],
    stalled: 0,
    drained: 0,
    failed: 0,
  };
  const owner = {
    received: (bytes: Buffer, length: number) => {
      seen.received.push(Buffer.from(bytes.subarray(0, length)));
    },
    stalled: () => {
      seen.stalled += 1;
      seen.onStalled?.();
    },
    drained: () => (seen.drained += 1),
    writeFailed: () => {
      seen.failed += 1;
      return seen.readsOn === true;
    },
  };
  const socket = connect({
    host: '127.0.0.1',
    port: address.port,
    onread: { buffer: readBuffer, callback: (length) => (owner.received(readBuffer, length), true) },
  });
  const [[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [
    [Socket],
    [],
  ];
  const writer = new SocketWriter(socket, owner);
  if (attach) writer.attach();
  context.after(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  peer.on('error', () => {
    // The other end may be gone first.
  });
  return { writer, socket, peer, seen };
}

async function read(peer: Socket, length: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let total = 0;
  peer.resume();
  while (total < length) {
    const [piece] = (await once(peer, 'data')) as [Buffer];
    pieces.push(piece);
    total += piece.length;
  }
  return Buffer.concat(pieces);
}

const pattern = (length: number, seed: number) =>
  Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 31 + seed * 17 + (at >> 8)) & 255));

for (const attach of [true, false]) {
  const way = attach ? 'the short way' : 'by way of the socket';

  test(`what is written leaves in order, whatever its size, ${way}`, async (context) => {
    const { writer, peer } = await ends(context, attach);
    const expected: Buffer[] = [];
    for (const [index, size] of [10, 9_000, 1, 60_000, 0, 8_192, 8_193, 500].entries()) {
      const text = `<${index}>`;
      writer.write(text);
      const bytes = pattern(size, index);
      bytes.copy(readBuffer);
      // Every second one lies in the buffer that is read into, and is overwritten at once.
      if (index % 2 === 0) writer.writeBytes(bytes, 0, size);
      else writer.writeBytes(readBuffer, 0, size);
      readBuffer.fill(0xee);
      expected.push(Buffer.from(text), bytes);
    }
    const whole = Buffer.concat(expected);
    assert.deepEqual(await read(peer, whole.length), whole);
  });

  test(`a peer that does not read: told once to stop and once to go on, and nothing is lost, ${way}`, async (context) => {
    const { writer, peer, seen } = await ends(context, attach);
    const expected: Buffer[] = [];
    for (let index = 0; seen.stalled === 0; index += 1) {
      assert.ok(index < 4_000, 'a peer that reads nothing stalls the writer');
      const bytes = pattern(60_000, index);
      bytes.copy(readBuffer);
      writer.writeBytes(readBuffer, 0, bytes.length);
      readBuffer.fill(0xee);
      expected.push(bytes);
    }
    writer.write('the end');
    expected.push(Buffer.from('the end'));
    assert.equal(writer.blocked, true);
    assert.equal(seen.drained, 0);
    const whole = Buffer.concat(expected);
    assert.ok((await read(peer, whole.length)).equals(whole));
    while (writer.blocked) await once(peer, 'data').catch(() => undefined);
    assert.ok(seen.drained > 0);
  });
}

test('a long body is read into a buffer that nobody else reads into, for as long as it lasts', async (context) => {
  const { writer, peer, seen } = await ends(context, true);
  const arrived = async (total: number): Promise<Buffer> => {
    while (seen.received.reduce((sum, { length }) => sum + length, 0) < total)
      await new Promise((resolve) => setImmediate(resolve));
    return Buffer.concat(seen.received);
  };
  writer.readLong();
  peer.write('a');
  await arrived(1);
  readBuffer.fill(0xee);
  peer.write(pattern(300_000, 3));
  const body = await arrived(300_001);
  assert.ok(body.subarray(1).equals(pattern(300_000, 3)));
  assert.equal(readBuffer[0], 0xee, 'the shared buffer was left alone');
  writer.readShort(false);
  peer.write('b');
  await arrived(300_002);
  peer.write('c');
  assert.equal((await arrived(300_003)).at(-1), 'c'.charCodeAt(0));
  assert.equal(readBuffer[0], 'c'.charCodeAt(0), 'the shared buffer is used again');
});

test('a write to a connection that the peer has reset destroys the socket with the error', async (context) => {
  const { writer, socket, peer } = await ends(context, true);
  socket.pause();
  peer.resetAndDestroy();
  const failed = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
  const write = (): void => {
    if (socket.destroyed) return;
    writer.write('x');
    setImmediate(write);
  };
  write();
  const [error] = await failed;
  assert.match(error.code ?? '', /^(EPIPE|ECONNRESET)$/);
  assert.equal(socket.destroyed, true);
});

test('an owner that reads on gets what came before the reset, and what is written is dropped', async (context) => {
  const { writer, socket, peer, seen } = await ends(context, true);
  seen.readsOn = true;
  socket.pause();
  // What the peer has not read makes its close a reset.
  writer.write('unread');
  await once(peer.resume(), 'data');
  peer.pause();
  writer.write('unread as well');
  await new Promise((resolve) => setImmediate(resolve));
  peer.write('the answer', () => peer.destroy());
  await once(peer, 'close');
  for (let turn = 0; turn < 1000 && seen.failed === 0; turn += 1) {
    writer.write('x');
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(seen.failed, 1);
  writer.write('more');
  writer.writeBytes(pattern(60_000, 1), 0, 60_000);
  assert.equal(writer.blocked, false);
  socket.on('error', () => {
    // The reading may end with the reset, or in order where a write was told of it.
  });
  socket.resume();
  await once(socket, 'close');
  assert.equal(Buffer.concat(seen.received).toString(), 'the answer');
});

test('what waits when the socket is destroyed is dropped', async (context) => {
  const { writer, socket } = await ends(context, true);
  writer.write('never seen');
  socket.destroy();
  writer.flush();
  await once(socket, 'close');
});

test('writers that are written to while others leave lose none of those', async (context) => {
  const [stuck, next, first, second] = [
    await ends(context, true),
    await ends(context, true),
    await ends(context, true),
    await ends(context, true),
  ];
  for (let index = 0; stuck.seen.stalled === 0; index += 1) {
    assert.ok(index < 4_000, 'a peer that reads nothing stalls the writer');
    stuck.writer.writeBytes(pattern(60_000, index), 0, 60_000);
  }
  stuck.seen.onStalled = () => {
    first.writer.write('first');
    second.writer.write('second');
  };
  stuck.writer.write('more');
  next.writer.write('next');
  for (const [{ peer }, text] of [
    [next, 'next'],
    [first, 'first'],
    [second, 'second'],
  ] as const)
    assert.equal((await read(peer, text.length)).toString(), text);
});
