/**
 * What a user agent and client hints tell of the device: type, operating system with version, model, browser.
 *
 * Read with ua-parser-js 1.0.41 (MIT; later major versions are not). Parsing costs about ten microseconds, so results
 * are cached and it happens only where an installed rule reads the device. Texts are lower case. Nothing here throws
 * on any input; what cannot be told is ''.
 */
import { LRUCache } from 'lru-cache';
import { SemVer } from 'semver';
import { UAParser } from 'ua-parser-js';
import { readHints, type ClientHints } from './client-hints.ts';
import { isLinux, normaliseBrowser, normaliseOs } from './device-names.ts';
import { VERSION_OPTIONS } from './version.ts';
import { standaloneText } from '../schema/latin1.ts';

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

/**
 * Programs that say of themselves that they are no person's browser. Cubot makes phones, and apps of people are called after robots and
 * monitoring: such words count only in what a program of the Web says of itself (`compatible; …`).
 */
const BOT =
  /(?<!cu|ro)bot(?:\b|[/;_-])|uptimerobot|compatible;[^)]*(?:robot|monitor)|crawl|spider|slurp|mediapartners|facebookexternalhit|meta-external(?:agent|fetcher)|bingpreview|headlesschrome|lighthouse|pingdom|statuscake|site24x7|newrelicpinger|datadog.?synthetics|google-inspectiontool|googleother|google-(?:extended|read-aloud|safety|adwords)|apis-google|feedfetcher|chatgpt-user|claude-user|perplexity-user|archiver|scrapy/i;

/** Kinds of HarmonyOS devices without Android beneath, as their user agents say them first. */
const OPEN_HARMONY = /\((Phone|Tablet|PC|2in1|Wearable|TV|Car)[^;)]*; OpenHarmony/;
const OPEN_HARMONY_TYPES: Readonly<Record<string, string>> = {
  Phone: 'mobile',
  Tablet: 'tablet',
  PC: 'desktop',
  '2in1': 'desktop',
};

/** Reads one user agent. `userAgent` is a wire text. */
export function readDevice(userAgent: string): DeviceFacts {
  const text = userAgent.slice(0, LONGEST_USER_AGENT).replace(BLANKS, ' ');
  const parser = new UAParser(text);
  const { name: osName = '', version: osVersion = '' } = parser.getOS();
  const { model = '', type = '' } = parser.getDevice();
  const browser = DOUYIN.test(text) ? 'douyin' : normaliseBrowser(parser.getBrowser().name ?? '');
  const told = normaliseOs(osName);
  // HarmonyOS without Android beneath is OpenHarmony to ua-parser-js, and HarmonyOS to people.
  const os = told === 'openharmony' ? 'harmonyos' : told;
  const osFamily = isLinux(os) ? 'linux' : told === os ? '' : told;
  const kind = OPEN_HARMONY.exec(text)?.[1];
  return {
    type: deviceType(text, kind === undefined ? type : (OPEN_HARMONY_TYPES[kind] ?? 'other'), osFamily || os),
    os,
    osFamily,
    osVersion: readVersion(toldVersion(text, told, osVersion)),
    model: REDUCED_ANDROID.test(text) ? '' : model.toLowerCase(),
    browser,
    browserFamily: browser.startsWith('mobile ') ? browser.slice(7) : '',
  };
}

/** The app of Douyin (TikTok's in China) and what its pages are shown with. */
const DOUYIN = /\baweme[_/]|BytedanceWebview/;

/** Chromium's reduced user agent: every phone is of this model, and every Android is 10. */
const REDUCED_ANDROID = /; Android 10; K\)/;

/**
 * The version of the operating system where the user agent has it elsewhere. From version 26 on, WebKit says that iOS is 18.6 or 18.7; Safari's
 * own version is that of its iOS, and some apps tell the true one. A version that HarmonyOS has is not that of the Android it stands for.
 */
function toldVersion(userAgent: string, os: string, version: string): string {
  if (os === 'harmonyos') return /HarmonyOS[ /](\d[\d.]*)/.exec(userAgent)?.[1] ?? '';
  if (os !== 'ios' || !/^18\.[67]/.test(version)) return version;
  const [, safari, weibo, baidu] = FROZEN_IOS.exec(userAgent) ?? [];
  return safari ?? weibo ?? baidu ?? version;
}

/** Safari's `Version/26.2 … Safari/`, Weibo's `__iphone__os26.1`, Baidu's `(Baidu; P2 26.1)`. */
const FROZEN_IOS =
  /\bVersion\/((?:2[6-9]|[3-9]\d)[\d.]*) (?=.*Safari\/)|__iphone__os(\d+(?:\.\d+)*)|\(Baidu; P\d (\d+(?:\.\d+)*)\)/;

/** Names of platforms in client hints, and of operating systems here. */
const PLATFORMS = new Map([
  ['android', 'android'],
  ['windows', 'windows'],
  ['macos', 'macos'],
  ['chrome os', 'chromeos'],
  ['chromium os', 'chromeos'],
  ['chromeos', 'chromeos'],
]);

/** What the user agent tells, with what hints say more exactly. */
function refineDevice(device: DeviceFacts, hints: ClientHints): DeviceFacts {
  const os = PLATFORMS.get(hints.platform.toLowerCase());
  // A program stays one, and a HarmonyOS that speaks as Android does is what it says it is.
  if (os === undefined || device.type === 'bot' || device.os === 'harmonyos') return device;
  const version = readVersion(
    os === 'windows' ? windowsVersion(hints.platformVersion) : hints.platformVersion,
  );
  const sameOs = device.os === os;
  return {
    ...device,
    os,
    osFamily: '',
    osVersion: version ?? (sameOs ? device.osVersion : null),
    model: hints.model.toLowerCase() || (sameOs ? device.model : ''),
    type: hintedType(hints, os) ?? device.type,
  };
}

/** Windows tells the version of its API: 13 and more are Windows 11, 1 to 10 are Windows 10, and those below have numbers of their own. */
function windowsVersion(version: string): string {
  const major = Number.parseInt(version, 10);
  if (major >= 13) return '11';
  if (major >= 1) return '10';
  return (
    new Map([
      ['0.1', '7'],
      ['0.2', '8'],
      ['0.3', '8.1'],
    ]).get(version.slice(0, 3)) ?? ''
  );
}

function hintedType({ formFactors, mobile }: ClientHints, os: string): string | null {
  for (const type of ['tablet', 'mobile', 'desktop']) if (formFactors.includes(type)) return type;
  if (mobile) return 'mobile';
  return os === 'android' ? null : 'desktop';
}

function deviceType(userAgent: string, type: string, os: string): string {
  if (BOT.test(userAgent)) return 'bot';
  if (type === 'mobile' || type === 'tablet' || type === 'desktop') return type;
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

/** A bounded memory of read user agents, and of those with their hints, the least recently used forgotten first. */
export class DeviceCache {
  readonly #known: LRUCache<string, DeviceFacts>;
  readonly #hinted: LRUCache<string, DeviceFacts>;

  /** Keeps at most `max` user agents, about 1 KiB each, and as many with hints. */
  constructor(max = 8192) {
    this.#known = new LRUCache({ max });
    this.#hinted = new LRUCache({ max });
  }

  /** `hints` is what `hintsText` gave. */
  get(userAgent: string | undefined, hints = ''): DeviceFacts {
    if (hints === '') return this.#read(userAgent);
    const key = `${hints}\n${(userAgent ?? '').slice(0, LONGEST_USER_AGENT)}`;
    const known = this.#hinted.get(key);
    if (known !== undefined) return known;
    const device = refineDevice(this.#read(userAgent), readHints(hints));
    this.#hinted.set(standaloneText(key), device);
    return device;
  }

  #read(userAgent: string | undefined): DeviceFacts {
    if (userAgent === undefined) return NO_DEVICE;
    const key = userAgent.length > LONGEST_USER_AGENT ? userAgent.slice(0, LONGEST_USER_AGENT) : userAgent;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const device = readDevice(key);
    this.#known.set(standaloneText(key), device);
    return device;
  }
}
