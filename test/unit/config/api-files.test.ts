/** The files that services of the API may name: by their names alone, below one directory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiFileFaults } from '../../../src/config/api-files.ts';

const DIRECTORY = '/etc/serin/endpoint-tls';
const NONE_SET = /^a service made through the API may name no file, since admin\.tlsDirectory is not set/;

function faults(ca: string, directory: string | undefined = DIRECTORY) {
  return apiFileFaults({ hosts: ['*'], stable: { endpoints: ['10.1.0.7:80'], tls: { ca } } }, directory);
}

test('below the directory, however it is written', () => {
  for (const file of ['ca.pem', 'notes/ca.pem', './ca.pem', 'a/../ca.pem', '..data/ca.pem', '...', '%2e%2e'])
    assert.deepEqual(faults(`${DIRECTORY}/${file}`), [], file);
});

test('anywhere else is refused, whether it is there or not', () => {
  const detail = `a service made through the API may only name files below ${DIRECTORY} (admin.tlsDirectory); put it there, or define the service in the configuration file`;
  for (const file of [
    '/dev/zero',
    '/proc/self/environ',
    '/proc/self/fd/3',
    '/etc/serin/endpoint-tls',
    '/etc/serin/endpoint-tls/',
    '/etc/serin/endpoint-tls/..',
    '/etc/serin/endpoint-tls/../serin.yaml',
    '/etc/serin/endpoint-tls/a/../../serin.yaml',
    '/etc/serin/endpoint-tls2/ca.pem',
    '//etc/serin/serin.yaml',
    'ca.pem',
    '../../../../../../../../etc/passwd',
    '/no/such/file',
  ])
    assert.deepEqual(faults(file), [{ pointer: '/stable/tls/ca', detail }], file);
});

test('without a directory none may be named; other settings of TLS may', () => {
  const service = {
    hosts: ['*'],
    stable: { endpoints: ['10.1.0.7:80'], tls: { serverName: 'notes.test' } },
    canary: { endpoints: [], tls: { ca: '/a', certificate: '/b', key: '/c' } },
  };
  const found = apiFileFaults(service, undefined);
  assert.deepEqual(
    found.map(({ pointer }) => pointer),
    ['/canary/tls/ca', '/canary/tls/certificate', '/canary/tls/key'],
  );
  for (const { detail } of found) assert.match(detail, NONE_SET);
});
