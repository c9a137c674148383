import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import path from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createStateFile, type SavedState } from '../../../src/store/file/state-file.ts';
import { StoreError } from '../../../src/store/store.ts';
import { documentsAfter, makeCommit } from './commits.ts';
import { memoryFiles } from './memory-files.ts';

const FILE = '/data/state.json';

const recent = Array.from({ length: 12 }, (_, index) => makeCommit(index + 1));
const STATE: SavedState = {
  savedAt: '2026-03-01T12:00:00.000Z',
  storeId: 'a1b2',
  revision: 12,
  changeId: 'change-12',
  documents: documentsAfter(recent),
  recent,
  rollbacks: [
    {
      service: 'notes',
      rolloutId: 'r-1',
      at: '2026-03-01T11:59:00.000Z',
      actor: 'spinnaker',
      reason: null,
      requestId: 'request-1',
      changeId: 'change-x',
    },
  ],
  peers: { 'serin-1': '10.1.0.7:9092' },
};

const isCode = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

const opened = (files = memoryFiles()) => ({ files, state: createStateFile({ file: FILE, files }) });

async function written(): Promise<Buffer> {
  const { files, state } = opened();
  await state.write(STATE);
  return files.contents(FILE) ?? Buffer.alloc(0);
}

describe('a state file', () => {
  it('is absent before the first write', async () => {
    assert.equal(await opened().state.read(), null);
  });

  it('gives back what was written last', async () => {
    const { files, state } = opened();
    await state.write(STATE);
    assert.deepEqual(await state.read(), STATE);
    const later = { ...STATE, revision: 13, documents: new Map(), peers: {} };
    await state.write(later);
    assert.deepEqual(await opened(files).state.read(), later);
  });

  it('holds one whole state whenever a crash comes', async () => {
    const crashed: Promise<unknown>[] = [];
    const { files, state } = opened();
    await state.write(STATE);
    const later = { ...STATE, revision: 13 };
    files.before = () => {
      const survivor = opened(files.afterCrash(() => 0));
      crashed.push(survivor.state.read());
    };
    await state.write(later);
    const found = await Promise.all(crashed);
    assert.ok(found.length >= 5);
    for (const one of found) assert.deepEqual(one, STATE);
    assert.deepEqual(await opened(files.afterCrash(() => 0)).state.read(), later);
  });

  it('refuses what was cut off or changed anywhere', async () => {
    const bytes = await written();
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, flip, cut) => {
          const wrong = Buffer.from(bytes);
          wrong[at] = (wrong[at] ?? 0) ^ flip;
          const { state } = opened(memoryFiles(new Map([[FILE, cut ? bytes.subarray(0, at) : wrong]])));
          await assert.rejects(state.read(), (error) => error instanceof StoreError);
        },
      ),
    );
  });

  it('says what to do about a damaged, a foreign and a newer file', async () => {
    const bytes = await written();
    const withText = (text: string) => opened(memoryFiles(new Map([[FILE, Buffer.from(text)]]))).state.read();
    await assert.rejects(
      withText(bytes.toString().replace('notes', 'nodes')),
      isCode('corrupt', /Remove it/),
    );
    await assert.rejects(withText('{"services":{}}\n'), isCode('foreign', /store\.snapshot/));
    await assert.rejects(
      withText(bytes.toString().replace('serin-state 2', 'serin-state 3')),
      isCode('newer', /format 3, this version reads up to 2/),
    );
  });

  it('takes no version for another one: not even where only the version is changed', async () => {
    const text = (await written()).toString();
    const read = (header: string) =>
      opened(memoryFiles(new Map([[FILE, Buffer.from(text.replace('serin-state 2', header))]]))).state.read();
    for (const version of ['0', '1', '-1', '1.0', '2.5', '02', '+2', '1e0', 'NaN', '', ' 2', '2 '])
      await assert.rejects(read(`serin-state ${version}`), isCode('corrupt', /Remove it/), version);
    for (const version of ['3', '9', '12', '999999999'])
      await assert.rejects(read(`serin-state ${version}`), isCode('newer', /reads up to 2/), version);
  });

  it('reads what version 1 wrote, whose sum was over the state alone', async () => {
    const text = (await written()).toString();
    const body = text.slice(text.indexOf('\n') + 1);
    const former = `serin-state 1 ${hash('sha256', body)}\n${body}`;
    const read = (whole: string) => opened(memoryFiles(new Map([[FILE, Buffer.from(whole)]]))).state.read();
    assert.deepEqual(await read(former), STATE);
    for (const version of ['0', '2', '01'])
      await assert.rejects(
        read(former.replace('serin-state 1', `serin-state ${version}`)),
        isCode('corrupt', /Remove it/),
      );
  });

  it('reads a file that version 1 left', async () => {
    const file = path.resolve(import.meta.dirname, '../../data/store/state-1');
    const state = await createStateFile({ file }).read();
    assert.deepEqual([state?.revision, state?.recent.length, state?.documents.size], [12, 2, 3]);
  });

  it('refuses a state whose revision is none', async () => {
    for (const revision of [-1, 0.5, 2 ** 53, null, '12']) {
      const body = `${JSON.stringify({ ...STATE, revision, documents: [...STATE.documents] })}\n`;
      const whole = `serin-state 1 ${hash('sha256', body)}\n${body}`;
      await assert.rejects(
        opened(memoryFiles(new Map([[FILE, Buffer.from(whole)]]))).state.read(),
        isCode('corrupt', /Remove it/),
      );
    }
  });
});
