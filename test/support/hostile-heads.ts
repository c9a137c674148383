/** Heads made to cost more than they weigh: each family takes one thing that a proxy does per part, and brings as many parts as fit. */

export interface Family {
  readonly name: string;
  /** A head of about `size` bytes (at most 8 KiB where the part is in the target). `turn` makes heads that differ. */
  readonly head: (size: number, turn: number) => string;
}

const TARGET_LIMIT = 8_100;
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';

/** What every head begins with; the ordinary head has no more of parts than this. */
function head(target: string, lines: readonly string[], host = 'notes.test'): string {
  return `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

const ORDINARY = [
  `User-Agent: ${IPHONE}`,
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language: en-GB,en;q=0.9',
  'Accept-Encoding: gzip, deflate, br',
  'Cookie: theme=dark; session=0123456789abcdef',
  'X-App-Version: 8.3.1',
  'X-Forwarded-For: 198.51.100.7',
];

/** `part` again and again, up to `size` characters. */
function filled(part: string, size: number): string {
  return part.repeat(Math.max(1, Math.floor(size / part.length)));
}

/** `count` lines that share `size` bytes. */
function lines(name: (index: number) => string, value: string, size: number, limit = 90): string[] {
  const out: string[] = [];
  for (let left = size, index = 0; left > 0 && index < limit; index += 1) {
    const line = `${name(index)}: ${value}`;
    out.push(line);
    left -= line.length + 2;
  }
  return out;
}

/** An ordinary request of that size: a browser's head, and a session of random bytes in one cookie. */
export function ordinaryHead(size: number, turn: number): string {
  const plain = head(`/api/items/${turn}`, ORDINARY);
  return head(`/api/items/${turn}`, [
    ...ORDINARY,
    `X-Session: ${'k3'.repeat(Math.max(0, (size - plain.length - 13) >> 1))}`,
  ]);
}

const inTarget =
  (part: string) =>
  (size: number): string =>
    head(`/api/${filled(part, Math.min(size, TARGET_LIMIT) - 5)}`, ORDINARY);
const inQuery =
  (part: string, end = '') =>
  (size: number): string =>
    head(`/api/a?${filled(part, Math.min(size, TARGET_LIMIT) - 10 - end.length)}${end}`, ORDINARY);
const inField =
  (name: string, part: string, end = '') =>
  (size: number): string =>
    head('/api/a', [
      ...ORDINARY.filter((line) => !line.startsWith(`${name}:`)),
      `${name}: ${filled(part, size - 500)}${end}`,
    ]);
const agent =
  (make: (turn: number) => string) =>
  (_size: number, turn: number): string =>
    head('/api/a', [`User-Agent: ${make(turn)}`, ...ORDINARY.slice(1)]);

/** User agents on which expressions of ua-parser-js and its like were slow (CVE-2020-7733, -7793, CVE-2021-27292, CVE-2022-25927). */
const SLOW_AGENTS: Readonly<Record<string, (turn: number) => string>> = {
  'spaces after a model': (turn) => `${turn} ; ${' '.repeat(480)}!`,
  redmi: (turn) => `Mozilla/5.0 ${turn}${' redmi note'.repeat(45)}`,
  'noble build': (turn) => `noble${turn} ${'-'.repeat(20)}${'a'.repeat(460)}!`,
  'ipad digits': (turn) => `${turn}ip${'honead'.repeat(80)}`,
  semicolons: (turn) => `Mozilla/5.0 (${turn}${'; '.repeat(240)}`,
  versions: (turn) => `${turn} ${'Version/1.0 '.repeat(40)}`,
  linux: (turn) => `${turn} Linux; Android ${'9.'.repeat(230)}`,
  slashes: (turn) => `${turn}${'a/1 '.repeat(124)}`,
  brackets: (turn) => `${turn}${'('.repeat(490)}`,
  huawei: (turn) => `${turn}; ${'huawei-'.repeat(69)}`,
  'a new browser': (turn) => `${IPHONE} ${turn}`,
};

export const FAMILIES: readonly Family[] = [
  {
    name: 'header lines without values',
    head: (size) => head('/', [...ORDINARY, ...lines((index) => `X-${index}`, '', size)]),
  },
  { name: 'one long field name', head: (size) => head('/', [...ORDINARY, `${filled('x', size - 500)}: 1`]) },
  {
    name: 'many long field names',
    head: (size) => head('/', [...ORDINARY, ...lines((index) => `X-${index}${'y'.repeat(300)}`, '1', size)]),
  },
  {
    name: 'names with underscores',
    head: (size) => head('/', [...ORDINARY, ...lines((index) => `x_${index}${'_y'.repeat(150)}`, '1', size)]),
  },
  {
    name: 'one field many times',
    head: (size) => head('/', [...ORDINARY, ...lines(() => 'X-Customer', 'y'.repeat(300), size)]),
  },
  { name: 'values of spaces', head: inField('X-Customer', ' ', 'a') },
  { name: 'pairs in one cookie', head: inField('Cookie', 'a=b;') },
  { name: 'separators in one cookie', head: inField('Cookie', ';') },
  {
    name: 'cookie lines',
    head: (size) => head('/', [...ORDINARY, ...lines(() => 'Cookie', 'a=b; '.repeat(60), size)]),
  },
  { name: 'names like ours in cookies', head: inField('Cookie', 'serin_i') },
  { name: 'our name without a value', head: inField('Cookie', 'serin_id;') },
  { name: 'our name and spaces', head: inField('Cookie', 'serin_id   ;') },
  {
    name: 'cookie lines with our names',
    head: (size) => head('/', [...ORDINARY, ...lines(() => 'Cookie', 'xserin_id=1;'.repeat(25), size)]),
  },
  {
    name: 'a forged id',
    head: (_size, turn) =>
      head('/', [
        ...ORDINARY,
        `Cookie: serin_id=${'a'.repeat(64)}.abcdefgh.${'b'.repeat(22)}.${String(turn).padStart(22, 'c')}`,
      ]),
  },
  ...(['serin_id', 'serin_latch_notes', 'serin_override'] as const).map((name) => ({
    name: `forged ${name} again and again`,
    head: (size: number, turn: number) => {
      const forged = {
        serin_id: (index: number) => `${index}${'a'.repeat(20)}.${String(turn).padStart(22, 'z')}`,
        serin_latch_notes: (index: number) =>
          `1.abcdefgh.${index}.1.aabcdefgh.${String(turn).padStart(22, 'z')}`,
        serin_override: (index: number) => `1.a.${index}.notes.${String(turn).padStart(22, 'z')}`,
      }[name];
      const pairs = Array.from(
        { length: Math.max(1, Math.floor((size - 600) / 70)) },
        (_, index) => `${name}=${forged(index)}`,
      );
      return head('/', [...ORDINARY, `Cookie: ${pairs.join(';')}`]);
    },
  })),
  {
    name: 'a path that is read in many ways',
    head: (_size, turn) => head(`/x/%25252e;a\\..//b./%2e%2e%5c${turn}%u002f%c0%ae;/%3f`, ORDINARY),
  },
  ...[
    '/%25252e;a\\..',
    '/.%2e',
    '/a;b',
    '/%c0%ae.',
    '/..%2f',
    '%25',
    '/.',
    './',
    '%u002f',
    '%e2%80%a5',
    'a%20/',
    '\\;',
  ].map((part) => ({ name: `a path of ${part}`, head: inTarget(part) })),
  {
    name: 'a forged latch',
    head: (_size, turn) =>
      head('/', [
        ...ORDINARY,
        `Cookie: serin_latch_notes=1.abcdefgh.1.1.${'aabcdefgh'.repeat(8)}.${String(turn).padStart(22, 'c')}`,
      ]),
  },
  {
    name: 'a forged override cookie',
    head: (_size, turn) =>
      head('/', [...ORDINARY, `Cookie: serin_override=1.a.1.notes.${String(turn).padStart(22, 'c')}`]),
  },
  {
    name: 'a forged override',
    head: (_size, turn) =>
      head('/', [...ORDINARY, `X-Serin-Override: 1.a.1.notes.${String(turn).padStart(22, 'c')}`]),
  },
  { name: 'a long override', head: inField('X-Serin-Override', '1.a.1.notes.') },
  {
    name: 'an override and cookies',
    head: (size) => head('/', [...ORDINARY, `Cookie: serin_override=x; ${filled('a=b;', size - 600)}`]),
  },
  {
    name: 'an override and separators',
    head: (size) => head('/', [...ORDINARY, `Cookie: serin_override=x; ${filled(';', size - 600)}`]),
  },
  { name: 'a long identity', head: inField('X-User', 'u') },
  { name: 'a forwarding chain', head: inField('X-Forwarded-For', '10.0.0.1, ', '10.0.0.2') },
  {
    name: 'a forwarding chain, IPv6',
    head: inField('X-Forwarded-For', '::ffff:10.0.0.1,', '::ffff:10.0.0.2'),
  },
  { name: 'separators in a forwarding chain', head: inField('X-Forwarded-For', ',') },
  { name: 'spaces in a forwarding chain', head: inField('X-Forwarded-For', ' ', ',') },
  {
    name: 'forwarding lines',
    head: (size) =>
      head('/', [...ORDINARY, ...lines(() => 'X-Forwarded-For', '10.0.0.1, '.repeat(30), size)]),
  },
  { name: 'Forwarded', head: inField('Forwarded', 'for=10.0.0.1, ', 'for=x') },
  { name: 'Connection names', head: inField('Connection', 'a,', 'b') },
  {
    name: 'Connection names, and lines to compare',
    head: (size) =>
      head('/', [
        ...ORDINARY,
        ...lines((index) => `Y-${index}`, '', 800),
        `Connection: ${filled('abcd,', size - 1_500)}b`,
      ]),
  },
  { name: 'separators in Connection', head: inField('Connection', ',') },
  { name: 'spaces in Connection', head: inField('Connection', ' ,') },
  {
    name: 'Connection lines',
    head: (size) => head('/', [...ORDINARY, ...lines(() => 'Connection', 'ab,'.repeat(100), size)]),
  },
  { name: 'codings', head: inField('Transfer-Encoding', 'chunked,', 'chunked') },
  { name: 'separators in codings', head: inField('Transfer-Encoding', ',') },
  { name: 'TE', head: inField('TE', 'gzip,') },
  { name: 'separators in TE', head: inField('TE', ',') },
  {
    name: 'Upgrade',
    head: (size) => head('/', [...ORDINARY, 'Connection: upgrade', `Upgrade: ${filled('a,', size - 600)}b`]),
  },
  {
    name: 'spaces in Upgrade',
    head: (size) => head('/', [...ORDINARY, 'Connection: upgrade', `Upgrade: ${filled(', ', size - 600)}b`]),
  },
  {
    name: 'h2 and a slash in Upgrade',
    head: (size) =>
      head('/', [...ORDINARY, 'Connection: upgrade', `Upgrade: ${filled(', h2/', size - 600)}b`]),
  },
  { name: 'labels of a host', head: (size) => head('/', ORDINARY, filled('a.', size - 500) + 'a') },
  { name: 'a long host', head: (size) => head('/', ORDINARY, filled('a', size - 500)) },
  { name: 'escapes in a host', head: (size) => head('/', ORDINARY, filled('%41', size - 500)) },
  { name: 'colons of an address', head: (size) => head('/', ORDINARY, `[${filled(':', size - 500)}]`) },
  { name: 'groups of an address', head: (size) => head('/', ORDINARY, `[${filled('a:', size - 500)}]`) },
  { name: 'a new host', head: (_size, turn) => head('/', ORDINARY, `h${turn}.test`) },
  { name: 'slashes', head: inTarget('/') },
  { name: 'short segments', head: inTarget('a/') },
  { name: 'dot segments', head: inTarget('./') },
  { name: 'deep dot segments', head: inTarget('a/../') },
  { name: 'steps up', head: inTarget('../') },
  { name: 'needless escapes', head: inTarget('%41') },
  { name: 'escapes', head: inTarget('%2F') },
  { name: 'stray percent signs', head: inTarget('%') },
  { name: 'escaped dots', head: inTarget('%2e%2e/') },
  { name: 'escapes and dots', head: inTarget('%41/..//') },
  { name: 'parameters', head: inQuery('a=b&') },
  { name: 'parameters without values', head: inQuery('a&') },
  { name: 'parameters, the value last', head: inQuery('a&', '=') },
  { name: 'separators of parameters', head: inQuery('&') },
  { name: 'escaped parameters', head: inQuery('%61=%62&') },
  { name: 'plus signs', head: inQuery('+&') },
  {
    name: 'one long escaped parameter',
    head: (size) => head(`/api/a?beta=${filled('%61', Math.min(size, TARGET_LIMIT) - 20)}`, ORDINARY),
  },
  { name: 'parameters named alike', head: inQuery('bet=1&') },
  { name: 'languages', head: inField('Accept-Language', 'en;q=0.1,') },
  {
    name: 'a version with a long tail',
    head: (_size, turn) =>
      head('/', [...ORDINARY.slice(0, 5), `X-App-Version: 1.0.0-${'a.'.repeat(50)}${turn}`]),
  },
  {
    name: 'a version of digits',
    head: (_size, turn) => head('/', [...ORDINARY.slice(0, 5), `X-App-Version: ${'1'.repeat(100)}${turn}`]),
  },
  {
    name: 'a version of spaces',
    head: (_size, turn) => head('/', [...ORDINARY.slice(0, 5), `X-App-Version: 1${' '.repeat(100)}x${turn}`]),
  },
  { name: 'a version that is too long', head: inField('X-App-Version', '1.0.') },
  { name: 'a long user agent', head: inField('User-Agent', 'Mozilla/5.0 (iPhone; ') },
  ...Object.entries(SLOW_AGENTS).map(([name, make]) => ({ name: `user agent: ${name}`, head: agent(make) })),
];
