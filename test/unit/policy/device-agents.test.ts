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
    ['10.0.0', '10.0.0'],
    ['1.0.0', '10.0.0'],
    ['0.3', '8.1.0'],
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
