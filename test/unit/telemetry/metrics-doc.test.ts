import { test } from 'node:test';
import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import { setFlagsFromString } from 'node:v8';
import { parse } from 'yaml';
import { createExposition } from '../../../src/telemetry/exposition.ts';
import { DURATION_BOUNDS } from '../../../src/telemetry/duration-buckets.ts';
import { PROCESS_METRICS } from '../../../src/telemetry/process-metrics.ts';
import { SERVICE_METRICS } from '../../../src/telemetry/service-metrics.ts';
import { eventually } from '../../support/bounded.ts';
import { fakeSource, newService, rollout } from './fake-source.ts';
import { documentedBounds, documentedMetrics, documentedRules } from './metrics-doc.ts';
import { parseExposition, type ParsedFamily } from './parse-exposition.ts';

/** Everything that can be exposed, with at least one series each. */
async function everything(): Promise<Map<string, ParsedFamily>> {
  const source = fakeSource(1, []);
  source.serviceList = [newService('notes', 1, rollout())];
  source.serviceList[0]!.blocks[0]!.decision(7, 2);
  source.workerList[0]!.counters.heartbeat(source.clock);
  source.control.configurationTaken(1000);
  source.control.configurationRefused(2000);
  const exposition = createExposition(source);
  // The metric of garbage collections has series once there was one, and observers have heard of it.
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return eventually(async () => {
    const families = parseExposition(await exposition.render());
    return families.get('nodejs_gc_duration_seconds')!.series.size > 0 ? families : null;
  }, 'a garbage collection shows');
}

const exposed = await everything();
const documented = documentedMetrics();

test('docs/metrics.md lists exactly the metrics that are exposed', () => {
  const names = documented.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length, 'no metric is listed twice');
  assert.deepEqual([...names].sort(), [...exposed.keys()].sort());
});

test('their types and labels are as listed', () => {
  for (const { name, type, labels } of documented) {
    const family = exposed.get(name)!;
    assert.equal(type, family.type, name);
    const shown = [...family.labels].filter((label) => label !== 'le');
    assert.deepEqual([...labels].sort(), shown.sort(), `${name} has a series with all its labels`);
  }
});

test('every metric declares the labels that it has, a help text that is a sentence, and a name by the rules', () => {
  for (const { name, help, type, labels } of [...PROCESS_METRICS, ...SERVICE_METRICS]) {
    const shown = [...exposed.get(name)!.labels].filter((label) => label !== 'le');
    assert.deepEqual([...labels].sort(), shown.sort(), name);
    assert.match(help, /^[A-Z0-9].*\.$/s, name);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
  }
});

test('every metric has a meaning and an example that uses it', () => {
  for (const { name, meaning, example } of documented) {
    assert.match(meaning, /\.$/, name);
    assert.match(example, new RegExp(`\\b${name}(_bucket|_sum|_count)?\\b`), name);
  }
});

test('the buckets listed are the bounds of the code', () => {
  assert.deepEqual(documentedBounds(), DURATION_BOUNDS);
});

test('alert rules name only metrics and labels that exist, and have all that a rule needs', () => {
  const { groups } = parse(documentedRules()) as {
    groups: { rules: { alert: string; expr: string; labels: object; annotations: { summary: string } }[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length > 15);
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, expr, labels, annotations } of rules) {
    assert.match(alert, /^Serin[A-Z]/);
    assert.ok('severity' in labels, alert);
    assert.match(annotations.summary, /\.$/, alert);
    for (const [name] of expr.matchAll(/\b(serin|process|nodejs)_\w+/g)) {
      assert.ok(exposed.has(name.replace(/_(bucket|sum|count)$/, '')), `${alert} uses ${name}`);
    }
  }
});
