/**
 * Conditions that are right by their form and may well not do what their author thinks: each a sentence, for the answer to a write.
 *
 * A doubt refuses nothing. What can never hold for anybody is in `never-holds.ts`.
 */
import { list } from './conditions.ts';
import { normaliseOs } from './device-names.ts';
import { parseNetwork } from '../ip/network.ts';
import { Range } from 'semver';
import type { Match, RolloutDocument } from './schema.ts';
import { rangeFault, VERSION_OPTIONS } from './version.ts';

/** One sentence for each doubt, the rule's name first. `asksForHints`: answers of the service ask browsers for client hints. */
export function doubtsOf(document: RolloutDocument, asksForHints = false): string[] {
  return [...document.rules, ...(document.exclude ?? [])].flatMap(({ name, match }) =>
    match === undefined ? [] : doubtsOfMatch(match, asksForHints).map((doubt) => `rule "${name}": ${doubt}`),
  );
}

/** More than anybody reads. */
const MOST_OF_A_KIND = 5;
const MOST_READ = 1000;

function doubtsOfMatch(match: Match, asksForHints: boolean): string[] {
  return [...networkDoubts(match), ...headerDoubts(match), ...versionDoubts(match, asksForHints)];
}

/** The version that user agents of an operating system say for ever, and what that may be in truth. */
const FROZEN: ReadonlyMap<string, readonly [said: string, newer: string]> = new Map([
  ['android', ['10.0.0', '99.0.0']],
  ['macos', ['10.15.7', '99.0.0']],
  ['windows', ['10.0.0', '11.0.0']],
]);

function versionDoubts({ device }: Match, asksForHints: boolean): string[] {
  const os = device?.os;
  if (typeof os !== 'object' || Array.isArray(os)) return [];
  const name = normaliseOs(os.name);
  if (rangeFault(os.version) !== null) return [];
  if (name === 'harmonyos')
    return [
      'most HarmonyOS devices tell the version of Android instead of their own, and meet no range of versions',
    ];
  const frozen = FROZEN.get(name);
  if (frozen === undefined || asksForHints) return [];
  const range = new Range(os.version, VERSION_OPTIONS);
  const [said, newer] = frozen;
  const decides =
    range.test(said) === range.test(newer) && !range.intersects(new Range(`>${said} <${newer}`));
  // Where the range holds for all newer ones as well, or for none, it does not matter which it is.
  const all = range.test(said) && range.test(newer);
  if (decides || all) return [];
  return [
    `browsers say ${os.name} ${said.replace(/(\.0)+$/, '')} whatever they run on, so "${os.version}" does not tell newer versions apart; set clientHints: true for the service, for Chromium's browsers to tell`,
  ];
}

function networkDoubts({ cidr }: Match): string[] {
  const doubts: string[] = [];
  // Long lists are made by programs, and reading them again would hold up whoever writes.
  for (const text of list(cidr ?? []).slice(0, MOST_READ)) {
    if (doubts.length === MOST_OF_A_KIND) break;
    const network = parseNetwork(text);
    if (typeof network === 'string') continue;
    const { address, prefix } = network;
    const whole = networkAddress(
      address.family === 4 ? [address.v4] : [address.w0, address.w1, address.w2, address.w3],
      prefix,
    );
    if (whole !== null)
      doubts.push(
        `"${text}" is an address in a network; the whole network, ${whole}/${prefix}, is what it means`,
      );
  }
  return doubts;
}

/** The first address of the network, or null where that is the one given. `words` are 32 bits each. */
function networkAddress(words: readonly number[], prefix: number): string | null {
  const first = words.map((word, index) => {
    const bits = Math.min(32, Math.max(0, prefix - 32 * index));
    return bits === 0 ? 0 : (word & (0xffffffff << (32 - bits))) >>> 0;
  });
  if (first.every((word, index) => word === words[index]! >>> 0)) return null;
  if (first.length === 1) return [24, 16, 8, 0].map((shift) => (first[0]! >>> shift) & 255).join('.');
  const groups = first.flatMap((word) => [word >>> 16, word & 0xffff]).map((group) => group.toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** Fields of answers, which requests do not have (RFC 9110, and what browsers read in answers). */
const OF_ANSWERS = new Set(
  (
    'set-cookie,location,server,etag,age,vary,allow,retry-after,www-authenticate,proxy-authenticate,accept-ranges,last-modified,expires,' +
    'strict-transport-security,content-security-policy,x-frame-options,x-powered-by,access-control-allow-origin,accept-ch'
  ).split(','),
);
/** HTTP/2 has no fields about the connection (RFC 9113, section 8.2.2). */
const OF_CONNECTIONS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

function headerDoubts({ header = {} }: Match): string[] {
  return Object.entries(header).flatMap(([name, { present }]) => {
    const lower = name.toLowerCase();
    if (present === false) return [];
    if (OF_ANSWERS.has(lower))
      return [`the header "${name}" is one of answers; requests hardly ever have it`];
    if (OF_CONNECTIONS.has(lower))
      return [`the header "${name}" does not exist in HTTP/2, which most browsers speak`];
    return [];
  });
}
