/**
 * What strangers, and people with a token, can send to wear a Serin process out: each attack by its name. Every one is bounded in how
 * much it has under way, sends to loopback alone, and ends with the process that runs it (`program.ts`).
 */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { COSTLY_YAML } from '../../test/support/costly-bodies.ts';
import { frame, FRAME, frameClient, headBlock, END_HEADERS } from '../../test/support/http2-frames.ts';

export interface Target {
  readonly proxyPort: number;
  readonly adminPort: number;
  readonly opsPort: number;
  readonly viewer: string;
  readonly operator: string;
  readonly admin: string;
  /** Calls `did` for each thing that was sent. */
  readonly did: () => void;
}

type Attack = (target: Target) => void;

const HOST = '127.0.0.1';
/** Bytes of a costly body; the API takes more, but none of these shapes is worse for it. */
const BODY = 150_000;

const ignore = (): void => {
  // What the target does to it is the target's affair.
};

/** Runs `work` again and again, `lanes` at a time; an error costs a short pause. */
function repeat(lanes: number, work: (round: number) => Promise<void>, pause = 0): void {
  let round = 0;
  const lane = (): void => {
    work(round++).then(
      () => (pause === 0 ? setImmediate(lane) : setTimeout(lane, pause)),
      () => setTimeout(lane, 20),
    );
  };
  for (let index = 0; index < lanes; index += 1) lane();
}

/** Keeps `count` connections to `port` open, `begin` sent on each, from addresses of its own; a lost one is opened again. */
function crowd(
  { did }: Target,
  port: number,
  count: number,
  begin: (index: number) => string,
  drip = '',
): void {
  const open = (index: number): void => {
    const localAddress = `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${1 + (index & 127)}`;
    const socket: Socket = connect({ host: HOST, port, localAddress });
    const timer = drip === '' ? undefined : setInterval(() => socket.write(drip), 1000);
    socket.on('connect', () => {
      did();
      socket.write(begin(index));
    });
    socket.on('error', ignore).resume();
    socket.on('close', () => {
      clearInterval(timer);
      setTimeout(() => open(index), 500);
    });
  };
  let made = 0;
  const opening = setInterval(() => {
    for (let some = 0; some < 100 && made < count; some += 1) open(made++);
    if (made >= count) clearInterval(opening);
  }, 20);
}

async function call(
  { adminPort, did }: Target,
  method: string,
  path: string,
  token: string,
  body?: { readonly type: string; readonly text: string },
  headers: Record<string, string> = {},
): Promise<Response> {
  const answer = await fetch(`http://${HOST}:${adminPort}${path}`, {
    method,
    headers: {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': body.type }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: body.text }),
  });
  did();
  return answer;
}

const explain = async (target: Target, type: string, text: string): Promise<void> => {
  await (
    await call(target, 'POST', '/v1/services/notes/explain', target.viewer, { type, text })
  ).arrayBuffer();
};

function yaml(target: Target): void {
  const manyKeys = Array.from({ length: 16_000 }, (_, index) => `k${index}: 1\n`).join('');
  const texts = [manyKeys, ...Object.values(COSTLY_YAML).map((make) => make(BODY))];
  repeat(6, async (round) => explain(target, 'application/yaml', texts[round % texts.length]!));
}

function json(target: Target): void {
  const wrong = JSON.stringify({
    headers: Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`h${index}`, index])),
  });
  const deep = `${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}`;
  const long = JSON.stringify({ headers: { 'user-agent': 'a'.repeat(500_000) } });
  const texts = [wrong, deep, long];
  repeat(6, async (round) => explain(target, 'application/json', texts[round % texts.length]!));
}

function badTokens(target: Target): void {
  repeat(8, async (round) => {
    const answer = await call(target, 'GET', '/v1/services', `no-such-token-${round}`);
    await answer.arrayBuffer();
  });
}

function events(target: Target): void {
  repeat(8, async () => {
    const answer = await call(target, 'GET', '/v1/events', target.viewer);
    if (answer.status !== 200) await answer.arrayBuffer();
    // Else it stays open and unread.
    else setTimeout(() => void answer.body?.cancel().catch(ignore), 20_000);
  });
}

function deviceFiles(target: Target): void {
  const files = ['/dev/zero', '/proc/self/environ', '/dev/stdin', '/no/such/file'];
  repeat(4, async (round) => {
    const text = JSON.stringify({
      hosts: [`files-${round % 8}.test`],
      stable: { endpoints: ['127.0.0.1:9'], tls: { ca: files[round % files.length] } },
    });
    await (
      await call(target, 'PUT', `/v1/services/files-${round % 8}`, target.admin, {
        type: 'application/json',
        text,
      })
    ).arrayBuffer();
  });
}

/** A policy of 100,000 networks, one percentage after the other. */
function networks(target: Target): void {
  const cidr = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`);
  const text = JSON.stringify({
    rules: [
      { name: 'many', match: { cidr }, percentage: 100 },
      { name: 'everyone', percentage: 1 },
    ],
  });
  const rollout = '/v1/services/many/rollout';
  const begun = call(target, 'PUT', rollout, target.operator, { type: 'application/json', text });
  void begun.then(() =>
    repeat(2, async (round) => {
      const body = { type: 'application/json', text: JSON.stringify({ percentage: 1 + (round % 99) }) };
      await (
        await call(target, 'POST', `${rollout}/percentage?allowDecrease=true`, target.operator, body)
      ).arrayBuffer();
    }),
  );
}

/** Clients behind an ingress that speaks h2c: they leave before they are answered. */
function aborts(target: Target): void {
  repeat(2, async () => {
    const client = await frameClient(target.proxyPort);
    const fields = [':method', 'GET', ':scheme', 'http', ':authority', 'notes.test', ':path', '/slow'];
    let stream = 1;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        for (let some = 0; some < 10; some += 1, stream += 2) {
          client.write(frame(FRAME.headers, END_HEADERS | 1, stream, headBlock(fields)));
          client.write(frame(FRAME.reset, 0, stream, Buffer.from([0, 0, 0, 8])));
          target.did();
        }
      }, 5);
      void client.closed.then(() => {
        clearInterval(timer);
        resolve();
      });
    });
  });
}

/** Bodies that speak of framing in the values of their fields, without an end. */
function framing(target: Target): void {
  repeat(4, async () => {
    const session = connectHttp2(`http://${HOST}:${target.proxyPort}`);
    session.on('error', ignore);
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': '/',
        ':authority': 'notes.test',
        'x-a': 'content-length',
        'x-b': ':method',
      },
      { endStream: false },
    );
    stream.on('error', ignore).resume();
    stream.write('0\r\n\r\nGET /admin HTTP/1.1\r\nhost: notes.test\r\n\r\n');
    target.did();
    await new Promise<void>((resolve) => {
      stream.once('close', () => resolve());
      setTimeout(() => stream.end(), 20);
    });
    session.close();
  });
}

/** A service that leads back to the proxy itself. */
function loop(target: Target): void {
  repeat(16, async () => {
    const socket = connect({ host: HOST, port: target.proxyPort });
    socket.on('error', ignore).resume();
    socket.write('GET / HTTP/1.1\r\nHost: loop.test\r\nConnection: close\r\n\r\n');
    target.did();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  });
}

/** Paths, cookies and user agents that take thought. */
function heads(target: Target): void {
  const cookies = Array.from({ length: 200 }, (_, index) => `serin_id=forged${index}`).join('; ');
  const path = `/${'..%2f%2e%2e;a/\\'.repeat(300)}`;
  const requests = [
    `GET / HTTP/1.1\r\nHost: notes.test\r\nCookie: ${cookies}\r\n\r\n`,
    `GET ${path} HTTP/1.1\r\nHost: notes.test\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: notes.test\r\nX-Forwarded-For: ${'1.2.3.4, ,'.repeat(800)}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: notes.test\r\nUser-Agent: ${'Mozilla/5.0 (iPhone; CPU '.repeat(300)}\r\n\r\n`,
  ];
  repeat(8, async (round) => {
    const socket = connect({ host: HOST, port: target.proxyPort });
    socket.on('error', ignore).resume();
    socket.end(requests[round % requests.length]!);
    target.did();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  });
}

/** By what the table calls them. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  'YAML of costly shapes to explain': yaml,
  'JSON with 60,000 faults, deep, long, to explain': json,
  'tokens that are none': badTokens,
  'event streams of one token': events,
  'files that are devices, named in services': deviceFiles,
  'percentages of a policy with 100,000 networks': networks,
  '3,400 idle connections to the proxy': (target) => crowd(target, target.proxyPort, 3400, () => ''),
  '2,000 idle connections to the admin port': (target) => crowd(target, target.adminPort, 2000, () => ''),
  '2,000 half heads to the admin port': (target) =>
    crowd(target, target.adminPort, 2000, () => 'GET /v1/services HTTP/1.1\r\nHost: a\r\nX-A: ', 'b'),
  '2,000 idle connections and half heads to the ops port': (target) =>
    crowd(target, target.opsPort, 2000, (index) => (index % 2 === 0 ? '' : 'GET /livez HTTP/1.1\r\nHo')),
  '1,000 bodies of a byte a second': (target) =>
    crowd(
      target,
      target.proxyPort,
      1000,
      () => 'POST / HTTP/1.1\r\nHost: notes.test\r\nContent-Length: 100000\r\n\r\n',
      'b',
    ),
  'streams of HTTP/2 reset at once': aborts,
  'bodies of HTTP/2 that speak of framing': framing,
  'a service that leads back to the proxy': loop,
  'heads that take thought': heads,
};
