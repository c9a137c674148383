/**
 * A million users through the decision, up the ramp: `node bench/million-users.ts [--users N] [--write]`.
 *
 * At 1, 10, 20, 50 and 100 % of everyone it checks that the share of users is the percentage within four standard
 * errors, that nobody leaves the canary on the way up, once by the hash alone and once by browsers that keep their
 * latch while they log in, go home and change devices, and that a second process decides alike for every user. Users
 * are known by a header, by a cookie of the application, by a minted id, or by nothing but their fingerprint. Exits 1
 * where anything of this does not hold. `--write` keeps the table in RESULTS.md.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { addressV4 } from '../src/ip/address.ts';
import { compileContext, compilePolicy, type CompiledPolicy } from '../src/policy/compile.ts';
import { decide } from '../src/policy/decide.ts';
import { newDecision } from '../src/policy/decision.ts';
import type { RequestFacts } from '../src/policy/facts.ts';
import { EMPTY_NETWORKS } from '../src/ip/network.ts';
import { machine, table, writeSection } from './results.ts';

const PERCENTAGES = [1, 10, 20, 50, 100] as const;
const NOW = 1_700_000_000;

const { values: options } = parseArgs({
  options: {
    users: { type: 'string', default: '1000000' },
    write: { type: 'boolean', default: false },
    /** Prints the digest alone; for the second process. */
    digest: { type: 'boolean', default: false },
  },
});
const USERS = Number(options.users);
if (!Number.isInteger(USERS) || USERS < 1000) {
  process.stderr.write(`--users is a whole number of 1000 or more, not ${options.users}\n`);
  process.exit(2);
}

const context = compileContext({
  segments: {},
  followPeers: EMPTY_NETWORKS,
  regionDatabase: null,
  keys: [{ id: 'bench', secret: new Uint8Array(32).fill(42) }],
});
const policies = PERCENTAGES.map((percentage, step) => policyAt(percentage, step));

function policyAt(percentage: number, step: number): CompiledPolicy {
  return compilePolicy(
    {
      name: 'notes',
      pathPrefix: '/',
      identity: [
        { header: 'x-user-id' },
        { cookie: 'uid' },
        { cookie: 'serin_id', mint: true },
        { fingerprint: true },
      ],
      cookies: { sameSite: 'Lax', secure: 'auto', partitioned: false, maxAge: 86_400 },
      follow: [],
      settings: { fallbackToStable: true, fallbackToCanary: false },
      revision: step + 1,
      networks: {},
      rollout: {
        id: 'bench-rollout',
        epoch: 1,
        seed: '5eed5eed5eed5eed5eed5eed5eed5eed',
        bucketAlgorithm: 'xxh64-1',
        fingerprintKey: 'bench',
        phase: 'running',
        document: { rules: [{ name: 'everyone', percentage }] },
        step,
        startedAt: '2026-01-01T00:00:00Z',
      },
    },
    context,
  );
}

/** One request, written anew for each user. */
const NO_COOKIES: readonly string[] = [];

class Visitor implements RequestFacts {
  readonly method = 'GET';
  readonly path = '/';
  readonly query = '';
  readonly secure = true;
  client = addressV4(0);
  readonly peer = addressV4(0x0a000001);
  userId: string | undefined;
  uid: string | undefined;
  serinId: string | undefined;
  latch: string | undefined;
  language = 'en';

  /** The user of this number, as the first request after a while: the cookies of before the rollout, no latch. */
  become(number: number): void {
    this.client = addressV4((0x0b000000 + number) >>> 0);
    this.userId = number % 4 === 0 ? `user-${number}` : undefined;
    this.uid = number % 4 === 1 ? `${number}`.padStart(12, '0') : undefined;
    this.serinId = number % 4 === 2 ? mintedIds[number >>> 2] : undefined;
    this.latch = undefined;
    this.language = 'en';
  }

  header(name: string): string | undefined {
    if (name === 'x-user-id') return this.userId;
    return name === 'accept-language' ? this.language : undefined;
  }

  cookie(name: string): string | undefined {
    if (name === 'uid') return this.uid;
    if (name === 'serin_id') return this.serinId;
    return name === 'serin_latch_notes' ? this.latch : undefined;
  }

  otherCookies(): readonly string[] {
    return NO_COOKIES;
  }
}

const idFor = (number: number): string => `visitor-${String(number).padStart(14, '0')}`;
let nextId = 0;
const random = (): string => idFor(nextId++);

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

progress('minting ids …');
const mintedIds = Array.from({ length: Math.ceil(USERS / 4) }, (_, number) =>
  context.mintedIds.seal('', idFor(1_000_000_000 + number), '', ''),
);

interface Step {
  readonly percentage: number;
  canary: number;
  /** Users that were on the canary at the step before and are no more. */
  left: number;
  nanoseconds: number;
}

/** Passes every user through every step. `request` prepares the visitor, `after` sees the decision. */
function climb(
  what: string,
  onCanary: Uint8Array,
  request: (visitor: Visitor, number: number, step: number) => void,
  after: (number: number, step: number, canary: boolean, bucket: number, setCookies: string) => void,
): Step[] {
  const visitor = new Visitor();
  const decision = newDecision();
  return PERCENTAGES.map((percentage, step) => {
    const policy = policies[step]!;
    const result: Step = { percentage, canary: 0, left: 0, nanoseconds: 0 };
    const started = performance.now();
    for (let number = 0; number < USERS; number++) {
      if (number % 50_000 === 0)
        progress(`${what}: ${percentage} %, ${Math.floor((100 * number) / USERS)} % of users`);
      request(visitor, number, step);
      decide(policy, visitor, 3, NOW, random, decision);
      const canary = decision.variant === 'canary';
      if (canary) result.canary++;
      else if (onCanary[number] === 1) result.left++;
      onCanary[number] = canary ? 1 : 0;
      after(number, step, canary, decision.bucket, decision.setCookies);
    }
    result.nanoseconds = ((performance.now() - started) / USERS) * 1e6;
    return result;
  });
}

/** By the hash alone: every request is the user's first. Gives the digest of what each user got, and the bucket. */
function climbByHash(): { steps: Step[]; digest: string } {
  const got = new Uint8Array(USERS);
  const buckets = new Int32Array(USERS);
  const steps = climb(
    'by hash',
    new Uint8Array(USERS),
    (visitor, number) => visitor.become(number),
    (number, step, canary, bucket) => {
      if (canary) got[number]! |= 1 << step;
      buckets[number] = bucket;
    },
  );
  const digest = createHash('sha256').update(got).update(new Uint8Array(buckets.buffer)).digest('hex');
  return { steps, digest };
}

const LATCH = /serin_latch_notes=([^;]+);/;

/** By browsers that keep their latch. Who was admitted is somebody else from then on: only the latch tells. */
function climbByLatch(): Step[] {
  const latches: (string | undefined)[] = Array.from({ length: USERS });
  return climb(
    'by latch',
    new Uint8Array(USERS),
    (visitor, number, step) => {
      visitor.become(number);
      const latch = latches[number];
      if (latch === undefined) return;
      visitor.latch = latch;
      visitor.client = addressV4((0xc0000000 + number) >>> 0);
      visitor.language = 'de';
      if (number % 4 !== 3) visitor.userId = `logged-in-${step}-${number}`;
    },
    (number, _step, canary, _bucket, setCookies) => {
      if (!canary || setCookies === '') return;
      const latch = LATCH.exec(setCookies)?.[1];
      // A copy of its own: a part of the line would keep the whole line.
      if (latch !== undefined) latches[number] = Buffer.from(latch, 'latin1').toString('latin1');
    },
  );
}

function digestOfSecondProcess(): Promise<string> {
  const child = spawn(process.execPath, [import.meta.filename, '--digest', '--users', String(USERS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output.trim());
      else reject(new Error(`the second process ended with ${code}`));
    });
  });
}

async function main(): Promise<void> {
  if (options.digest) {
    process.stdout.write(`${climbByHash().digest}\n`);
    return;
  }
  const started = performance.now();
  const { steps: byHash, digest } = climbByHash();
  const byLatch = climbByLatch();
  progress('a second process decides the same …');
  const second = await digestOfSecondProcess();
  progress('');

  const failures: string[] = [];
  const rows = [
    ['percent', 'canary users', 'share', 'within', 'left (hash)', 'left (latch)', 'ns (hash)', 'ns (latch)'],
  ];
  for (const [index, step] of byHash.entries()) {
    const latched = byLatch[index]!;
    const p = step.percentage / 100;
    const bound = 4 * Math.sqrt(USERS * p * (1 - p));
    const ok = Math.abs(step.canary - USERS * p) <= bound;
    if (!ok) failures.push(`${step.percentage} %: ${step.canary} users are beyond four standard errors`);
    if (step.left > 0)
      failures.push(`${step.percentage} %: ${step.left} users left the canary by their hash`);
    if (latched.left > 0)
      failures.push(`${step.percentage} %: ${latched.left} users left the canary in spite of a latch`);
    rows.push([
      `${step.percentage}`,
      `${step.canary}`,
      `${((100 * step.canary) / USERS).toFixed(3)} %`,
      `± ${((100 * bound) / USERS).toFixed(3)} %`,
      `${step.left}`,
      `${latched.left}`,
      step.nanoseconds.toFixed(0),
      latched.nanoseconds.toFixed(0),
    ]);
  }
  const same = second === digest;
  if (!same) failures.push('the second process decided otherwise');
  const facts = `${USERS} users; a second process decided ${same ? 'the same for each' : 'OTHERWISE'} (digest ${digest.slice(0, 16)}).`;
  const markdown = `${table(rows)}\n\n${facts}`;
  process.stdout.write(`${markdown}\n${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  for (const failure of failures) process.stdout.write(`FAILED: ${failure}\n`);
  if (options.write && failures.length === 0) {
    const data = { users: USERS, digest, byHash, byLatch, machine: machine() };
    writeSection(
      'million-users',
      'A million users up the ramp (`node bench/million-users.ts --write`)',
      markdown,
      data,
    );
  }
  process.exitCode = failures.length === 0 ? 0 : 1;
}

await main();
