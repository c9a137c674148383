import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readTcpMigrateReq } from '../../../src/telemetry/kernel.ts';

test('tcp_migrate_req is read as on, off or unknown', () => {
  assert.equal(
    readTcpMigrateReq((path) => {
      assert.equal(path, '/proc/sys/net/ipv4/tcp_migrate_req');
      return '1\n';
    }),
    true,
  );
  assert.equal(
    readTcpMigrateReq(() => '0\n'),
    false,
  );
  assert.equal(
    readTcpMigrateReq(() => ''),
    null,
  );
  assert.equal(
    readTcpMigrateReq(() => {
      throw new Error('ENOENT');
    }),
    null,
  );
});
