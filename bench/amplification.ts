/**
 * What hostile heads cost against ordinary ones of their size: `node bench/amplification.ts [--no-write]`. About half a minute.
 *
 * In process: the head is read, the service and the client are found, the request is decided, and the head for the endpoint is made.
 * The families and the work are those of `test/conformance/amplification.test.ts`, which holds them to ten times.
 */
import { costOf as costOfHeads, headsOf } from '../test/support/head-cost.ts';
import { FAMILIES, ordinaryHead, type Family } from '../test/support/hostile-heads.ts';
import { createRequestWork, type PolicySize, type RequestWork } from '../test/support/request-work.ts';
import { machine, table, writeSection } from './results.ts';

const SIZE = 30_000;
const SHOWN = 12;
/** A request whose head is worked out in 6 µs costs about 24 µs with its sockets: three times as much comes on top of every head. */
const SOCKETS = 3;
const ROUNDS = 7;
const ROUND_MICROSECONDS = 8_000;

interface Row {
  readonly name: string;
  readonly bytes: number;
  /** CPU microseconds. */
  readonly cost: number;
  readonly ordinary: number;
  readonly ratio: number;
}

const heads = (make: Family['head'], size: number): Buffer[] => headsOf(make, size, 256);
const costOf = (work: RequestWork, list: readonly Buffer[]): number =>
  costOfHeads(work, list, ROUNDS, ROUND_MICROSECONDS);

function measure(size: PolicySize): Row[] {
  const work = createRequestWork(size);
  costOf(work, heads(ordinaryHead, SIZE));
  const ordinaryCosts = new Map<number, number>();
  const sockets = SOCKETS * costOf(work, heads(ordinaryHead, 1_600));
  const rows = FAMILIES.map(({ name, head }): Row => {
    const list = heads(head, SIZE);
    const bytes = (list[0] as Buffer).length;
    const like = Math.round(bytes / 512) * 512;
    const ordinary = ordinaryCosts.get(like) ?? costOf(work, heads(ordinaryHead, like));
    ordinaryCosts.set(like, ordinary);
    const cost = costOf(work, list);
    return { name, bytes, cost, ordinary, ratio: (cost + sockets) / (ordinary + sockets) };
  });
  return rows.toSorted((a, b) => b.ratio - a.ratio);
}

const outcomes = { plain: measure('plain'), many: measure('many') };
const { cpu, kernel, node } = machine();
const tables = Object.entries(outcomes).map(([size, rows]) => {
  const lines = rows
    .slice(0, SHOWN)
    .map(({ name, bytes, cost, ordinary, ratio }) => [
      name,
      String(bytes),
      cost.toFixed(0),
      ordinary.toFixed(0),
      ratio.toFixed(1),
    ]);
  const title = size === 'plain' ? 'With few rules:' : 'With 1,000 rules:';
  return `${title}\n\n${table([['heads of', 'bytes', 'CPU µs', 'ordinary head of that size', 'ratio'], ...lines])}`;
});
const markdown = [
  `The ${SHOWN} worst of ${FAMILIES.length} families of hostile heads, and what they cost in process. The ratio is of whole requests: the sockets cost any request three times what a small head costs.`,
  ...tables,
  `- ${cpu}, Linux ${kernel}, Node.js ${node}.`,
].join('\n\n');
console.log(markdown);
if (!process.argv.includes('--no-write')) writeSection('amplification', 'Amplification', markdown, outcomes);
