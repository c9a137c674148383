/**
 * The traffic of the benchmarks: requests of a real mobile client, many users, and the load generator (wrk) that
 * sends them. The same bytes go to every proxy.
 */
import { writeFileSync } from 'node:fs';
import { LOAD_CORE, pinned, run } from './process.ts';

export const HOST = 'notes.example.com';
/** Requests come from 127.0.0.1, which is in the first. */
export const OFFICE = ['127.0.0.0/16', '10.20.0.0/16', '2001:db8:20::/48'] as const;
export const USERS = 1_000;

const AGENT =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';

/** The name of the n-th user, as the application's cookie has it. */
export function userName(index: number): string {
  return `u${(index * 7_919 + 100_003).toString(36)}x${index}`;
}

/** One request's text; `cookies` are added to those that the application has set. */
export function requestOf(index: number, cookies = '', agent = AGENT): string {
  return [
    `GET /api/v2/notes?limit=20&cursor=${index * 20} HTTP/1.1`,
    `Host: ${HOST}`,
    'Accept: application/json, text/plain, */*',
    'Sec-Fetch-Site: same-origin',
    'Sec-Fetch-Mode: cors',
    'Sec-Fetch-Dest: empty',
    `User-Agent: ${agent}`,
    'Accept-Language: zh-CN,zh-Hans;q=0.9',
    'Accept-Encoding: gzip, deflate, br',
    `Referer: https://${HOST}/notes`,
    'X-App-Version: 8.2.1',
    `Cookie: theme=dark; uid=${userName(index)}; _ga=GA1.2.1234567890.1718000000; session=8f14e45fceea167a5a36dedd4bea2543${cookies}`,
    '',
    '',
  ].join('\r\n');
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Answers that are no 2xx or 3xx, and connections or requests that failed. */
  readonly failed: number;
  /** Microseconds. */
  readonly p50: number;
  /** Microseconds. */
  readonly p99: number;
}

/**
 * Writes the generator's script. `pauses`: mean pause of a connection between an answer and its next request in
 * milliseconds, drawn uniformly; 0: none, the generator asks as fast as it is answered.
 */
export function writeScript(file: string, requests: readonly string[], pauses: number): void {
  const list = requests.map((text) => JSON.stringify(text)).join(',\n');
  writeFileSync(
    file,
    `local requests = {\n${list}\n}
local at = 0
local count = #requests
request = function()
  at = at % count + 1
  return requests[at]
end
${pauses > 0 ? `delay = function() return math.random(0, ${Math.round(pauses * 2)}) end` : ''}
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('RESULT %d %d %d %d %d\\n', summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
`,
  );
}

/** Loads a port for some seconds with keep-alive connections. */
export async function load(
  port: number,
  script: string,
  seconds: number,
  connections = 64,
): Promise<LoadResult> {
  const command = [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '-s',
    script,
    `http://127.0.0.1:${port}/`,
  ];
  const text = await run(pinned(LOAD_CORE, command), seconds + 20);
  const match = /RESULT (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(text);
  if (match === null) throw new Error(`wrk gave no result: ${text}`);
  const [requests, duration, failed, p50, p99] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { requests, seconds: duration / 1e6, perSecond: requests / (duration / 1e6), failed, p50, p99 };
}
