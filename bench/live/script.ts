/**
 * What happens to the policy during the live proof: a cycle of writes, one a second, through the admin API, with the
 * kinds of write that releases are made of. Rules name conditions of several kinds.
 */
import { CAMPUS } from './users.ts';

export interface Write {
  readonly what: string;
  readonly method: 'PUT' | 'PATCH' | 'POST';
  /** Below `/v1/services/{service}/rollout`. */
  readonly path: string;
  readonly body: object;
}

interface Rule {
  readonly name: string;
  readonly match?: object;
  readonly percentage: number;
}

const office: Rule = { name: 'office', match: { segment: 'office' }, percentage: 100 };
const campus: Rule = {
  name: 'campus iPhones',
  match: { cidr: [CAMPUS], device: { model: 'iPhone' } },
  percentage: 50,
};
const app: Rule = {
  name: 'new app',
  match: { header: { 'x-app-version': { semver: '>=8.2.0' } } },
  percentage: 40,
};
const vip = { name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } };

const rules = (everyone: number, more: readonly Rule[]) => [
  ...more,
  { name: 'everyone', percentage: everyone },
];

const put = (
  what: string,
  everyone: number,
  more: readonly Rule[],
  query = '',
  exclude: readonly object[] = [],
): Write => ({
  what,
  method: 'PUT',
  path: query,
  body: { rules: rules(everyone, more), ...(exclude.length > 0 ? { exclude } : {}), driver: 'external' },
});

const percentage = (everyone: number, more: object = {}): Write => ({
  what: `everyone ${everyone} %`,
  method: 'POST',
  path: '/percentage',
  body: { percentage: everyone, ...more },
});

const action = (name: string): Write => ({ what: name, method: 'POST', path: `/${name}`, body: {} });

/** Marks a PUT that takes users out of the canary. */
const DECREASE = '?allowDecrease=true';

/** One cycle: four rollouts. It begins with none running and ends so. */
export const CYCLE: readonly Write[] = [
  put('new rollout', 1, [office]),
  percentage(5),
  percentage(10),
  put('rule added', 10, [office, campus]),
  action('pause'),
  action('resume'),
  percentage(20),
  put('rule added', 20, [office, campus, app]),
  put('rule removed', 20, [office, app], DECREASE),
  percentage(50),
  percentage(30, { allowDecrease: true }),
  put('exclude added', 30, [office, app], DECREASE, [vip]),
  put('exclude removed', 30, [office, app]),
  percentage(100),
  action('rollback'),
  put('new rollout', 10, [app]),
  percentage(50),
  action('pause'),
  action('rollback'),
  put('new rollout', 20, [office, campus]),
  percentage(60),
  action('promote'),
  action('rollback'),
  {
    what: 'new rollout with steps',
    method: 'PUT',
    path: '',
    body: { rules: rules(0, [office]), steps: [{ percentage: 5 }, { percentage: 40 }] },
  },
  { what: 'step', method: 'POST', path: '/step', body: { from: 0 } },
  { what: 'step', method: 'POST', path: '/step', body: { from: 5 } },
  { what: 'patch', method: 'PATCH', path: '', body: { rules: rules(70, [office, campus]) } },
  action('promote'),
  action('finish'),
];
