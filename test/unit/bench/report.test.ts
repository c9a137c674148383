/** The report says what its reader must know to trust a figure, and the picture holds together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContenderOutcome, Outcomes, ScenarioOutcome } from '../../../bench/outcome.ts';
import { plot } from '../../../bench/plot.ts';
import { report } from '../../../bench/report.ts';

const one = { median: 1, min: 0.9, max: 1.1 };

function contender(title: string, cpu: number, more: Partial<ContenderOutcome> = {}): ContenderOutcome {
  return {
    title,
    peer: title.toLowerCase(),
    cpu,
    user: cpu / 4,
    kernel: (cpu * 3) / 4,
    ratio: { median: cpu / 20, min: cpu / 21, max: cpu / 19 },
    perSecond: 40_000,
    perSecondRatio: one,
    busy: 1,
    memoryMiB: 100,
    memoryRatio: one,
    requests: 1000,
    failed: 0,
    rounds: [cpu],
    ...more,
  };
}

function outcomes(serin: Partial<ContenderOutcome> = {}, more: Partial<ScenarioOutcome> = {}): Outcomes {
  const scenario: ScenarioOutcome = {
    title: 'Small & quick',
    about: 'Small answers.',
    at: '2026-01-01T00:00:00Z',
    quick: false,
    rounds: 7,
    seconds: 2,
    reference: 'haproxy',
    contenders: { serin: contender('Serin', 18, serin), haproxy: contender('HAProxy', 20) },
    disturbed: 0,
    absent: [],
    ...more,
  };
  return { small: scenario };
}

/** The cells of the row that begins with the title. */
function row(text: string, title: string): string[] {
  const line = text.split('\n').find((words) => words.startsWith(`| ${title} `)) ?? '';
  return line.split('|').map((cell) => cell.trim());
}

test('goals that the outcomes have are judged, others are left out', () => {
  const text = report(outcomes(), []);
  assert.deepEqual(row(text, 'CPU per request, 1 KB, to HAProxy').slice(2, 5), ['≤ 1.00×', '0.90×', 'yes']);
  assert.ok(!text.includes('http-proxy-3'));
  const worse = report(outcomes({ ratio: { median: 1.2, min: 1.1, max: 1.3 } }), []);
  assert.equal(row(worse, 'CPU per request, 1 KB, to HAProxy')[4], 'no');
});

test('failures are said, in the table and below it', () => {
  const text = report(outcomes({ failed: 7 }), []);
  assert.equal(row(text, 'Serin').at(-2), '**7**');
  assert.match(text, /\*\*Serin: 7 of 1000 requests failed\.\*\*/);
});

test('requests a second that the load and not the proxy limited are marked', () => {
  assert.equal(row(report(outcomes(), []), 'Serin')[6], '40000');
  const text = report(outcomes({ busy: 0.5 }), []);
  assert.equal(row(text, 'Serin')[6], '≥ 40000');
  assert.match(text, /≥: the load, not the proxy, set the pace/);
});

test('a disturbed run says so', () => {
  assert.doesNotMatch(report(outcomes(), []), /Something else/);
  const text = report(outcomes({}, { disturbed: 0.3 }), []);
  assert.match(text, /Something else used 30 % of the proxy's core/);
  assert.equal(row(text, 'CPU per request, 1 KB, to HAProxy')[4], 'disturbed');
});

test('the picture is well-formed: text escaped, elements closed, every coordinate a number', () => {
  const svg = plot(outcomes());
  assert.ok(svg.includes('Small &amp; quick'));
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  const opened = [...svg.matchAll(/<(\w+)\b([^>]*)>/g)].flatMap(([, name = '', rest = '']) => {
    return rest.endsWith('/') ? [] : [name];
  });
  const closed = [...svg.matchAll(/<\/(\w+)>/g)].map(([, name = '']) => name);
  assert.ok(opened.length > 5);
  assert.deepEqual(opened.toSorted(), closed.toSorted());
});
