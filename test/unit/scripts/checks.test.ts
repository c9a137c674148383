import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAudit } from '../../../scripts/audit.ts';
import { licenceFaults } from '../../../scripts/check-licences.ts';

const uaParser = { 'node_modules/ua-parser-js': { version: '1.0.41', license: 'MIT' } };

test('a production package under a licence that is not allowed is named', () => {
  const faults = licenceFaults({ 'node_modules/a/node_modules/@b/c': { version: '1.0.0' } }, () => ({
    license: 'AGPL-3.0-or-later',
  }));
  assert.equal(faults.length, 1);
  assert.match(faults[0]!, /^@b\/c 1\.0\.0 is under AGPL-3\.0-or-later; allowed are /);
});

test('a package without any licence is refused', () => {
  assert.match(licenceFaults({ 'node_modules/a': { version: '1.0.0' } }, () => ({}))[0]!, /under none/);
});

test('development packages and the project itself are not looked at', () => {
  const faults = licenceFaults({ '': {}, 'node_modules/a': { version: '1.0.0', dev: true } }, () => ({
    license: 'GPL-3.0-only',
  }));
  assert.deepEqual(faults, []);
});

test('ua-parser-js is held at the last version under the MIT licence', () => {
  assert.deepEqual(
    licenceFaults(uaParser, () => ({ license: 'MIT' })),
    [],
  );
  const newer = { 'node_modules/ua-parser-js': { version: '1.0.42', license: 'MIT' } };
  assert.match(licenceFaults(newer, () => ({ license: 'MIT' }))[0]!, /must be 1\.0\.41 under MIT/);
});

test('an audit without an answer is told apart from a clean one', () => {
  assert.equal(readAudit('{"metadata":{"vulnerabilities":{"total":0}}}').result, 'clean');
  assert.equal(readAudit('{"metadata":{"vulnerabilities":{"total":2}}}').result, 'vulnerable');
  const refused = readAudit('{"message":"405 Method Not Allowed","error":{"summary":""}}');
  assert.deepEqual(refused, { result: 'unavailable', text: '405 Method Not Allowed' });
  assert.equal(readAudit('').result, 'unavailable');
});
