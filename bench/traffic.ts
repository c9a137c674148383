/**
 * The traffic of the benchmarks: requests of a real mobile client and of many users. The same bytes go to every proxy, but
 * for the cookies that Serin gave its own users.
 */
export const HOST = 'notes.example.com';
/** Requests come from 127.0.0.1 and its neighbours, which are in the first. */
export const OFFICE = ['127.0.0.0/16', '10.20.0.0/16', '2001:db8:20::/48'] as const;
export const USERS = 1_000;
/** A tenth of the users, as an expression on the Cookie field, for proxies that cannot hash. */
export const TENTH = 'uid=[^;]*0(;|$)';

export const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';

/** The name of the n-th user, as the application's cookie has it. */
export function userName(index: number): string {
  return `u${(index * 7_919 + 100_003).toString(36)}x${index}`;
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly agent?: string;
  readonly user?: string;
  /** Added to those that the application has set; begins with `; ` unless empty. */
  readonly cookies?: string;
  /** More field lines. */
  readonly fields?: readonly string[];
  /** Sent as it is after the head: framing is in `fields`. */
  readonly body?: string;
}

/** The n-th user's request as text. */
export function requestOf(index: number, options: RequestOptions = {}): string {
  const {
    method = 'GET',
    path = `/api/v2/notes?limit=20&cursor=${index * 20}`,
    agent = IPHONE,
    user = userName(index),
    cookies = '',
    fields = [],
    body = '',
  } = options;
  const head = [
    `${method} ${path} HTTP/1.1`,
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
    `Cookie: theme=dark; uid=${user}; _ga=GA1.2.1234567890.1718000000; session=8f14e45fceea167a5a36dedd4bea2543${cookies}`,
    ...fields,
    '',
    '',
  ];
  return head.join('\r\n') + body;
}
