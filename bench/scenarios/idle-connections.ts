/** Many connections that are mostly idle: what each costs in memory, and what they cost the few that are busy. */
import { LEADERS, peers, type Scenario } from '../scenario.ts';
import { SMALL_ANSWERS } from './small-answers.ts';

function idle(connections: number): Scenario {
  return {
    name: `idle-${connections}`,
    title: `${connections.toLocaleString('en')} connections, mostly idle`,
    about: `${connections.toLocaleString('en')} connections, each of which has had one request; then 100 of them carry 2,000 requests a second.`,
    traffic: SMALL_ANSWERS,
    contenders: peers([...LEADERS, 'http-proxy-3']),
    reference: 'haproxy',
    idle: connections,
  };
}

export const idle1000 = idle(1_000);
export const idle10000 = idle(10_000);
