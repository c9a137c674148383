/** Requests whose user agent and id were never seen: nothing that the decision has cached helps. */
import { NEVER_SEEN } from '../load/script.ts';
import type { Scenario, Traffic } from '../scenario.ts';
import { IPHONE, requestOf } from '../traffic.ts';
import { SMALL_ANSWERS } from './small-answers.ts';

const strangers: Traffic = {
  entries: () => [
    {
      request: requestOf(0, { agent: `${IPHONE} Build/${NEVER_SEEN}`, user: `u${NEVER_SEEN}` }),
      status: 200,
      body: 1024,
    },
  ],
  connections: 64,
};

export const cold: Scenario = {
  name: 'cold',
  title: 'Requests never seen before',
  about:
    'The first scenario with a user agent and an id that are new in every request, beside returning users; the difference is what classification costs with cold caches.',
  traffic: SMALL_ANSWERS,
  contenders: [
    { name: 'seen', peer: 'serin', note: 'returning users' },
    { name: 'never-seen', peer: 'serin', note: 'never seen', traffic: strangers },
    { name: 'haproxy-never-seen', peer: 'haproxy', note: 'never seen', traffic: strangers },
  ],
  reference: 'seen',
};
