/**
 * What it costs to know a user and to remember an admission: `node bench/micro/identity.ts`. Some seconds on one core.
 *
 * Minted ids and latches, known (verified before) and new; fingerprints; buckets. Values are cut anew out of a longer text for
 * each turn, as they are out of a request's head, so that strings are hashed as they are for real requests.
 */
import { bench, do_not_optimize, group, run } from 'mitata';
import { parseAddress, UNKNOWN_ADDRESS } from '../../src/ip/address.ts';
import { bucketOf, identityHash, rolloutSalt } from '../../src/policy/bucket.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import { fingerprint, MintedIds } from '../../src/policy/identity/identity-chain.ts';
import { KeyRing } from '../../src/policy/keys.ts';
import { Latches, latchScope, tagOf } from '../../src/policy/latch/latch.ts';

const USERS = 1024;
const keys = new KeyRing([{ id: 'bench', secret: new Uint8Array(32).fill(7) }]);
const scope = latchScope('notes', 'rollout-1');
const tag = tagOf('rollout-1');

/** Values in one text, as in a head, and whose turn it is. */
function inTurn(values: readonly string[]): () => string {
  const text = Buffer.from(values.join(';'), 'latin1').toString('latin1');
  const starts: number[] = [];
  let at = 0;
  for (const value of values) {
    starts.push(at);
    at += value.length + 1;
  }
  let turn = 0;
  return () => {
    const index = turn++ % values.length;
    const start = starts[index] as number;
    return text.slice(start, start + (values[index] as string).length);
  };
}

const numbered = (length: number) => (index: number) => String(index).padStart(length, '0');
const users = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => of(index));

const ids = new MintedIds(keys);
const sealed = users(USERS, (index) => ids.seal('', `u${numbered(20)(index)}`, '', ''));
const latches = new Latches(keys);
const latched = users(USERS, (index) =>
  latches.seal({ scope, bucket: index, revision: 1, admitted: [tagOf('office')], excluded: [] }, tag),
);
const forged = (values: readonly string[]) =>
  values.map((value) => `${value.slice(0, -1)}${value.endsWith('A') ? 'B' : 'A'}`);

// A memory that holds one value knows none of them when its turn comes again.
const noIds = new MintedIds(keys, 1);
const noLatches = new Latches(keys, 1);

group('minted id', () => {
  const known = inTurn(sealed);
  bench('known', () => do_not_optimize(ids.open('notes', known())));
  const strange = inTurn(sealed);
  bench('new: verified', () => do_not_optimize(noIds.open('notes', strange())));
  const false_ = inTurn(forged(sealed));
  bench('forged', () => do_not_optimize(ids.open('notes', false_())));
  let next = 0;
  bench('sealed', () => do_not_optimize(ids.seal('', `u${numbered(20)(next++)}`, '', '')));
});

group('latch', () => {
  const known = inTurn(latched);
  bench('known', () => do_not_optimize(latches.open(scope, tag, known())));
  const strange = inTurn(latched);
  bench('new: verified', () => do_not_optimize(noLatches.open(scope, tag, strange())));
  const false_ = inTurn(forged(latched));
  bench('forged', () => do_not_optimize(latches.open(scope, tag, false_())));
  const admitted = [tagOf('office')];
  let next = 0;
  bench('sealed', () => {
    const bucket = next++ % 1_000_000;
    do_not_optimize(latches.seal({ scope, bucket, revision: 1, admitted, excluded: [] }, tag));
  });
});

group('user', () => {
  const names = inTurn(users(USERS, (index) => `user-${index * 7_919}`));
  const salt = rolloutSalt('notes', 1, '00112233445566778899aabbccddeeff');
  bench('bucket of a name', () => do_not_optimize(bucketOf(identityHash(salt, names()))));
  const agents = inTurn(
    users(USERS, (index) => `Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_${index} like Mac OS X)`),
  );
  const facts: RequestFacts = {
    method: 'GET',
    path: '/',
    query: '',
    peer: UNKNOWN_ADDRESS,
    client: parseAddress('203.0.113.7') ?? UNKNOWN_ADDRESS,
    secure: true,
    header: (name) => (name === 'user-agent' ? agents() : 'de-CH'),
    cookie: () => undefined,
    otherCookies: () => [],
  };
  bench('fingerprint', () => do_not_optimize(fingerprint(facts, keys, 'bench')));
});

await run({ format: 'mitata', colors: process.stdout.isTTY });
