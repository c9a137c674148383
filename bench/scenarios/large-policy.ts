/** A policy of the largest size beside one rule: what a request pays for what others have configured. */
import type { Scenario } from '../scenario.ts';
import { SMALL_ANSWERS } from './small-answers.ts';

export const largePolicy: Scenario = {
  name: 'large-policy',
  title: '100,000 networks, 1,000 rules, 100 services',
  about:
    'The traffic of the first scenario; the rule that decides comes last of 1,000, and its segment has 100,003 networks.',
  traffic: SMALL_ANSWERS,
  contenders: [
    { name: 'one-rule', peer: 'serin', note: 'one rule' },
    { name: 'large', peer: 'serin', note: 'all of it', settings: { largePolicy: true } },
  ],
  reference: 'one-rule',
};
