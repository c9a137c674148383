/** What stands in a shared store may be broken, hostile, or from another version: reading it says so and never throws. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { checkState } from '../../../src/state/state.ts';
import { claimedRevision, readCommit, readDocument } from '../../../src/store/commit-shape.ts';
import { readEntries, sort } from '../../../src/store/redis/redis-entries.ts';
import type { ServiceDocument } from '../../../src/store/store.ts';
import { CHARACTERS_A_TURN } from '../../../src/store/turns.ts';
import { makeCommit } from './commits.ts';

const COMMIT = makeCommit(3);
const DEFINITION = { hosts: ['notes.example'], stable: { endpoints: ['10.1.0.7:8080'] } };
const FULL = { ...COMMIT, document: { definition: DEFINITION, rollout: COMMIT.document?.rollout ?? null } };

type Path = readonly (string | number)[];

/** Every place inside a value. */
function places(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...at, key]))];
}

/** A copy with something else, or nothing, in one place. */
function changed(value: unknown, [key, ...further]: Path, put: unknown): unknown {
  if (key === undefined) return put;
  const copy = structuredClone(value) as Record<string, unknown>;
  if (further.length > 0) copy[key] = changed(copy[key], further, put);
  else if (put === undefined) delete copy[key];
  else copy[key] = put;
  return copy;
}

const anything = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, 0, -1, 1.5, 1e300, '', 'x', true, [], {}, [null], [{}]),
  fc.jsonValue({ maxDepth: 2 }),
);

/** A state with that document can be checked, so nothing that follows meets a shape it does not know. */
function isUsable(service: string, document: ServiceDocument): void {
  for (const services of [{}, { [service]: DEFINITION }]) {
    checkState({
      configuration: { services, segments: {} },
      revision: 3,
      documents: new Map([[service, { revision: 3, document }]]),
    });
  }
}

describe('a commit or a document of a shared store', () => {
  it('is read as it was written, with what a newer version adds', () => {
    assert.deepEqual(readCommit(JSON.stringify(FULL), 3), FULL);
    const newer = { ...FULL, more: 1, document: { ...FULL.document, more: { a: 1 } } };
    assert.deepEqual(readCommit(JSON.stringify(newer), 3), newer);
    const stored = { revision: 3, document: FULL.document };
    assert.deepEqual(readDocument('notes', JSON.stringify(stored)), stored);
    const deletion = { ...COMMIT, document: null };
    assert.deepEqual(readCommit(JSON.stringify(deletion), 3), deletion);
  });

  it('is read where it names what only some configurations have', () => {
    const match = { segment: ['staff'], region: { country: 'CN' } };
    const named = changed(FULL, ['document', 'rollout', 'document', 'rules', 0, 'match'], match);
    assert.deepEqual(readCommit(JSON.stringify(named), 3), named);
  });

  it('is refused where its revision is none that a store gives', () => {
    for (const revision of [0, -1, 0.5, 2 ** 53, null, '3']) {
      assert.equal(typeof readCommit(JSON.stringify({ ...FULL, revision }), Number(revision)), 'string');
      assert.equal(
        typeof readDocument('notes', JSON.stringify({ revision, document: FULL.document })),
        'string',
      );
    }
  });

  it('is refused with what is wrong', () => {
    for (const [path, put, says] of [
      [['document', 'rollout', 'bucketAlgorithm'], 'xxh64-2', /bucketAlgorithm: expected "?xxh64-1/],
      [['document', 'rollout', 'phase'], 'halted', /^\/rollout\/phase: expected/],
      [['document', 'rollout', 'seed'], undefined, /missing field "seed"/],
      [['document', 'rollout', 'seed'], 'zz', /16 bytes in hex/],
      [['document', 'rollout', 'document', 'rules', 0, 'match'], { moon: 'full' }, /unknown field "moon"/],
      [['document', 'rollout', 'document', 'rules', 0, 'match'], { cidr: ['banana'] }, /banana/],
      [
        ['document', 'rollout', 'document'],
        undefined,
        /^\/rollout\/document: expected a JSON value, got nothing/,
      ],
      [['document', 'rollout', 'document', 'rules'], 5, /^\/rollout\/document\/rules: expected a list/],
      [['document', 'definition', 'hosts'], [], /^\/definition\/hosts: expected at least one/],
      [['document', 'definition'], undefined, /not a commit that this version can read|lacks its definition/],
      [['revision'], 4, /says revision 4/],
      [['reason'], 7, /reason or its request is no text/],
      [['activateAt'], 'soon', /moment of activation is no time/],
    ] as const) {
      const read = readCommit(JSON.stringify(changed(FULL, path, put)), 3);
      assert.ok(typeof read === 'string', path.join('/'));
      assert.match(read, says);
    }
  });

  it('is whole, or a sentence, with anything in any place of it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...places(FULL)), anything, (path, put) => {
        const json = JSON.stringify(changed(FULL, path, put)) ?? '';
        const commit = readCommit(json, 3);
        if (typeof commit !== 'string' && commit.document !== null) isUsable('notes', commit.document);
        const stored = changed({ revision: 3, document: FULL.document }, path, put);
        const document = readDocument('notes', JSON.stringify(stored) ?? '');
        if (typeof document !== 'string') isUsable('notes', document.document);
        claimedRevision(json);
      }),
      { numRuns: 2000 },
    );
  });

  it('is a sentence where it is no JSON of ours at all', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        assert.equal(typeof readCommit(text, 3), 'string');
        assert.equal(typeof readDocument('notes', text), 'string');
        assert.ok(Number.isSafeInteger(claimedRevision(text)));
      }),
    );
  });
});

describe('the entries of the history', () => {
  const entry = (id: string, ...fields: readonly string[]) => [id, fields];
  const whole = (revision: number, service = makeCommit(revision).service) =>
    entry(
      `${revision}-0`,
      'service',
      service,
      'changeId',
      `change-${revision}`,
      'commit',
      JSON.stringify(makeCommit(revision)),
    );

  it('are sorted into what can be read and what can not', async () => {
    const { commits, faults } = await sort(
      readEntries([whole(1), entry('2-0', 'service', 'notes', 'changeId', 'c'), whole(3), whole(4, 'other')]),
    );
    assert.deepEqual(commits, [makeCommit(1), makeCommit(3)]);
    assert.deepEqual(
      faults.map(({ service, revision, changeId, detail }) => [service, revision, changeId, detail]),
      [
        ['notes', 2, 'c', 'the commit is not JSON'],
        ['other', 4, 'change-4', 'it names another service'],
      ],
    );
  });

  it('are many, and leave others their turns; what is poisoned among them is left out all the same', async () => {
    const reason = 'x'.repeat(CHARACTERS_A_TURN / 8);
    const list = Array.from({ length: 80 }, (_, index) => {
      const commit = { ...makeCommit(index + 1), kind: 'rollout.put', document: FULL.document, reason };
      const poisoned = changed(commit, ['document', 'rollout', 'document', 'rules', 0, 'match'], 5);
      const json = JSON.stringify(index === 40 ? poisoned : commit);
      return entry(`${index + 1}-0`, 'service', commit.service, 'changeId', commit.changeId, 'commit', json);
    });
    let turns = 0;
    let done = false;
    const others = (): void => {
      turns += 1;
      if (!done) setImmediate(others);
    };
    setImmediate(others);
    const { commits, faults } = await sort(readEntries(list));
    done = true;
    assert.ok(turns >= 10, `${turns}`);
    assert.equal(commits.length, 79);
    assert.deepEqual(
      faults.map(({ revision }) => revision),
      [41],
    );
    assert.match(faults[0]?.detail ?? '', /^\/rollout\/document\/rules\/0\/match: expected/);
  });

  it('are read whatever the answer is', async () => {
    // All that Redis can answer.
    const { reply } = fc.letrec((tie) => ({
      reply: fc.oneof(
        { maxDepth: 3 },
        fc.string(),
        fc.integer(),
        fc.constant(null),
        fc.array(tie('reply'), { maxLength: 5 }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(reply, fc.array(reply), async (answer, fields) => {
        for (const list of [answer, [answer], [['5-0', answer]], [['5-0', fields]], [[answer, fields]]]) {
          const { commits, faults } = await sort(readEntries(list));
          assert.deepEqual(commits, []);
          for (const { revision } of faults) assert.ok(Number.isSafeInteger(revision));
        }
      }),
    );
  });
});

describe('the URL of a Redis', () => {
  it('is read or refused in a sentence that holds no password, whatever it is', () => {
    const part = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom('@', ':', '/', ',', '?', '#', '%', '[::1]', '127.0.0.1', '6379', '//', 'a.example', ''),
    );
    const scheme = fc.constantFrom(
      'redis://',
      'rediss://',
      'redis+sentinel://',
      'redis-cluster://',
      'redis:',
      '',
    );
    fc.assert(
      fc.property(scheme, fc.array(part, { maxLength: 8 }), (start, parts) => {
        const target = parseRedisUrl(`${start}:S3CRETpassword@${parts.join('')}`);
        if (typeof target === 'string') assert.doesNotMatch(target, /S3CRET/);
        else assert.ok(target.addresses.length > 0 && target.addresses.every(({ port }) => port > 0));
        parseRedisUrl(start + parts.join(''));
      }),
      { numRuns: 2000 },
    );
  });
});
