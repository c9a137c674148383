import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { demoConfiguration, startDemo } from '../../../src/demo/demo.ts';

interface Written {
  store: { file: string };
  secretFile: string;
  services: { notes: { stable: { endpoints: string[] }; canary: { endpoints: string[] } } };
}

const template = await readFile(new URL('../../../config/demo.yaml', import.meta.url), 'utf8');

test('the configuration gets the endpoints, the store and the secret of this start, and keeps its comments', () => {
  const text = demoConfiguration(
    template,
    { stable: ['127.0.0.1:1'], canary: ['127.0.0.1:2'] },
    '/somewhere',
  );
  const written = parse(text) as Written;
  assert.deepEqual(written.services.notes.stable.endpoints, ['127.0.0.1:1']);
  assert.deepEqual(written.services.notes.canary.endpoints, ['127.0.0.1:2']);
  assert.equal(written.store.file, '/somewhere/data');
  assert.equal(written.secretFile, '/somewhere/secret');
  assert.match(text, /# Whoever connects from the loopback network/);
});

test('the demonstration starts applications that answer, and leaves nothing behind', async () => {
  const demo = await startDemo({ log: () => {} });
  const { services } = parse(await readFile(demo.configFile, 'utf8')) as Written;
  const [stable = ''] = services.notes.stable.endpoints;
  const answer = (await (await fetch(`http://${stable}/`)).json()) as { variant: string };
  assert.equal(answer.variant, 'stable');
  const banner = demo.banner({ proxy: 'http://p:1', admin: 'http://a:2', ops: 'http://o:3' });
  assert.match(banner, /http:\/\/p:1\n.*http:\/\/a:2\/v1\/services\n.*http:\/\/o:3\/metrics/s);
  await demo.close();
  assert.equal(existsSync(path.dirname(demo.configFile)), false);
  await assert.rejects(fetch(`http://${stable}/`));
});
