/** Serin with one worker and the same policy, set through its API; metrics on, as always. */
import { startSerin, type Serin } from '../../test/support/serin.ts';
import { putRollout } from '../../test/support/rollout.ts';
import { pinned, PROXY_CORE } from '../process.ts';
import { OFFICE } from '../traffic.ts';
import type { Origins } from './origin.ts';
import type { Peer } from './peer.ts';

export const SERVICE = 'notes';

export async function startSerinPeer(origins: Origins): Promise<Peer & { readonly serin: Serin }> {
  const serin = await startSerin({
    services: {
      [SERVICE]: {
        hosts: ['notes.example.com'],
        identity: [{ cookie: 'uid' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }],
        stable: { endpoints: [`127.0.0.1:${origins.stable}`] },
        canary: { endpoints: [`127.0.0.1:${origins.canary}`] },
      },
    },
    configuration: { segments: { office: [...OFFICE] }, log: { level: 'warn' } },
    workers: 1,
    prefix: pinned(PROXY_CORE, []),
  });
  await putRollout(serin, SERVICE, {
    rules: [
      { name: 'office iPhones', match: { segment: 'office', device: { model: 'iPhone' } }, percentage: 10 },
    ],
  });
  return {
    name: 'serin',
    title: 'Serin, 1 worker',
    port: serin.proxyPort,
    decides: true,
    pids: () => [serin.pid],
    stop: () => serin.stop(),
    serin,
  };
}
