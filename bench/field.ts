/**
 * The field of one scenario: its contenders, started and checked to decide as they should, each with the script that is
 * sent to it.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../test/support/raw-client.ts';
import { freePort } from '../test/support/ports.ts';
import { value, values } from '../test/support/strict-head.ts';
import type { Programs } from './load/build.ts';
import type { Origins } from './load/origin.ts';
import { writeScript } from './load/script.ts';
import { PEERS } from './peers/catalogue.ts';
import type { Peer, PeerName } from './peers/peer.ts';
import { OTHERS, type Contender, type Scenario, type Traffic } from './scenario.ts';
import { requestOf, USERS } from './traffic.ts';

export interface Bench {
  readonly programs: Programs;
  readonly origins: Origins;
  readonly directory: string;
  /** Whether a kind of peer is wanted. */
  wants(peer: PeerName): boolean;
}

export interface Runner {
  readonly contender: Contender;
  readonly peer: Peer;
  readonly traffic: Traffic;
  readonly script: string;
}

export interface Field {
  readonly runners: readonly Runner[];
  /** Why others are not in it. */
  readonly absent: readonly string[];
  stop(): Promise<void>;
}

interface Visit {
  readonly canary: number;
  /** What each user brings the next time. */
  readonly cookies: string[];
}

const ANDROID = 'Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/126.0 Mobile';

/** The first users, one after the other over one connection: who gets the canary, and the cookies that they are given. */
async function visit(port: number, users: number, localAddress?: string, agent?: string): Promise<Visit> {
  let canary = 0;
  const cookies: string[] = [];
  const client = await connect(port, localAddress === undefined ? {} : { localAddress });
  try {
    for (let index = 0; index < users; index++) {
      client.write(requestOf(index, agent === undefined ? {} : { agent }));
      const answer = await client.answer();
      if (answer.status !== 200) throw new Error(`a user got ${answer.status} on port ${port}`);
      if (value(answer, 'x-origin') === 'canary') canary++;
      const set = values(answer.fields, 'set-cookie').map((line) => `; ${line.split(';')[0]}`);
      cookies.push(set.join(''));
    }
  } finally {
    client.destroy();
  }
  return { canary, cookies };
}

/** Throws where the peer does not decide by the policy. Gives the cookies of its users. */
async function checkPolicy(peer: Peer): Promise<string[]> {
  const { canary, cookies } = await visit(peer.port, USERS);
  if (!peer.decides) return cookies;
  const share = canary / USERS;
  if (share < 0.06 || share > 0.14)
    throw new Error(`${peer.title} gives the canary to ${share * 100} % instead of 10 %`);
  if ((await visit(peer.port, 200, '127.9.0.1')).canary > 0)
    throw new Error(`${peer.title} gives the canary to users outside of the office`);
  if ((await visit(peer.port, 200, '127.0.0.1', ANDROID)).canary > 0)
    throw new Error(`${peer.title} gives the canary to others than iPhones`);
  return cookies;
}

async function startPeer(bench: Bench, contender: Contender): Promise<Peer> {
  const directory = join(bench.directory, contender.name);
  mkdirSync(directory, { recursive: true });
  return PEERS[contender.peer].start({
    directory,
    port: await freePort(),
    origins: bench.origins,
    settings: contender.settings ?? {},
  });
}

/** Starts a contender, checks it, and writes its script. `others` are the cookies for proxies that give none. */
export async function enter(
  bench: Bench,
  scenario: Scenario,
  contender: Contender,
  others: readonly string[],
): Promise<{ runner: Runner; cookies: readonly string[] }> {
  const peer = await startPeer(bench, contender);
  try {
    const own = await checkPolicy(peer);
    const cookies = peer.name === 'serin' ? own : others;
    const traffic = contender.traffic ?? scenario.traffic;
    const script = join(bench.directory, `${contender.name}.script`);
    writeScript(script, traffic.entries(cookies));
    return { runner: { contender, peer, traffic, script }, cookies };
  } catch (error) {
    await peer.stop();
    throw error;
  }
}

/** Which contenders can be measured here, and why the others cannot. */
export function entrants(bench: Bench, scenario: Scenario): { can: Contender[]; absent: string[] } {
  const wanted = scenario.contenders.filter(({ peer }) => bench.wants(peer));
  const absent = wanted.flatMap(({ peer }) => {
    const reason = PEERS[peer].unavailable();
    return reason === null ? [] : [`Not measured: ${reason}.`];
  });
  return { can: wanted.filter(({ peer }) => PEERS[peer].unavailable() === null), absent };
}

export const NO_COOKIES: readonly string[] = Array.from({ length: USERS }, () => '');

/** Starts all contenders of a scenario. */
export async function startField(bench: Bench, scenario: Scenario): Promise<Field> {
  const { can, absent } = entrants(bench, scenario);
  const runners: Runner[] = [];
  const stop = async () => {
    for (const { peer } of runners.toReversed()) await peer.stop();
  };
  try {
    let known = NO_COOKIES;
    for (const contender of can) {
      try {
        const { runner, cookies } = await enter(bench, scenario, contender, known);
        runners.push(runner);
        known = cookies;
      } catch (error) {
        // Another version of one of the others may want another configuration; that must not end the run.
        if (!OTHERS.includes(contender.peer)) throw error;
        const [words] = (error as Error).message.split('\n').slice(-1);
        absent.push(`Not measured: ${contender.name}, ${words}`);
      }
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { runners, absent, stop };
}
