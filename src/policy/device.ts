/**
 * What a user agent tells of the device: type, operating system with version, model, browser.
 *
 * Read with ua-parser-js 1.0.41 (MIT; later major versions are not). Parsing costs about ten microseconds, so results
 * are cached and it happens only where an installed rule reads the device. Texts are lower case. Nothing here throws
 * on any input; what cannot be told is ''.
 */
import { LRUCache } from 'lru-cache';
import { SemVer } from 'semver';
import { UAParser } from 'ua-parser-js';
import { isLinux, normaliseBrowser, normaliseOs } from './device-names.ts';
import { VERSION_OPTIONS } from './version.ts';
import { standaloneText } from './wire.ts';

export interface DeviceFacts {
  /** mobile, tablet, desktop, bot, or '' (watches, consoles, television sets, libraries). */
  readonly type: string;
  /** Such as ios, android, windows, macos, ubuntu. */
  readonly os: string;
  /** The family where it has another name than `os`: linux for its distributions. */
  readonly osFamily: string;
  /** Null where the user agent tells no number. */
  readonly osVersion: SemVer | null;
  /** Such as iphone, ipad, pixel 8. */
  readonly model: string;
  /** Such as chrome, mobile safari, firefox, edge. */
  readonly browser: string;
  /** The family where it has another name than `browser`: safari for mobile safari. */
  readonly browserFamily: string;
}

/** What ua-parser-js reads at most; the rest of a longer user agent is ignored, also as a cache key. */
const LONGEST_USER_AGENT = 400;

/**
 * Runs of blanks, which no browser sends, are read as one: expressions of ua-parser-js that look for a model before blanks take time
 * by the square of them.
 */
const BLANKS = /\s{3,}/g;

/** Operating systems of machines on a desk, where the user agent names no other kind of device. */
const DESKTOP = new Set([
  'windows',
  'macos',
  'linux',
  'chromeos',
  'solaris',
  'unix',
  'freebsd',
  'openbsd',
  'netbsd',
]);

/** Programs that say of themselves that they are no person's browser. Cubot makes phones. */
const BOT =
  /(?<!cu)bot(?:\b|[/;_-])|crawl|spider|slurp|mediapartners|facebookexternalhit|bingpreview|headlesschrome|lighthouse|pingdom|uptime|monitoring|google-inspectiontool|archiver|scrapy/i;

/** Reads one user agent. `userAgent` is a wire text. */
export function readDevice(userAgent: string): DeviceFacts {
  const text = userAgent.slice(0, LONGEST_USER_AGENT).replace(BLANKS, ' ');
  const parser = new UAParser(text);
  const { name: osName = '', version: osVersion = '' } = parser.getOS();
  const { model = '', type = '' } = parser.getDevice();
  const browser = normaliseBrowser(parser.getBrowser().name ?? '');
  const os = normaliseOs(osName);
  const osFamily = isLinux(os) ? 'linux' : '';
  return {
    type: deviceType(text, type, osFamily || os),
    os,
    osFamily,
    osVersion: readVersion(osVersion),
    model: model.toLowerCase(),
    browser,
    browserFamily: browser.startsWith('mobile ') ? browser.slice(7) : '',
  };
}

function deviceType(userAgent: string, type: string, os: string): string {
  if (BOT.test(userAgent)) return 'bot';
  if (type === 'mobile' || type === 'tablet') return type;
  return type === '' && DESKTOP.has(os) ? 'desktop' : '';
}

const VERSION = /^(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?![0-9])/;

/** `17.4.1`, `10`, `14.2_beta` as a version of three numbers; null where it does not begin with one. */
export function readVersion(text: string): SemVer | null {
  const found = VERSION.exec(text);
  if (found === null) return null;
  const [, major, minor = '0', patch = '0'] = found;
  return new SemVer(`${Number(major)}.${Number(minor)}.${Number(patch)}`, VERSION_OPTIONS);
}

const NO_DEVICE: DeviceFacts = {
  type: '',
  os: '',
  osFamily: '',
  osVersion: null,
  model: '',
  browser: '',
  browserFamily: '',
};

/** A bounded memory of read user agents, the least recently used forgotten first. */
export class DeviceCache {
  readonly #known: LRUCache<string, DeviceFacts>;

  /** Keeps at most `max` user agents, about 1 KiB each. */
  constructor(max = 8192) {
    this.#known = new LRUCache({ max });
  }

  get(userAgent: string | undefined): DeviceFacts {
    if (userAgent === undefined) return NO_DEVICE;
    const key = userAgent.length > LONGEST_USER_AGENT ? userAgent.slice(0, LONGEST_USER_AGENT) : userAgent;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const device = readDevice(key);
    this.#known.set(standaloneText(key), device);
    return device;
  }
}
