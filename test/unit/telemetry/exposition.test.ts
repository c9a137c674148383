import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createExposition } from '../../../src/telemetry/exposition.ts';
import { OUTCOMES } from '../../../src/telemetry/counters.ts';
import { DURATION_BOUNDS } from '../../../src/telemetry/duration-buckets.ts';
import { RULES_SHOWN } from '../../../src/telemetry/service-metrics.ts';
import { REASONS, TIERS } from '../../../src/policy/rollout.ts';
import { fakeSource, newService, rollout } from './fake-source.ts';
import { parseExposition, parseSeries } from './parse-exposition.ts';

const { assign } = Object;

test('counts of all workers are summed', async () => {
  const source = fakeSource(3);
  source.serviceList[0]!.blocks.forEach((block, index) => {
    for (let n = 0; n <= index; n++) block.request(1, 503, 0.0002);
    block.upstreamResult(0, OUTCOMES.indexOf('reset'), 0.5);
    block.decision(REASONS.indexOf('rule'), TIERS.indexOf('cookie'));
    block.inFlight(1, 1);
    block.upstreamConnections(0, 1);
    block.retry(1);
    block.fallback(1);
    block.flip();
    block.sharedCacheable();
    block.overloaded('requests');
    block.mirrored('answered', 500, 0.5);
    block.mirrored('busy', 0, -1);
    block.mirrorInFlight(1);
    block.tunnelOpened();
    block.tunnelOpened();
    block.tunnelClosed();
  });
  source.workerList.forEach(({ counters }, index) => {
    counters.accepted();
    counters.connectionOpened();
    counters.tunnelOpened();
    counters.http2SessionOpened();
    counters.http2StreamOpened();
    counters.http2StreamReset();
    counters.http2SessionRefused();
    counters.clientAborted();
    counters.refused(1);
    counters.unmatchedHost();
    counters.overloaded('connections');
    counters.overloaded('requests');
    counters.overloaded('memory');
    counters.bufferedBytes = 1000;
    counters.logWritten();
    counters.logDropped(2);
    counters.heartbeat(source.clock - 250 * (index + 1));
    counters.usage(1.5, 2.5, 0.125, 1024);
  });
  const series = parseSeries(await createExposition(source).render());
  const expected: Record<string, number> = {
    'serin_requests_total{code="503",service="notes",variant="canary"}': 6,
    'serin_requests_total{code="503",service="notes",variant="stable"}': 0,
    'serin_request_duration_seconds_bucket{le="0.00015",service="notes",variant="canary"}': 0,
    'serin_request_duration_seconds_bucket{le="0.0002",service="notes",variant="canary"}': 6,
    'serin_request_duration_seconds_bucket{le="+Inf",service="notes",variant="canary"}': 6,
    'serin_request_duration_seconds_count{service="notes",variant="canary"}': 6,
    'serin_request_duration_seconds_count{service="notes",variant="stable"}': 0,
    'serin_upstream_results_total{outcome="reset",service="notes",variant="stable"}': 3,
    'serin_upstream_duration_seconds_sum{service="notes",variant="stable"}': 1.5,
    'serin_upstream_duration_seconds_count{service="notes",variant="canary"}': 0,
    'serin_decisions_total{reason="rule",service="notes",tier="cookie"}': 3,
    'serin_requests_in_flight{service="notes",variant="canary"}': 3,
    'serin_requests_in_flight{service="notes",variant="stable"}': 0,
    'serin_upstream_connections{service="notes",variant="stable"}': 3,
    'serin_retries_total{service="notes",variant="canary"}': 3,
    'serin_fallbacks_total{from="canary",service="notes"}': 3,
    'serin_fallbacks_total{from="stable",service="notes"}': 0,
    'serin_flips_total{service="notes"}': 3,
    'serin_shared_cacheable_responses_total{service="notes"}': 3,
    serin_connections_accepted_total: 3,
    serin_connections_open: 3,
    serin_tunnels_total: 3,
    serin_tunnels_open: 3,
    serin_http2_sessions_open: 3,
    serin_http2_streams_open: 3,
    serin_http2_streams_total: 3,
    serin_http2_resets_total: 3,
    serin_http2_sessions_refused_total: 3,
    serin_client_aborts_total: 3,
    'serin_rejected_requests_total{reason="bad_method"}': 0,
    'serin_rejected_requests_total{reason="bad_target"}': 3,
    'serin_rejected_requests_total{reason="unmatched_host"}': 3,
    'serin_rejected_requests_total{reason="overloaded"}': 9,
    'serin_overload_refusals_total{reason="connections"}': 3,
    'serin_overload_refusals_total{reason="requests"}': 3,
    'serin_overload_refusals_total{reason="memory"}': 3,
    'serin_service_overload_refusals_total{reason="requests",service="notes"}': 3,
    'serin_service_overload_refusals_total{reason="tunnels",service="notes"}': 0,
    'serin_service_tunnels_open{service="notes"}': 3,
    serin_buffered_bytes: 3000,
    'serin_mirror_requests_total{outcome="answered",service="notes"}': 3,
    'serin_mirror_requests_total{outcome="busy",service="notes"}': 3,
    'serin_mirror_requests_total{outcome="body",service="notes"}': 0,
    'serin_mirror_responses_total{code="500",service="notes"}': 3,
    'serin_mirror_responses_total{code="200",service="notes"}': 0,
    'serin_mirror_duration_seconds_sum{service="notes"}': 1.5,
    'serin_mirror_duration_seconds_count{service="notes"}': 3,
    'serin_mirror_requests_in_flight{service="notes"}': 3,
    serin_latches: 11,
    serin_latches_limit: 12,
    serin_latches_table_bytes: 13,
    serin_latches_taken_over_total: 14,
    serin_latches_refused_total: 15,
    serin_latches_evicted_total: 16,
    serin_latches_lost_total: 17,
    serin_latches_waiting: 18,
    serin_memory_short: 1,
    serin_memory_shortages_total: 2,
    serin_memory_high_water_bytes: 1000,
    serin_access_log_records_total: 3,
    serin_access_log_dropped_total: 6,
    serin_workers: 3,
    serin_worker_restarts_total: 3,
    'serin_worker_revision{worker="2"}': 7,
    'serin_worker_heartbeat_age_seconds{worker="2"}': 0.75,
    'serin_worker_event_loop_delay_seconds{worker="0"}': 0.125,
    'serin_worker_event_loop_active_seconds_total{worker="0"}': 2.5,
    'serin_worker_cpu_seconds_total{worker="1"}': 1.5,
    'serin_worker_heap_bytes{worker="1"}': 1024,
    serin_revision: 7,
    serin_ready: 1,
    serin_store_available: 1,
    serin_tcp_migrate_req: 1,
    [`serin_build_info{node="${process.versions.node}",version="1.2.3"}`]: 1,
  };
  for (const [key, value] of Object.entries(expected)) assert.equal(series.get(key), value, key);
});

test('the buckets shown are exactly the bounds that durations are sorted by', async () => {
  const text = await createExposition(fakeSource()).render();
  const { series } = parseExposition(text).get('serin_request_duration_seconds')!;
  const shown = [...series.keys()]
    .filter((key) => key.includes('variant="stable"'))
    .map((key) => /le="([^"]+)"/.exec(key)?.[1])
    .filter((le) => le !== undefined);
  assert.deepEqual(shown, [...DURATION_BOUNDS.map(String), '+Inf']);
});

test('rollouts show their percentages, phase, epoch and step', async () => {
  const source = fakeSource(1, []);
  source.serviceList = [newService('notes', 1, rollout()), newService('mail', 1)];
  const series = parseSeries(await createExposition(source).render());
  assert.equal(series.get('serin_rollout_percentage{rule="everyone",service="notes"}'), 1.5);
  assert.equal(series.get('serin_rollout_percentage{rule="office",service="notes"}'), 100);
  assert.equal(series.get('serin_rollout_phase{phase="running",service="notes"}'), 1);
  assert.equal(series.get('serin_rollout_phase{phase="idle",service="notes"}'), 0);
  assert.equal(series.get('serin_rollout_epoch{service="notes"}'), 4);
  assert.equal(series.get('serin_rollout_step{service="notes"}'), 1);
  const startedAt = Date.parse('2026-01-02T03:04:05Z') / 1000;
  assert.equal(series.get('serin_rollout_start_timestamp_seconds{service="notes"}'), startedAt);
  assert.equal(series.get('serin_rollout_phase{phase="idle",service="mail"}'), 1);
  assert.ok(
    ![...series.keys()].some(
      (key) => /rollout_(percentage|epoch|step|start)/.test(key) && key.includes('mail'),
    ),
  );
});

test('of a thousand rules only the first are shown, and everyone', async () => {
  const source = fakeSource(1, []);
  const rules = Array.from({ length: 1000 }, (_, index) => ({ name: `rule ${index}`, percentage: 1 }));
  const document = { rules: [...rules, { name: 'everyone', percentage: 2 }] };
  source.serviceList = [newService('notes', 1, rollout({ document }))];
  const { series } = parseExposition(await createExposition(source).render()).get(
    'serin_rollout_percentage',
  )!;
  assert.equal(series.size, RULES_SHOWN + 1);
  assert.equal(series.get('serin_rollout_percentage{rule="everyone",service="notes"}'), 2);
});

test('the series of a removed service vanish, the others stay', async () => {
  const source = fakeSource(1, ['notes', 'mail']);
  for (const { blocks } of source.serviceList) blocks[0]!.request(0, 200, 1);
  const exposition = createExposition(source);
  assert.match(await exposition.render(), /service="mail"/);
  source.serviceList = source.serviceList.slice(0, 1);
  const text = await exposition.render();
  assert.doesNotMatch(text, /service="mail"/);
  assert.match(text, /service="notes"/);
});

test('names with quotes, backslashes and newlines do not break the format', async () => {
  const source = fakeSource(1, []);
  const name = 'a"b\\c\nd';
  const document = { rules: [{ name, percentage: 3 }] };
  source.serviceList = [newService(name, 1, rollout({ document }))];
  const series = parseSeries(await createExposition(source).render());
  assert.equal(series.get('serin_rollout_percentage{rule="a\\"b\\\\c\\nd",service="a\\"b\\\\c\\nd"}'), 3);
});

test('however many codes an application invents, the number of series is bounded', async () => {
  const source = fakeSource(1);
  for (let status = 0; status < 2000; status++) source.serviceList[0]!.blocks[0]!.request(0, status, 0.1);
  const { series } = parseExposition(await createExposition(source).render()).get('serin_requests_total')!;
  assert.ok(series.size < 100, `${series.size} series`);
  assert.equal(series.get('serin_requests_total{code="5xx",service="notes",variant="stable"}'), 89);
  const sum = [...series.values()].reduce((total, value) => total + value, 0);
  assert.equal(sum, 2000);
});

test('what is not known is absent, not zero', async () => {
  const source = fakeSource(1);
  source.migrate = null;
  const exposition = createExposition(source);
  let series = parseSeries(await exposition.render());
  assert.ok(!series.has('serin_tcp_migrate_req'));
  assert.ok(!series.has('serin_worker_heartbeat_age_seconds{worker="0"}'));
  assert.ok(!series.has('serin_config_last_reload_success_timestamp_seconds'));
  assert.ok(!series.has('serin_config_last_reload_failure_timestamp_seconds'));
  source.migrate = false;
  series = parseSeries(await exposition.render());
  assert.equal(series.get('serin_tcp_migrate_req'), 0);
});

test('a heartbeat from the future has no negative age', async () => {
  const source = fakeSource(1);
  source.workerList[0]!.counters.heartbeat(source.clock + 5000);
  const series = parseSeries(await createExposition(source).render());
  assert.equal(series.get('serin_worker_heartbeat_age_seconds{worker="0"}'), 0);
});

test('the control plane shows its reloads, changes and store errors', async () => {
  const source = fakeSource(1);
  const { control } = source;
  const exposition = createExposition(source);
  control.configurationTaken(1_000);
  control.configurationRefused(2_500);
  control.change('PENDING', 0);
  control.change('APPLYING', 0.01);
  control.change('APPLIED', 0.04);
  control.change('FAILED', 7);
  control.storeWriteFailed();
  let series = parseSeries(await exposition.render());
  const expected: Record<string, number> = {
    'serin_config_reloads_total{result="success"}': 1,
    'serin_config_reloads_total{result="failure"}': 1,
    serin_config_last_reload_successful: 0,
    serin_config_last_reload_success_timestamp_seconds: 1,
    serin_config_last_reload_failure_timestamp_seconds: 2.5,
    'serin_changes_total{status="PENDING"}': 1,
    'serin_changes_total{status="APPLIED"}': 1,
    'serin_changes_total{status="CANCELED"}': 0,
    serin_change_apply_duration_seconds_count: 1,
    serin_change_apply_duration_seconds_sum: 0.04,
    'serin_change_apply_duration_seconds_bucket{le="0.05"}': 1,
    'serin_change_apply_duration_seconds_bucket{le="0.03"}': 0,
    serin_store_write_errors_total: 1,
  };
  for (const [key, value] of Object.entries(expected)) assert.equal(series.get(key), value, key);
  control.configurationTaken(3_000);
  series = parseSeries(await exposition.render());
  assert.equal(series.get('serin_config_last_reload_successful'), 1);
});

test('scrapes that overlap share one reading; the next one reads anew', async () => {
  const source = fakeSource(1);
  let readings = 0;
  const workers = source.workers.bind(source);
  const exposition = createExposition(assign(source, { workers: () => (readings++, workers()) }));
  const [first, second] = await Promise.all([exposition.render(), exposition.render()]);
  assert.equal(first, second);
  assert.equal(readings, 1);
  await exposition.render();
  assert.equal(readings, 2);
});

test('a source that fails once fails that scrape only', async () => {
  const source = fakeSource(1);
  source.revision = () => {
    throw new Error('not now');
  };
  const exposition = createExposition(source);
  await assert.rejects(exposition.render(), /not now/);
  source.revision = () => 7;
  assert.match(await exposition.render(), /^serin_revision 7$/m);
});
