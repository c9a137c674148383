/** All scenarios, in the order of the table. */
import type { Scenario } from '../scenario.ts';
import { chunked } from './chunked.ts';
import { cold } from './cold.ts';
import { idle1000, idle10000 } from './idle-connections.ts';
import { down100k, down1m, up1m } from './large-bodies.ts';
import { largeHeads } from './large-heads.ts';
import { largePolicy } from './large-policy.ts';
import { newConnections } from './new-connections.ts';
import { smallAnswers } from './small-answers.ts';
import { twoWorkers } from './two-workers.ts';
import { websocket } from './websocket.ts';

export const SCENARIOS: readonly Scenario[] = [
  smallAnswers,
  down100k,
  down1m,
  up1m,
  chunked,
  newConnections,
  largeHeads,
  cold,
  largePolicy,
  websocket,
  idle1000,
  idle10000,
  twoWorkers,
];
