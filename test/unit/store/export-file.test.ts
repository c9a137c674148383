import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeExport, encodeExport, fittingExport } from '../../../src/store/export-file.ts';
import { importLog } from '../../../src/store/file/log-import.ts';
import { StoreError } from '../../../src/store/store.ts';
import { type WholeStore, wholeStore } from '../../../src/store/whole-store.ts';
import { DIRECTORY, documentsAfter, makeCommit, storeOn } from './commits.ts';
import { memoryFiles } from './memory-files.ts';

const COMMITS = Array.from({ length: 30 }, (_, index) => makeCommit(index + 1));

/** The store after all of them, with the history from `first` on. */
const whole = (first: number): WholeStore => ({
  id: 'store-1',
  revision: 30,
  documents: documentsAfter(COMMITS),
  history: COMMITS.slice(first - 1),
});

const isCode = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

describe('an export', () => {
  it('gives back what it was made of', () => {
    for (const first of [1, 20, 31])
      assert.deepEqual(decodeExport(encodeExport(whole(first)), 'x'), whole(first));
    const empty: WholeStore = { id: '', revision: 0, documents: new Map(), history: [] };
    assert.deepEqual(decodeExport(encodeExport(empty), 'x'), empty);
  });

  it('holds the newest of a history that is too long for it', () => {
    const text = encodeExport(fittingExport(whole(1), 3000));
    const { history, documents, revision } = decodeExport(text, 'x');
    assert.ok(history.length > 2 && history.length < 12);
    assert.deepEqual(history, COMMITS.slice(-history.length));
    assert.deepEqual([documents, revision], [whole(1).documents, 30]);
    assert.equal(fittingExport(whole(1)).history.length, 30);
  });

  it('that the version before wrote is read', () => {
    const file = path.resolve(import.meta.dirname, '../../data/store/export-1.jsonl');
    const { revision, history, documents } = decodeExport(readFileSync(file, 'utf8'), file);
    assert.deepEqual([revision, history.length, documents.size], [12, 3, 3]);
  });

  it('is refused where anything of it is missing or changed', () => {
    const text = encodeExport(whole(25));
    fc.assert(
      fc.property(
        fc.nat(text.length - 2),
        fc.nat(text.length - 2),
        fc.constantFrom('', '0', '}', '\n', 'é'),
        (a, b, put) => {
          const [from, to] = [Math.min(a, b), Math.max(a, b)];
          const changed = text.slice(0, from) + put + text.slice(to);
          fc.pre(changed !== text);
          assert.throws(() => decodeExport(changed, 'x'), StoreError);
        },
      ),
    );
  });

  it('throws nothing but StoreError, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        assert.throws(() => decodeExport(text, 'x'), isCode('foreign', /is none of Serin/));
      }),
    );
    const head = (format: number): string =>
      `{"kind":"serin-export","format":${format},"id":"","revision":1,"documents":0,"commits":0}\n`;
    assert.throws(() => decodeExport(head(2), 'x'), isCode('newer', /format 2; this one reads 1/));
    assert.throws(() => decodeExport(head(1), 'x'), isCode('corrupt', /cut short/));
  });

  it('is refused where its format is none, though the sum is right', () => {
    const text = encodeExport(whole(25));
    const body = text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1);
    for (const format of ['0', '-1', '0.5', '1.5', '"1"', 'null', '1e400', '9007199254740992', '[1]']) {
      const changed = body.replace('"format":1', `"format":${format}`);
      const summed = `${changed}${JSON.stringify({ sha256: hash('sha256', changed) })}\n`;
      assert.throws(() => decodeExport(summed, 'x'), isCode('corrupt', /names no format/), format);
    }
  });

  it('is refused where its lines are not what the first one says, though the sum is right', () => {
    const { id, revision, documents, history } = whole(25);
    for (const wrong of [
      { id, revision: revision + 1, documents, history },
      { id, revision, documents, history: history.filter((_, index) => index !== 2) },
      { id, revision: 20, documents, history: [] },
    ])
      assert.throws(() => decodeExport(encodeExport(wrong), 'x'), isCode('corrupt', /does not hold what/));
  });
});

describe('a directory that was filled from another store', () => {
  for (const first of [1, 2, 20, 31]) {
    it(`has its documents, and its history from revision ${first} on`, async () => {
      const files = memoryFiles();
      await importLog(files, DIRECTORY, whole(first));
      const { store } = storeOn(
        files.afterCrash(() => 0),
        { wallNow: () => 0 },
      );
      assert.deepEqual(await store.load(), {
        revision: 30,
        documents: documentsAfter(COMMITS),
        recent: whole(first).history,
      });
      await store.commit(makeCommit(31));
    });
  }
});

describe('what is taken out of a store', () => {
  const { documents } = whole(1);
  const fault = { service: 'shop', detail: 'not JSON' };

  it('is refused where a document can not be read', () => {
    for (const broken of [
      { ...fault, revision: -1, changeId: '' },
      { ...fault, revision: 30, changeId: 'c' },
    ])
      assert.throws(
        () => wholeStore('', { revision: 30, documents, recent: [], faults: [broken] }, () => {}),
        isCode('corrupt', /"shop" .* can't be read: not JSON/),
      );
  });

  it('begins after the last commit that can not be read, and says so', () => {
    const warnings: string[] = [];
    const recent = COMMITS.filter(({ revision }) => revision !== 10);
    const faults = [{ ...fault, revision: 10, changeId: 'c' }];
    const { history } = wholeStore('', { revision: 30, documents, recent, faults }, (warning) =>
      warnings.push(warning),
    );
    assert.deepEqual(history, COMMITS.slice(10));
    assert.match(warnings.join(), /^9 commits of the history are left behind.*after revision 9/);
  });
});
