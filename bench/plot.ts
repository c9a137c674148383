/**
 * Outcomes as a picture: CPU per request of all proxies in the first scenario, and Serin and nginx to HAProxy in all of
 * them. Plain SVG that adapts to a light or dark surrounding and needs nothing else.
 */
import type { Outcomes, ScenarioOutcome } from './outcome.ts';

const WIDTH = 860;
const LEFT = 250;
const RIGHT = 90;
const ROW = 26;

const STYLE = `
  .card { fill: #ffffff; stroke: #d0d7de; }
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .faint { fill: #59636e; font-size: 12px; }
  .own { font-weight: 600; }
  .line { stroke: #d0d7de; }
  .one { stroke: #59636e; stroke-dasharray: 3 3; }
  .kernel { fill: #8c959f; } .user { fill: #c8cfd6; }
  .own .kernel { fill: #bf8700; } .own .user { fill: #f2c64b; }
  .serin { fill: #d29922; stroke: #d29922; } .nginx { fill: #57606a; stroke: #57606a; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .faint { fill: #9198a1; }
    .line { stroke: #30363d; }
    .one { stroke: #9198a1; }
    .kernel { fill: #6e7681; } .user { fill: #424a53; }
    .own .kernel { fill: #d29922; } .own .user { fill: #7a5c12; }
    .nginx { fill: #9198a1; stroke: #9198a1; }
  }`;

const escape = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const at = (value: number) => value.toFixed(1);

function text(x: number, y: number, words: string, style = '', anchor = 'start'): string {
  return `<text x="${at(x)}" y="${at(y)}" class="${style}" text-anchor="${anchor}">${escape(words)}</text>`;
}

/** Bars of CPU per request, cheapest first. */
function bars(scenario: ScenarioOutcome, top: number): { svg: string[]; height: number } {
  const contenders = Object.values(scenario.contenders).toSorted((a, b) => a.cpu - b.cpu);
  const scale = (WIDTH - LEFT - RIGHT) / Math.max(...contenders.map(({ cpu }) => cpu));
  const svg = [
    text(24, top + 20, `CPU per request: ${scenario.title}`, 'title'),
    text(24, top + 40, 'µs, dark in the kernel, light in the proxy itself; less is better', 'faint'),
  ];
  contenders.forEach((one, index) => {
    const y = top + 56 + index * ROW;
    const kernel = one.kernel * scale;
    const user = one.user * scale;
    svg.push(
      `<g class="${one.peer === 'serin' ? 'own' : ''}">`,
      text(LEFT - 12, y + 14, one.title, one.peer === 'serin' ? 'own' : '', 'end'),
      `<rect class="kernel" x="${LEFT}" y="${y}" width="${at(kernel)}" height="18"/>`,
      `<rect class="user" x="${at(LEFT + kernel)}" y="${y}" width="${at(user)}" height="18"/>`,
      text(LEFT + kernel + user + 8, y + 14, one.cpu.toFixed(1), 'faint'),
      '</g>',
    );
  });
  return { svg, height: 56 + contenders.length * ROW };
}

/** Ratios to HAProxy with their spreads, a row a scenario. */
function ratios(scenarios: readonly ScenarioOutcome[], top: number): { svg: string[]; height: number } {
  const names = ['serin', 'nginx'] as const;
  const shown = scenarios.filter(({ reference, contenders }) => {
    return reference === 'haproxy' && contenders['serin'] !== undefined;
  });
  const values = shown.flatMap(({ contenders }) => names.map((name) => contenders[name]?.ratio.median ?? 1));
  const most = Math.max(1.5, Math.min(4, Math.ceil(Math.max(...values) * 4) / 4));
  const x = (value: number) => LEFT + (Math.min(value, most) * (WIDTH - LEFT - RIGHT)) / most;
  const bottom = top + 62 + shown.length * ROW;
  const svg = [
    text(24, top + 20, 'CPU per request to HAProxy, by scenario', 'title'),
    text(24, top + 40, 'HAProxy = 1; medians, lowest and highest round; left is better', 'faint'),
    `<circle class="serin" cx="${WIDTH - 180}" cy="${top + 16}" r="5"/>`,
    text(WIDTH - 170, top + 20, 'Serin'),
    `<circle class="nginx" cx="${WIDTH - 110}" cy="${top + 16}" r="5"/>`,
    text(WIDTH - 100, top + 20, 'nginx'),
  ];
  for (let tick = 0; tick <= most; tick += 0.5) {
    const style = tick === 1 ? 'one' : 'line';
    svg.push(
      `<line class="${style}" x1="${at(x(tick))}" x2="${at(x(tick))}" y1="${top + 52}" y2="${bottom}"/>`,
      text(x(tick), bottom + 16, tick.toFixed(1), 'faint', 'middle'),
    );
  }
  shown.forEach(({ title, contenders }, index) => {
    const y = top + 72 + index * ROW;
    svg.push(text(LEFT - 12, y + 5, title, '', 'end'));
    for (const [lane, name] of names.entries()) {
      const ratio = contenders[name]?.ratio;
      if (ratio === undefined) continue;
      const own = y + (lane === 0 ? -4 : 5);
      svg.push(
        `<line class="${name}" stroke-width="2" x1="${at(x(ratio.min))}" x2="${at(x(ratio.max))}" y1="${own}" y2="${own}"/>`,
        `<circle class="${name}" cx="${at(x(ratio.median))}" cy="${own}" r="4"/>`,
        ...(name === 'serin' ? [text(WIDTH - RIGHT + 16, y + 5, ratio.median.toFixed(2), 'own')] : []),
      );
    }
  });
  return { svg, height: bottom + 24 - top };
}

export function plot(outcomes: Outcomes): string {
  const first = outcomes['small'];
  const svg: string[] = [];
  let y = 12;
  if (first !== undefined) {
    const part = bars(first, y);
    svg.push(...part.svg);
    y += part.height + 20;
  }
  const part = ratios(Object.values(outcomes), y);
  svg.push(...part.svg);
  y += part.height + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">`,
    '<title>CPU per request of Serin and other proxies</title>',
    `<style>${STYLE}\n</style>`,
    `<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${y - 1}" rx="8"/>`,
    ...svg,
    '</svg>',
    '',
  ].join('\n');
}
