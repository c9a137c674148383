/** The command as a test runs it: in this process, with a clock that only sleeping moves; and an API that is scripted. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { after } from 'node:test';
import { runSerin } from '../../../src/cli/run.ts';

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The pauses that it made, in milliseconds. */
  readonly pauses: readonly number[];
}

export interface Terminal {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Milliseconds since 1970 at the start. */
  readonly now?: number;
}

export async function serin(
  words: readonly string[],
  { env = {}, stdin = '', now = 0 }: Terminal = {},
): Promise<Ended> {
  let [out, err, time] = ['', '', now];
  const pauses: number[] = [];
  const code = await runSerin(words, {
    env,
    stdin: async () => stdin,
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    clock: {
      wallNow: () => time,
      sleep: async (milliseconds) => {
        pauses.push(milliseconds);
        time += milliseconds;
      },
    },
  });
  return { code, out, err, pauses };
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

export interface Scripted {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

interface FakeApi {
  readonly url: string;
  readonly seen: Seen[];
}

/** Answers by `answer`; null cuts the connection. Closed after the file's last test. */
export async function fakeApi(answer: (request: Seen, count: number) => Scripted | null): Promise<FakeApi> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void readText(request).then((text) => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, body: text === '' ? null : (JSON.parse(text) as unknown) };
      seen.push(one);
      reply(response, answer(one, seen.length));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function reply(response: ServerResponse, scripted: Scripted | null): void {
  if (scripted === null) {
    response.destroy();
    return;
  }
  const { status = 200, headers = {}, body } = scripted;
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
