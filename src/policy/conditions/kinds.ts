/** The kinds of conditions, by their field in a rule's `match`. Documents and their schema have them in this order. */
import { cookie } from './cookie.ts';
import { device } from './device.ts';
import { header } from './header.ts';
import { identity } from './identity.ts';
import { method } from './method.ts';
import { cidr, segment } from './network.ts';
import { path } from './path.ts';
import { query } from './query.ts';
import { region } from './region.ts';

export const KINDS = {
  segment,
  cidr,
  device,
  region,
  identity,
  header,
  cookie,
  query,
  method,
  path,
} as const;
