/** Real user agents and client hints with what they mean, and what their versions are worth. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hintsText } from '../../../src/policy/client-hints.ts';
import { DeviceCache, readDevice } from '../../../src/policy/device.ts';
import { doubtsOf } from '../../../src/policy/doubts.ts';
import type { Match } from '../../../src/policy/conditions/match.ts';
import { anyText, decideOnce, facts, policy } from './fixtures.ts';

interface Agent {
  readonly name: string;
  readonly userAgent: string;
  readonly type: string;
  readonly os: string;
  readonly version: string | null;
  readonly model: string;
  readonly browser: string;
}

const AGENTS = JSON.parse(
  readFileSync(new URL('../../data/user-agents.json', import.meta.url), 'utf8'),
) as readonly Agent[];

for (const { name, userAgent, ...expected } of AGENTS) {
  test(`a user agent: ${name}`, () => {
    const { type, os, osVersion, model, browser } = readDevice(userAgent);
    assert.deepEqual({ type, os, version: osVersion?.version ?? null, model, browser }, expected);
  });
}

const IOS = (version: string, rest: string): string =>
  `Mozilla/5.0 (iPhone; CPU iPhone OS ${version} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) ${rest}`;

test('what else a user agent says of its iOS counts only where the version of WebKit is a frozen one', () => {
  for (const [userAgent, version] of [
    [IOS('18_6_2', 'Version/18.6 Mobile/15E148 Safari/604.1'), '18.6.2'],
    [IOS('18_7', 'Version/26.2 Mobile/15E148 Reader/1.0'), '18.7.0'],
    [IOS('18_7', 'Version/99.1 Mobile/15E148 Safari/604.1'), '99.1.0'],
    [IOS('17_4', 'Mobile/15E148 Weibo (iPhone16,2__weibo__15.11.0__iphone__os16.1)'), '17.4.0'],
    [IOS('17_4', 'Version/26.2 Mobile/15E148 Safari/604.1'), '17.4.0'],
  ] as const)
    assert.equal(readDevice(userAgent).osVersion?.version, version, userAgent);
});

test('a HarmonyOS that tells its own version has that one', () => {
  for (const said of ['HarmonyOS 4.2', 'HarmonyOS/4.2'])
    assert.equal(
      readDevice(`Mozilla/5.0 (Linux; Android 12; ${said}; ALN-AL00)`).osVersion?.version,
      '4.2.0',
    );
});

test('the kind of a HarmonyOS device is the word that it begins with', () => {
  for (const [kind, type] of [
    ['Phone', 'mobile'],
    ['Tablet', 'tablet'],
    ['PC', 'desktop'],
    ['2in1', 'desktop'],
    ['Wearable', ''],
    ['TV', ''],
    ['Car', ''],
  ])
    assert.equal(
      readDevice(`Mozilla/5.0 (${kind}; OpenHarmony 5.0) AppleWebKit/537.36 Mobile`).type,
      type,
      kind,
    );
});

test('pages within Douyin are read as its own, by either of its words', () => {
  for (const word of ['aweme_250000', 'aweme/32.5.0', 'BytedanceWebview/d8a21c6'])
    assert.equal(readDevice(IOS('16_6', `Mobile/15E148 ${word}`)).browser, 'douyin', word);
});

test('robots and monitors are bots where they say so as programs of the Web do', () => {
  for (const name of ['AcmeRobot/1.0', 'Acme Robot', 'acme-monitor/2', 'Monitoring/1.0'])
    assert.equal(readDevice(`Mozilla/5.0 (compatible; ${name}; +https://acme.test)`).type, 'bot', name);
  const cubot =
    'Mozilla/5.0 (Linux; Android 11; CUBOT_X30) AppleWebKit/537.36 Chrome/96 Mobile Safari/537.36';
  assert.equal(readDevice(cubot).type, 'mobile');
});

test('more blanks than one say nothing', () => {
  const spaced = agentOf('Chrome on Android, reduced: phone').replace('; Android', ';    \t Android');
  assert.deepEqual(readDevice(spaced), readDevice(agentOf('Chrome on Android, reduced: phone')));
});

const agentOf = (name: string): string => AGENTS.find((agent) => agent.name === name)!.userAgent;
const REDUCED = agentOf('Chrome on Android, reduced: phone');
const WINDOWS = agentOf('Edge on Windows');

function hinted(userAgent: string, hints: Readonly<Record<string, string>>) {
  const headers = Object.fromEntries(
    Object.entries(hints).map(([name, value]) => [`sec-ch-ua-${name}`, value]),
  );
  const text = hintsText(facts({ headers }));
  const { type, os, osVersion, model } = new DeviceCache().get(userAgent, text);
  return [type, os, osVersion?.version, model].join(' ');
}

test('hints say what the user agent no longer does', () => {
  const android = { platform: '"Android"', mobile: '?1' };
  assert.equal(hinted(REDUCED, android), 'mobile android 10.0.0 ');
  assert.equal(
    hinted(REDUCED, { ...android, 'platform-version': '"14.0.0"', model: '"Pixel 8"' }),
    'mobile android 14.0.0 pixel 8',
  );
  assert.equal(
    hinted(REDUCED, { ...android, 'platform-version': '"15"', 'form-factors': '"Tablet"' }),
    'tablet android 15.0.0 ',
  );
  const windows = { platform: '"Windows"', mobile: '?0' };
  for (const [version, expected] of [
    ['15.0.0', '11.0.0'],
    ['13.0.0', '11.0.0'],
    ['12.9.0', '10.0.0'],
    ['10.0.0', '10.0.0'],
    ['1.0.0', '10.0.0'],
    ['0.3', '8.1.0'],
    ['0.2.0', '8.0.0'],
    ['0.1.0', '7.0.0'],
  ]) {
    assert.equal(
      hinted(WINDOWS, { ...windows, 'platform-version': `"${version}"` }),
      `desktop windows ${expected} `,
    );
  }
  const mac = agentOf('Safari on macOS').replace(
    'Version/18.1 Safari/605.1.15',
    'Chrome/131.0.0.0 Safari/537.36',
  );
  assert.equal(
    hinted(mac, { platform: '"macOS"', 'platform-version': '"15.1.0"' }),
    'desktop macos 15.1.0 macintosh',
  );
});

test('hints of another system than that of the user agent leave nothing of its version and its model', () => {
  assert.equal(
    hinted(WINDOWS, { platform: '"Android"', mobile: '?1', model: '"Pixel 8"' }),
    'mobile android  pixel 8',
  );
  const linux = 'Mozilla/5.0 (X11; Ubuntu; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36';
  const text = hintsText(
    facts({ headers: { 'sec-ch-ua-platform': '"Chrome OS"', 'sec-ch-ua-platform-version': '"16093.1"' } }),
  );
  const { os, osFamily, osVersion, type } = new DeviceCache().get(linux, text);
  assert.deepEqual([os, osFamily, osVersion?.version, type], ['chromeos', '', '16093.1.0', 'desktop']);
  const phone = agentOf('WeChat on Android');
  assert.equal(
    hinted(phone, { platform: '"Windows"', mobile: '?0', 'platform-version': '"15"', model: '""' }),
    'desktop windows 11.0.0 ',
  );
  assert.equal(hinted(phone, { platform: '"Android"', model: '""' }), 'mobile android 14.0.0 23127pn0cc');
});

test('whether it is a phone is told by a hint, and by the user agent where there is none', () => {
  const tablet = agentOf('Chrome on Android, reduced: tablet');
  const android = { platform: '"Android"', 'platform-version': '"14"' };
  assert.equal(hinted(tablet, { ...android, mobile: '?1' }), 'mobile android 14.0.0 ');
  assert.equal(hinted(tablet, { ...android, mobile: '?0' }), 'tablet android 14.0.0 ');
  assert.equal(hinted(REDUCED, { ...android, mobile: '?0' }), 'mobile android 14.0.0 ');
  for (const system of ['"macOS"', '"Windows"', '"Chromium OS"'])
    assert.match(hinted(REDUCED, { platform: system, 'platform-version': '"14"' }), /^desktop /, system);
  assert.match(hinted(REDUCED, { ...android, 'form-factors': '"XR", "Desktop"' }), /^desktop /);
});

test('a model alone is a hint, and quotes within it are its own', () => {
  assert.equal(
    hinted(REDUCED, { platform: '"Android"', model: '"Pixel 8"' }),
    'mobile android 10.0.0 pixel 8',
  );
  assert.equal(
    hinted(REDUCED, { platform: '"Android"', model: '"Tab 8\\" \\\\ Pro"' }),
    'mobile android 10.0.0 tab 8" \\ pro',
  );
});

test('a bot stays a bot, HarmonyOS stays itself, and junk counts as absent', () => {
  const bot = agentOf('GoogleOther, which claims a phone');
  assert.match(hinted(bot, { platform: '"Android"', 'platform-version': '"14"' }), /^bot android 6\.0\.1/);
  const harmony = agentOf('HuaweiBrowser on HarmonyOS 4, which says Android 12');
  assert.match(
    hinted(harmony, { platform: '"Android"', 'platform-version': '"12.0.0"' }),
    /^mobile harmonyos {2}/,
  );
  for (const hints of [
    { platform: 'Android', 'platform-version': '"14"' },
    { platform: '"Amiga"', 'platform-version': '"14"' },
    { 'platform-version': '"14"' },
    { platform: '"Android"', 'platform-version': '14' },
    { platform: '"Android"', 'platform-version': '"x"', model: '""' },
    { platform: '"Android"', 'platform-version': '"1', model: `"${'x'.repeat(5000)}"` },
  ] as Record<string, string>[]) {
    assert.equal(hinted(REDUCED, hints), 'mobile android 10.0.0 ', JSON.stringify(hints));
  }
});

test('what is remembered of a user agent is remembered with its hints, and hostile ones are bounded', () => {
  const cache = new DeviceCache(4);
  const text = (version: string) =>
    hintsText(
      facts({ headers: { 'sec-ch-ua-platform': '"Android"', 'sec-ch-ua-platform-version': `"${version}"` } }),
    );
  assert.equal(cache.get(REDUCED, text('14')).osVersion?.version, '14.0.0');
  assert.equal(cache.get(REDUCED, text('15')).osVersion?.version, '15.0.0');
  assert.equal(cache.get(REDUCED).osVersion?.version, '10.0.0');
  assert.equal(cache.get(REDUCED, text('14')), cache.get(REDUCED, text('14')));
  // The same hints of another browser are another device, and of a long user agent only the beginning counts.
  assert.equal(cache.get(WINDOWS, text('14')).browser, 'edge');
  assert.equal(cache.get(REDUCED, text('14')).browser, 'chrome');
  const long = REDUCED + ' '.repeat(500);
  assert.equal(cache.get(`${long}a`, text('14')), cache.get(`${long}b`, text('14')));
  assert.ok(text('1'.repeat(100_000)).length < 400);
  fc.assert(
    fc.property(anyText, anyText, anyText, (version, model, factors) => {
      const headers = {
        'sec-ch-ua-platform': '"Windows"',
        'sec-ch-ua-platform-version': version,
        'sec-ch-ua-model': model,
        'sec-ch-ua-form-factors': factors,
      };
      cache.get(WINDOWS, hintsText(facts({ headers })));
    }),
  );
});

test('a rule goes by the hints of the request', () => {
  const rules = policy([
    { name: 'r', match: { device: { os: { name: 'windows', version: '>=11' } } }, percentage: 100 },
  ]);
  const variant = (version: string): string =>
    decideOnce(rules, {
      headers: {
        'user-agent': WINDOWS,
        'sec-ch-ua-platform': '"Windows"',
        'sec-ch-ua-platform-version': version,
      },
    }).variant;
  assert.deepEqual(
    [variant('"15.0.0"'), variant('"10.0.0"'), variant('"15.0.0"')],
    ['canary', 'stable', 'canary'],
  );
});

test('harmonyos means all of them, openharmony those without Android', () => {
  const holds = (name: string, os: string): boolean =>
    decideOnce(policy([{ name: 'r', match: { device: { os } }, percentage: 100 }]), {
      headers: { 'user-agent': agentOf(name) },
    }).variant === 'canary';
  for (const name of ['HuaweiBrowser on HarmonyOS NEXT, phone', 'WeChat on HarmonyOS NEXT'])
    assert.ok(holds(name, 'harmonyos') && holds(name, 'openharmony'), name);
  const older = 'HuaweiBrowser on HarmonyOS 4, which says Android 12';
  assert.ok(holds(older, 'harmonyos') && !holds(older, 'openharmony') && !holds(older, 'android'));
});

test('a range that no user agent can tell apart is a doubt, where no hints are asked for', () => {
  const doubts = (name: string, version: string, asked = false): string[] => {
    const device: Match['device'] & object = { os: { name, version } };
    return doubtsOf({ rules: [{ name: 'r', match: { device }, percentage: 1 }] }, { clientHints: asked });
  };
  for (const [name, version] of [
    ['android', '>=11'],
    ['Android', '<12'],
    ['macOS', '>=11'],
    ['macos', '>=14 <15'],
    ['windows', '>=11'],
    ['windows', '11'],
  ] as const) {
    assert.match(doubts(name, version)[0] ?? '', /clientHints/, `${name} ${version}`);
    assert.deepEqual(doubts(name, version, true), []);
  }
  for (const [name, version] of [
    ['android', '>=8'],
    ['android', '<9'],
    ['ios', '>=17'],
    ['windows', '>=10'],
    ['macos', '<10.14'],
  ] as const) {
    assert.deepEqual(doubts(name, version), [], `${name} ${version}`);
  }
  assert.match(doubts('harmonyos', '>=4')[0] ?? '', /HarmonyOS/);
});
