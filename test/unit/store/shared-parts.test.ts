/** Commits share what they have alike, and nobody can tell. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createSharing } from '../../../src/store/shared-parts.ts';
import type { Commit, ServiceDocument } from '../../../src/store/store.ts';
import { makeCommit } from './commits.ts';

/** As it comes out of a store. */
function read(revision: number, percentage: number, changes: Partial<Commit> = {}): Commit {
  const { rollout } = makeCommit(1).document!;
  const rules = [
    {
      name: 'staff',
      match: { cidr: ['10.0.0.0/8'], header: { 'x-plan': { equals: 'pro' } } },
      percentage: 100,
    },
    { name: 'everyone', percentage },
  ];
  const document = { definition: null, rollout: { ...rollout!, document: { rules } } };
  return structuredClone({ ...makeCommit(revision), service: 'notes', document, ...changes });
}

const rulesOf = ({ document }: Commit) => document!.rollout!.document.rules;

describe('commits of one service', () => {
  it('share what the one before it holds, and only that', () => {
    const share = createSharing();
    const [first, second, third] = [read(1, 5), read(2, 10), read(3, 10)].map(share);
    assert.deepEqual([first, second, third], [read(1, 5), read(2, 10), read(3, 10)]);
    assert.equal(rulesOf(second!)[0], rulesOf(first!)[0]);
    assert.notEqual(rulesOf(second!)[1], rulesOf(first!)[1]);
    assert.equal(third!.document, second!.document);
  });

  it('share nothing with those of another service, or of before it was deleted', () => {
    const share = createSharing();
    const first = share(read(1, 5));
    const other = share(read(2, 5, { service: 'shop' }));
    assert.notEqual(other.document, first.document);
    assert.equal(share(read(3, 5, { document: null })).document, null);
    assert.notEqual(share(read(4, 5)).document, first.document);
  });

  it('come out as they went in, whatever they hold, to the order of their keys', () => {
    const near = fc
      .tuple(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 1 }), fc.string({ maxLength: 3 }))
      .map(([value, more, key]) => [
        value,
        value,
        { a: value, b: more },
        { b: more, a: value },
        { a: value, b: more, c: more, [key]: value },
        { a: more, b: value },
        [value, more],
        { 0: value, 1: more },
        [more, value, value],
      ]);
    const odd = ['{"__proto__":{}}', '{}', '{"__proto__":{"a":1}}', '{"toString":{}}', '{"a":-0}', '{"a":0}'];
    fc.assert(
      fc.property(fc.shuffledSubarray(odd), near, (first, values) => {
        const share = createSharing();
        for (const text of [...first, ...values.map((value) => JSON.stringify(value))]) {
          const document = JSON.parse(text) as ServiceDocument;
          const written = JSON.stringify({ ...makeCommit(1), document });
          assert.equal(JSON.stringify(share({ ...makeCommit(1), document })), written);
        }
      }),
      { numRuns: 500 },
    );
    assert.deepEqual(Object.keys(Object.prototype), []);
  });

  it('may be nested deeper than any document is', () => {
    const share = createSharing();
    const text = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`;
    for (const revision of [1, 2]) {
      const document = JSON.parse(text) as ServiceDocument;
      assert.equal(share({ ...makeCommit(revision), document }).document, document);
    }
  });
});
