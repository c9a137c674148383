/** What the endpoints were asked, from the files that they write before they answer. */
import { existsSync, readFileSync } from 'node:fs';

export interface Deliveries {
  /** How often each request was delivered, by its id. */
  readonly times: ReadonlyMap<string, number>;
  /** Ids of POSTs that were delivered more than once. */
  readonly duplicates: readonly string[];
  /** Deliveries of other methods beyond the first of each request. */
  readonly repeated: number;
}

export function readDeliveries(files: readonly string[]): Deliveries {
  const times = new Map<string, number>();
  const duplicates = new Set<string>();
  let repeated = 0;
  for (const file of files) {
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'latin1').split('\n')) {
      const [method, id] = line.split(' ');
      if (method === undefined || id === undefined) continue;
      const count = (times.get(id) ?? 0) + 1;
      times.set(id, count);
      if (count === 1) continue;
      if (method === 'POST') duplicates.add(id);
      else repeated += 1;
    }
  }
  return { times, duplicates: [...duplicates], repeated };
}
