/** Two workers on two cores beside one: what a second core gives. */
import type { Scenario, Traffic } from '../scenario.ts';
import { SMALL_ANSWERS } from './small-answers.ts';

const traffic: Traffic = { ...SMALL_ANSWERS, connections: 256 };

export const twoWorkers: Scenario = {
  name: 'two-workers',
  title: 'Two workers',
  about:
    '256 kept connections, answers of 1 KB. With two cores in all the load shares one of them, so requests/s cannot double here; CPU per request says what a machine with more cores would give.',
  traffic,
  contenders: [
    { name: 'one', peer: 'serin', note: '1 worker on 1 core' },
    { name: 'two', peer: 'serin', note: '2 workers on 2 cores', settings: { workers: 2 } },
  ],
  reference: 'one',
};
