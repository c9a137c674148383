/**
 * Decisions of a few thousand users under a policy of many kinds, as one digest. Run as a program, it prints the
 * digest, so that two processes can be compared.
 */
import { createHash } from 'node:crypto';
import process from 'node:process';
import { compilePolicy } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { newDecision } from '../../src/policy/decision.ts';
import { createOverride } from '../../src/policy/override.ts';
import {
  ANDROID,
  Browser,
  context,
  facts,
  idOf,
  IPHONE,
  NOW,
  rollout,
  service,
  type Request,
} from '../unit/policy/fixtures.ts';

export function processDigest(): string {
  const policy = compilePolicy(
    service({
      identity: [{ header: 'x-user-id' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }],
      rollout: rollout(
        [
          { name: 'office', match: { segment: 'office' }, percentage: 100 },
          {
            name: 'iPhones',
            match: { device: { model: 'iPhone', os: { name: 'ios', version: '>=17' } } },
            percentage: 50,
          },
          { name: 'new app', match: { header: { 'x-app': { semver: '>=8.2' } } }, percentage: 20 },
          { name: 'everyone', percentage: 10 },
        ],
        {},
        [{ name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } }],
      ),
    }),
    context(),
  );
  const hash = createHash('sha256');
  for (let number = 0; number < 3000; number++) {
    const request: Request = {
      client: number % 7 === 0 ? '203.0.113.7' : `10.1.${number >> 8}.${number & 255}`,
      headers: {
        'user-agent': number % 2 === 0 ? IPHONE : ANDROID,
        ...(number % 3 === 0 ? { 'x-user-id': `user ${number}` } : {}),
        ...(number % 5 === 0 ? { 'x-app': `8.${number % 4}` } : {}),
        ...(number % 11 === 0 ? { 'x-tier': 'vip' } : {}),
        ...(number % 13 === 0
          ? { 'x-serin-override': createOverride(policy.context.keys, 'notes', 'always', NOW, 60) }
          : {}),
      },
    };
    const browser = new Browser(request);
    for (let visit = 0; visit < 2; visit++) {
      const sent = { ...request, cookies: { ...browser.cookies } };
      const decision = decide(policy, facts(sent), 3, NOW, () => idOf(number), newDecision());
      for (const line of decision.setCookies.split('\r\n').slice(0, -1)) browser.keep(line);
      hash.update(JSON.stringify(decision));
    }
  }
  return hash.digest('hex');
}

if (process.argv[1] === import.meta.filename) process.stdout.write(`${processDigest()}\n`);
