/** Small answers over kept connections with the whole policy: what most of an API's traffic is. */
import { LEADERS, OTHERS, peers, type Scenario, type Traffic } from '../scenario.ts';
import { requestOf } from '../traffic.ts';

/** Users who come back with the cookies that they were given. */
export const SMALL_ANSWERS: Traffic = {
  entries: (cookies) =>
    cookies.map((own, index) => ({ request: requestOf(index, { cookies: own }), status: 200, body: 1024 })),
  connections: 64,
};

export const smallAnswers: Scenario = {
  name: 'small',
  title: '1 KB, kept connections, full policy',
  about: '64 kept connections, answers of 1 KB, 1,000 returning users; the policy decides each request.',
  traffic: SMALL_ANSWERS,
  contenders: peers([...LEADERS, 'haproxy-tcp', ...OTHERS]),
  reference: 'haproxy',
  latency: true,
};
