import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, fileTrouble, messageOf } from '../../../src/schema/thrown.ts';

test('what is no error is shown as it is', () => {
  assert.equal(messageOf(new TypeError('no')), 'no');
  assert.equal(messageOf('no'), 'no');
  assert.equal(messageOf(undefined), 'undefined');
});

test('a code is a text that an error has', () => {
  assert.equal(codeOf(Object.assign(new Error('x'), { code: 'EIO' })), 'EIO');
  assert.equal(codeOf(new DOMException('x', 'AbortError')), '');
  assert.equal(codeOf({ code: 'EIO' }), '');
  assert.equal(codeOf(null), '');
});

test('the usual reasons why a file cannot be read are put in words', () => {
  const reasons = ['ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'EIO'].map((code) =>
    fileTrouble(Object.assign(new Error('as the system says'), { code })),
  );
  assert.deepEqual(reasons, [
    'there is no such file',
    'permission denied',
    'permission denied',
    'it is a directory',
    'as the system says',
  ]);
});
