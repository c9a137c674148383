/** The Dockerfile agrees with the program and with the image's layout. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import packageJson from '../../../package.json' with { type: 'json' };
import { IMAGE_CONFIG, IMAGE_DATA, IMAGE_USER } from '../../../scripts/image-root.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const dockerfile = readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8');

test('the Dockerfile builds on the pinned Node.js and names the same user and paths', () => {
  const node = packageJson.devDependencies.node;
  assert.ok(dockerfile.includes(`\nFROM node:${node}-bookworm-slim AS build\n`));
  assert.ok(dockerfile.includes(`\nUSER ${IMAGE_USER}:${IMAGE_USER}\n`));
  assert.ok(dockerfile.includes(`\nWORKDIR ${IMAGE_DATA}\n`));
  assert.ok(dockerfile.includes(`"${IMAGE_CONFIG}"`));
});
