/**
 * Clients that send POSTs one after another over kept connections, and count those that got no answer: fetch and node:http in this
 * process, Go, Python and curl in theirs. None of them sends a request again by itself.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../process.ts';

/** How the body goes: its bytes, in so many pieces a little apart, and whether it says its length. */
export interface Shape {
  readonly name: string;
  readonly bytes: number;
  readonly pieces: number;
  readonly chunked: boolean;
  readonly expect: boolean;
}

export const SHAPES: readonly Shape[] = [
  { name: '1 KB at once', bytes: 1_024, pieces: 1, chunked: false, expect: false },
  { name: '1 KB later', bytes: 1_024, pieces: 2, chunked: false, expect: false },
  { name: '64 KB in pieces', bytes: 65_536, pieces: 4, chunked: false, expect: false },
  { name: '3 MB', bytes: 3_145_728, pieces: 1, chunked: false, expect: false },
  { name: '64 KB in chunks', bytes: 65_536, pieces: 4, chunked: true, expect: false },
  { name: '3 MB in chunks', bytes: 3_145_728, pieces: 4, chunked: true, expect: false },
  { name: '64 KB, expects 100', bytes: 65_536, pieces: 1, chunked: false, expect: true },
];

export interface Counted {
  /** Requests without an answer, and those that got another one than the endpoint's. */
  readonly failed: number;
  readonly wrong: number;
}

export interface Client {
  readonly name: string;
  can(shape: Shape): boolean;
  post(url: string, status: number, count: number, shape: Shape): Promise<Counted>;
}

const PAUSE = 2;

async function counting(
  count: number,
  status: number,
  one: (index: number) => Promise<number>,
): Promise<Counted> {
  let failed = 0;
  let wrong = 0;
  for (let index = 0; index < count; index += 1) {
    const got = await one(index).catch(() => 0);
    if (got === 0) failed += 1;
    else if (got !== status) wrong += 1;
  }
  return { failed, wrong };
}

const FETCH: Client = {
  name: 'fetch',
  // It sends no expectation, and pieces only in chunks.
  can: ({ expect, chunked, pieces }) => !expect && (chunked || pieces === 1),
  post: (url, status, count, shape) =>
    counting(count, status, async () => {
      const piece = Buffer.alloc(shape.bytes / shape.pieces, 'x');
      const stream = async function* (): AsyncGenerator<Buffer> {
        for (let sent = 0; sent < shape.pieces; sent += 1) {
          yield piece;
          await delay(PAUSE);
        }
      };
      const body = shape.chunked ? ReadableStream.from(stream()) : piece;
      const answer = await fetch(url, { method: 'POST', body, duplex: 'half' });
      await answer.arrayBuffer();
      return answer.status;
    }),
};

const NODE_HTTP: Client = {
  name: 'node:http',
  can: ({ expect }) => !expect,
  async post(url, status, count, shape) {
    const agent = new Agent({ keepAlive: true });
    const piece = Buffer.alloc(shape.bytes / shape.pieces, 'x');
    const counted = await counting(count, status, async () => {
      const headers = shape.chunked
        ? { 'transfer-encoding': 'chunked' }
        : { 'content-length': String(shape.bytes) };
      const asked = request(url, { method: 'POST', agent, headers });
      const answer = new Promise<number>((resolve, reject) => {
        asked.on('error', reject);
        asked.on('response', (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
          response.on('error', reject);
        });
      });
      answer.catch(() => {
        // Seen below.
      });
      asked.flushHeaders();
      for (let sent = 0; sent < shape.pieces && !asked.destroyed; sent += 1) {
        if (shape.pieces > 1) await delay(PAUSE);
        asked.write(piece);
      }
      asked.end();
      return answer;
    });
    agent.destroy();
    return counted;
  },
};

const directory = mkdtempSync(join(tmpdir(), 'serin-early-'));

const GO_PROGRAM = join(directory, 'client');

function program(name: string, command: (shape: Shape) => string[], can: Client['can']): Client {
  return {
    name,
    can,
    async post(url, status, count, shape) {
      const [failed = 0, wrong = 0] = (
        await run(
          [
            ...command(shape),
            url,
            String(status),
            String(count),
            String(shape.bytes),
            String(shape.pieces),
            String(shape.chunked),
            String(shape.expect),
          ],
          180,
        )
      )
        .trim()
        .split(' ')
        .map(Number);
      return { failed, wrong };
    },
  };
}

const GO = program(
  'Go',
  () => [GO_PROGRAM],
  () => true,
);
const PYTHON = program(
  'Python',
  () => ['python3', join(import.meta.dirname, 'client.py')],
  ({ expect }) => !expect,
);

const CURL: Client = {
  name: 'curl',
  can: ({ pieces, chunked }) => pieces === 1 && !chunked,
  async post(url, status, count, shape) {
    const file = join(directory, 'body');
    writeFileSync(file, Buffer.alloc(shape.bytes, 'x'));
    const one = `url = "${url}"\ndata-binary = "@${file}"\n${shape.expect ? 'header = "Expect: 100-continue"' : 'header = "Expect:"'}\noutput = /dev/null\nwrite-out = "%{http_code}\\n"\n`;
    const config = join(directory, 'curl');
    writeFileSync(config, `silent\n${Array.from({ length: count }, () => one).join('next\n')}`);
    const codes = (await run(['curl', '-K', config], 180).catch((error: unknown) => String(error)))
      .split('\n')
      .filter((line) => /^\d{3}$/.test(line));
    const good = codes.filter((code) => Number(code) === status).length;
    const wrong = codes.filter((code) => Number(code) !== status && code !== '000').length;
    return { failed: count - good - wrong, wrong };
  },
};

const here = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).error === undefined;

/** Those that this machine has the programs for. */
export function clients(): Client[] {
  const all = [FETCH, NODE_HTTP];
  if (here('go', 'version')) {
    const built = spawnSync('go', ['build', '-o', GO_PROGRAM, join(import.meta.dirname, 'client.go')]);
    if (built.status !== 0) throw new Error(`go build: ${built.stderr.toString()}`);
    all.push(GO);
  }
  if (here('python3', '--version')) all.push(PYTHON);
  if (here('curl', '--version')) all.push(CURL);
  return all;
}
