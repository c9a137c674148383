/** Clients that read slowly under TLS: they are waited for as long as they read at all. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { answer, startOrigin } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { connect, request } from '../support/raw-client.ts';
import { startSerin } from '../support/serin.ts';
import { writeCertificate } from '../support/tls.ts';

const BODY = Buffer.alloc(24 * 1_048_576, 'serin');
/** How long a client may read nothing, in ms, and how many such times the slow one takes. */
const IDLE = 2400;
const TIMES = 2;

test('a client that reads a little in each idle time gets all of it; one that reads nothing is cut, and its request ends', async () => {
  const authority = makeAuthority();
  const directory = await mkdtemp(join(tmpdir(), 'serin-tls-readers-'));
  const origin = await startOrigin('stable');
  origin.route('/large', (got) => answer(got, { body: BODY }));
  const files = await writeCertificate(directory, 'notes', authority.issue(['notes.test']));
  const port = await freePort();
  const serin = await startSerin({
    services: {
      notes: {
        hosts: ['*'],
        stable: { endpoints: [origin.endpoint] },
        timeouts: { responseIdle: `${IDLE}ms` },
      },
    },
    configuration: { proxy: { tls: { listen: `127.0.0.1:${port}`, certificates: [files] } } },
  });
  const options = { tls: { ca: authority.certificate, servername: 'notes.test' } };
  try {
    const slow = await connect(port, options);
    slow.write(request('/large'));
    await eventually(() => slow.answers.length === 1, 'the head');
    // Reads a piece, rests for an eighth of the idle time, reads the next: a busy machine may make that much longer.
    const began = performance.now();
    while (performance.now() - began < TIMES * IDLE) {
      slow.socket.pause();
      const rested = performance.now() + IDLE / 8;
      await eventually(() => performance.now() > rested, 'a rest');
      const before = slow.socket.bytesRead;
      slow.socket.resume();
      // On a fast machine all of it may have come before the time is over.
      const whole = (): boolean => slow.answers[0]?.complete === true;
      await eventually(() => slow.socket.bytesRead > before || whole(), 'a piece');
      if (whole()) break;
    }
    slow.socket.resume();
    assert.equal((await slow.answer()).bodyLength, BODY.length);
    slow.destroy();

    const stuck = await connect(port, options);
    stuck.write(request('/large'));
    await eventually(() => stuck.answers.length === 1, 'the head');
    stuck.socket.pause();
    await eventually(
      async () => (await serin.metric('serin_client_aborts_total')) === 1,
      'the end of the request of a client that reads nothing',
    );
    stuck.socket.resume();
    await within(stuck.over, 'the end of its connection');
    assert.equal(stuck.answers[0]?.complete, false);
  } finally {
    await serin.stop();
    await origin.close();
    await rm(directory, { recursive: true });
  }
});
