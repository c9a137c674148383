/** The fleet as people read it at a terminal: one row a replica, and below it a sentence for all that is not as it should be. */
import type { Json } from './json.ts';
import { plain, record, records, table } from './show.ts';

export function fleetText(body: Json): string {
  const rows = records(body['replicas']).map((replica) => {
    const { name, state, leader, revision, workers, version, address, ageMs } = replica;
    return [
      plain(name),
      plain(state),
      leader === true ? 'yes' : 'no',
      `${plain(revision)} of ${plain(body['revision'])}`,
      records(workers)
        .map((worker) => `${plain(worker['index'])}: ${plain(worker['revision'])}`)
        .join(', '),
      plain(version),
      address === undefined || address === '' ? '-' : plain(address),
      typeof ageMs === 'number' ? ago(ageMs) : '-',
    ];
  });
  const head = ['REPLICA', 'STATE', 'LEADER', 'REVISION', 'WORKERS', 'VERSION', 'ADDRESS', 'HEARD OF'];
  const troubles = [...storeTrouble(record(body['store'])), ...disagreements(body), ...replicaTroubles(body)];
  return [table([head, ...rows]), ...(troubles.length > 0 ? ['', ...troubles] : [])].join('\n');
}

function storeTrouble({ condition, trouble }: Json): string[] {
  if (condition === undefined || condition === 'available') return [];
  return [`the store is ${plain(condition)}${typeof trouble === 'string' ? `: ${plain(trouble)}` : ''}`];
}

function disagreements({ disagreements: list }: Json): string[] {
  if (!Array.isArray(list) || list.length === 0) return [];
  return [
    'percentages cannot be raised while replicas differ:',
    ...list.map((sentence) => `  ${plain(sentence)}`),
  ];
}

function replicaTroubles(body: Json): string[] {
  return records(body['replicas']).flatMap((replica) => {
    const name = plain(replica['name']);
    const ahead = Array.isArray(replica['rolledBack']) ? replica['rolledBack'] : [];
    return [
      ...(replica['fenced'] === true
        ? [`${name} has lost the store for too long and gives stable to everybody`]
        : []),
      ...(ahead.length > 0
        ? [`${name} holds rollbacks that the store does not have yet: ${ahead.map(plain).join(', ')}`]
        : []),
      ...records(replica['faults']).map(
        ({ service, revision, detail }) =>
          `${name} can not read ${plain(service)} at revision ${plain(revision)} and serves it by the former one: ${plain(detail)}`,
      ),
    ];
  });
}

/** How long ago, in the largest unit that leaves a number above one. */
function ago(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds} ms ago`;
  const seconds = milliseconds / 1000;
  if (seconds < 120) return `${seconds.toFixed(1)} s ago`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}
