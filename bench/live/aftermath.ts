/**
 * What a process left behind: the rollout of each revision and the keys, read from its store after its end, as the
 * truth by which the users' answers are judged.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cookieSettings, serviceSettings } from '../../src/config/service.ts';
import { parseKeyRing } from '../../src/config/secret.ts';
import type { ContextSource, PolicySource } from '../../src/policy/compile.ts';
import { compileNetworks, EMPTY_NETWORKS } from '../../src/ip/network.ts';
import type { IdentityTier } from '../../src/policy/identity/identity-tier.ts';
import { createFileStore } from '../../src/store/file/file-store.ts';
import { OFFICE } from './users.ts';
import type { Era } from './verify.ts';
import type { Written } from './writer.ts';

export interface Aftermath {
  readonly eras: Era[];
  readonly source: ContextSource;
  readonly policy: Omit<PolicySource, 'rollout' | 'revision'>;
}

/** Reads the store in `directory`; nobody else may have it open. Throws when a write is not in it. */
export async function readAftermath(
  directory: string,
  service: string,
  identity: readonly IdentityTier[],
  writes: readonly Written[],
): Promise<Aftermath> {
  const store = createFileStore({
    directory: join(directory, 'data'),
    wallNow: Date.now,
    warn: (message) => console.warn(message),
  });
  const { recent } = await store.load();
  await store.close();
  const commits = new Map(recent.map((commit) => [commit.revision, commit]));
  const none = {
    revision: 0,
    what: 'no rollout yet',
    rollout: null,
    sentAt: -Infinity,
    appliedAt: -Infinity,
  };
  const eras = writes.map(({ revision, what, sentAt, appliedAt }) => {
    const rollout = commits.get(revision)?.document?.rollout;
    if (rollout === undefined)
      throw new Error(`revision ${revision} (${what}) was applied and is not in the store`);
    return { revision, what, rollout, sentAt, appliedAt };
  });
  const file = join(directory, 'data', 'secret');
  return {
    eras: [none, ...eras],
    source: {
      segments: { office: compileNetworks(OFFICE) },
      followPeers: EMPTY_NETWORKS,
      regionDatabase: null,
      keys: parseKeyRing(await readFile(file, 'utf8'), file),
    },
    policy: {
      name: service,
      pathPrefix: '/',
      identity,
      cookies: cookieSettings({ hosts: ['*'], stable: { endpoints: [] } }),
      follow: [],
      settings: serviceSettings({ hosts: ['*'], stable: { endpoints: [] } }),
      networks: {},
    },
  };
}
