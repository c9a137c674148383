/** Serin with the same policy, set through its API; metrics on, as always. */
import { startSerin } from '../../test/support/serin.ts';
import { putRollout } from '../../test/support/rollout.ts';
import { pinnedToFirst } from '../process.ts';
import { HOST, OFFICE } from '../traffic.ts';
import { CONNECTIONS, type PeerKind } from './peer.ts';

export const SERVICE = 'notes';
const TARGET = { name: 'office iPhones', match: { segment: 'office', device: { model: 'iPhone' } } };

/** Pseudo-random networks outside of the office, the same in every run. */
function strangeNetworks(count: number): string[] {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return `${128 + (state >>> 26)}.${(state >>> 16) & 255}.${(state >>> 8) & 255}.0/24`;
  });
}

/** Rules of five kinds, none of which holds for the traffic. */
function otherRules(count: number): object[] {
  return Array.from({ length: count }, (_, number) => {
    const kinds = [
      { header: { 'x-customer': { equals: `customer ${number}` } } },
      { cidr: `10.${number >> 8}.${number & 255}.0/24` },
      { device: { model: `SM-${number}` }, query: { beta: { present: true } } },
      { cookie: { plan: { oneOf: [`a${number}`, `b${number}`] } }, segment: 'office' },
      { path: { prefix: `/shop/${number}` } },
    ];
    return { name: `other ${number}`, match: kinds[number % kinds.length], percentage: 100 };
  });
}

export const SERIN: PeerKind = {
  unavailable: () => null,
  async start({ origins, settings }) {
    const large = settings.largePolicy === true;
    const { workers = 1, nodeArguments = [] } = settings;
    const service = (host: string) => ({
      hosts: [host],
      identity: [{ cookie: 'uid' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }],
      stable: { endpoints: [`127.0.0.1:${origins.stable}`] },
      canary: { endpoints: [`127.0.0.1:${origins.canary}`] },
    });
    const services: Record<string, object> = { [SERVICE]: service(HOST) };
    for (let number = 0; number < (large ? 99 : 0); number++) {
      services[`other-${number}`] = service(`other-${number}.example.com`);
    }
    const serin = await startSerin({
      services,
      configuration: {
        proxy: {
          limits: { connections: CONNECTIONS },
          timeouts: { keepAlive: '300s' },
          drain: { delay: '0s', grace: '1s' },
        },
        segments: { office: [...(large ? strangeNetworks(100_000) : []), ...OFFICE] },
        log: { level: 'warn' },
      },
      workers,
      nodeArguments,
      prefix: pinnedToFirst(workers),
    });
    const rules = [...(large ? otherRules(999) : []), { ...TARGET, percentage: 10 }];
    await putRollout(serin, SERVICE, { rules });
    return {
      name: 'serin',
      title: 'Serin',
      port: serin.proxyPort,
      decides: true,
      pids: () => [serin.pid],
      stop: () => serin.stop(),
    };
  },
};
