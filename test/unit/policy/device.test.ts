import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { browserFault, osFault } from '../../../src/policy/device-names.ts';
import { DeviceCache, readDevice, readVersion } from '../../../src/policy/device.ts';
import { ANDROID, anyText, IPHONE } from './fixtures.ts';

const require = createRequire(import.meta.url);

interface Known {
  readonly userAgent: string;
  readonly deviceCategory: string;
  readonly platform: string;
}
/** Ten thousand user agents as they were seen on the Web, with what the browser told of its device. */
const KNOWN = JSON.parse(
  readFileSync(join(dirname(require.resolve('user-agents')), 'user-agents.json'), 'utf8'),
) as readonly Known[];

test('the parser is ua-parser-js 1.0.41, whose licence is MIT', () => {
  const root = join(dirname(require.resolve('ua-parser-js')), '..');
  const { version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    string
  >;
  assert.equal(version, '1.0.41');
  assert.equal(license, 'MIT');
  assert.match(readFileSync(join(root, 'license.md'), 'utf8'), /^MIT License/);
});

test('the type of ten thousand real devices is what their browsers told', () => {
  assert.ok(KNOWN.length >= 5000);
  const wrong = KNOWN.filter(
    ({ userAgent, deviceCategory }) => readDevice(userAgent).type !== deviceCategory,
  );
  assert.ok(wrong.length <= KNOWN.length / 1000, `${wrong.length} wrong, such as ${wrong[0]?.userAgent}`);
});

test('the operating system of real devices fits the platform that their browsers told', () => {
  const fits: Record<string, readonly string[]> = {
    iPhone: ['ios'],
    iPad: ['ios'],
    MacIntel: ['macos'],
    Win32: ['windows'],
  };
  let told = 0;
  let wrong = 0;
  for (const { userAgent, platform } of KNOWN) {
    const expected = fits[platform];
    if (expected === undefined) continue;
    told++;
    if (!expected.includes(readDevice(userAgent).os)) wrong++;
  }
  // Some browsers claim another platform in one of the two places.
  assert.ok(told > 5000 && wrong <= told / 200, `${wrong} of ${told}`);
});

test('iPhones, their iOS versions and models are read from real user agents', () => {
  let phones = 0;
  for (const { userAgent } of KNOWN) {
    const version = /^Mozilla\/5\.0 \(iPhone; CPU iPhone OS (\d+)_(\d+)(?:_(\d+))? like Mac OS X\)/.exec(
      userAgent,
    );
    if (version === null) continue;
    phones++;
    const { model, os, osVersion } = readDevice(userAgent);
    assert.equal(model, 'iphone', userAgent);
    assert.equal(os, 'ios', userAgent);
    // From 26 on, WebKit says 18.6 or 18.7 for ever, and Safari's version is that of iOS.
    const safari = /^18_[67]/.test(`${version[1]}_${version[2]}`)
      ? /Version\/(2[6-9][\d.]*) .*Safari/.exec(userAgent)?.[1]
      : undefined;
    const [major, minor = '0', patch = '0'] = (safari ?? version.slice(1).join('.')).split('.');
    assert.equal(osVersion?.version, `${major}.${minor}.${patch || '0'}`, userAgent);
  }
  assert.ok(phones > 1000);
});

test('every name that real user agents have is one that rules may use', () => {
  const systems = new Set<string>();
  const browsers = new Set<string>();
  for (const { userAgent } of KNOWN) {
    const { os, osFamily, browser, browserFamily } = readDevice(userAgent);
    for (const name of [os, osFamily]) if (name !== '') systems.add(name);
    for (const name of [browser, browserFamily]) if (name !== '') browsers.add(name);
  }
  assert.deepEqual([...systems].map(osFault).filter(Boolean), []);
  assert.deepEqual([...browsers].map(browserFault).filter(Boolean), []);
});

test('reads the facets', () => {
  const iphone = readDevice(IPHONE);
  assert.equal(`${iphone.type} ${iphone.os} ${iphone.osVersion?.version}`, 'mobile ios 17.5.1');
  assert.equal(`${iphone.model} ${iphone.browser} ${iphone.browserFamily}`, 'iphone mobile safari safari');
  const pixel = readDevice(ANDROID);
  assert.equal(`${pixel.type} ${pixel.os} ${pixel.osVersion?.version}`, 'mobile android 14.0.0');
  assert.equal(`${pixel.model} ${pixel.browser}`, 'pixel 8 chrome');
  const ubuntu = readDevice('Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0');
  assert.equal(
    `${ubuntu.type} ${ubuntu.os} ${ubuntu.osFamily} ${ubuntu.browser}`,
    'desktop ubuntu linux firefox',
  );
  const mac = readDevice(
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
  );
  assert.equal(
    `${mac.type} ${mac.os} ${mac.osVersion?.version} ${mac.browser}`,
    'desktop macos 10.15.7 safari',
  );
});

test('each operating system is told from a user agent of its own', () => {
  const agents: Record<string, string> = {
    'windows phone': 'Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) Edge/15.15254',
    chromeos: 'Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36',
    harmonyos:
      'Mozilla/5.0 (Linux; Android 10; HarmonyOS; ANA-AN00) AppleWebKit/537.36 Chrome/99 Mobile Safari/537.36',
    kaios: 'Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5',
    tizen: 'Mozilla/5.0 (SMART-TV; LINUX; Tizen 5.0) AppleWebKit/537.36 Version/5.0 TV Safari/537.36',
    freebsd: 'Mozilla/5.0 (X11; FreeBSD amd64; rv:109.0) Gecko/20100101 Firefox/115.0',
    fedora: 'Mozilla/5.0 (X11; Fedora; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0',
    'red hat': 'Mozilla/5.0 (X11; Linux; Red Hat 9) Konqueror/3.1',
    playstation: 'Mozilla/5.0 (PlayStation 4 11.00) AppleWebKit/605.1.15 (KHTML, like Gecko)',
  };
  for (const [os, userAgent] of Object.entries(agents)) {
    assert.equal(readDevice(userAgent).os, os, userAgent);
    assert.equal(osFault(os), null);
  }
});

test('bots are bots, whatever device they claim; libraries, consoles and nothing have no type', () => {
  const bots = [
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) AppleWebKit/537.36 Chrome/126 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
    'Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)',
    'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/600.2.5 (Applebot/0.1; +http://www.apple.com/go/applebot)',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36',
    'Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)',
  ];
  for (const bot of bots) assert.equal(readDevice(bot).type, 'bot', bot);
  for (const none of [
    '',
    'curl/8.5.0',
    'okhttp/4.12.0',
    'python-requests/2.32',
    'Mozilla/5.0 (PlayStation 4 11.00)',
  ]) {
    assert.equal(readDevice(none).type, '', none);
  }
  const cubot =
    'Mozilla/5.0 (Linux; Android 11; CUBOT_X30) AppleWebKit/537.36 Chrome/96 Mobile Safari/537.36';
  assert.equal(readDevice(cubot).type, 'mobile');
});

test('versions are the numbers at the beginning', () => {
  assert.equal(readVersion('17.5.1')?.version, '17.5.1');
  assert.equal(readVersion('14')?.version, '14.0.0');
  assert.equal(readVersion('10.15.7.3')?.version, '10.15.7');
  assert.equal(readVersion('007.1')?.version, '7.1.0');
  for (const none of ['', 'XP', 'Vista', 'x86_64', '9999999999']) assert.equal(readVersion(none), null, none);
});

test('a mistaken name of a system or a browser is said to be one', () => {
  assert.match(osFault('andriod') ?? '', /"andriod"; did you mean "android"\?/);
  assert.match(osFault('Beos2000x') ?? '', /such as "ios"/);
  assert.match(osFault('iPadOS') ?? '', /"model": "iPad"/);
  assert.match(browserFault('chorme') ?? '', /did you mean "chrome"\?/);
  for (const os of ['iOS', 'Android', 'Mac OS', 'macOS', 'Windows', 'Linux', 'Ubuntu', 'Chrome OS'])
    assert.equal(osFault(os), null, os);
  for (const browser of ['Chrome', 'Safari', 'Internet Explorer', 'some browser of the future']) {
    assert.equal(browserFault(browser), null, browser);
  }
});

test('a user agent is parsed once while it is kept, and only its first 400 characters count', () => {
  const cache = new DeviceCache(2);
  const first = cache.get(IPHONE);
  assert.equal(cache.get(IPHONE), first);
  const long = IPHONE + ' '.repeat(500);
  assert.equal(cache.get(`${long}a`), cache.get(`${long}b`));
  cache.get('other');
  assert.notEqual(cache.get(IPHONE), first);
  assert.equal(cache.get(undefined).type, '');
});

test('no user agent makes it throw, and hostile ones take no time', () => {
  fc.assert(fc.property(anyText, (text) => void readDevice(text)));
  const pieces = [
    'Mozilla/5.0 (',
    ';',
    ')',
    ' ',
    'Android',
    'iPhone OS ',
    'Build/',
    'Version/',
    '1.1',
    '_',
    'opera ',
    'wv) ',
    'bot',
    'safari',
  ];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...pieces), { maxLength: 120 }),
      (parts) => void readDevice(parts.join('')),
    ),
    { numRuns: 500 },
  );
  // Were it the square of the length, each would take an hour: the limit of a test file ends it then.
  for (const hostile of ['a', ' ', 'Opera ', ';(', 'Android ', 'bo'])
    readDevice(hostile.repeat(Math.ceil(3_000_000 / hostile.length)));
});
