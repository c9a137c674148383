/** Reads Prometheus' text format as strictly as the tests need it: any line that is not understood is an error. */

export interface ParsedFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  /** By `name{label="value",…}` with the labels sorted. */
  readonly series: Map<string, number>;
  readonly labels: Set<string>;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$/;

export function parseExposition(text: string): Map<string, ParsedFamily> {
  const families = new Map<string, ParsedFamily>();
  let current: ParsedFamily | undefined;
  let help = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment;
      if (kind === 'HELP') help = rest!;
      else {
        if (families.has(name!)) throw new Error(`${name} is there twice`);
        current = { name: name!, help, type: rest!, series: new Map(), labels: new Set() };
        families.set(name!, current);
      }
      continue;
    }
    const match = LINE.exec(line);
    if (match === null || current === undefined) throw new Error(`not a sample: ${line}`);
    const [, name, labels = '', value] = match;
    const suffix = name!.slice(current.name.length);
    const allowed = current.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (!name!.startsWith(current.name) || !allowed.includes(suffix))
      throw new Error(`out of place: ${line}`);
    const pairs = labels.match(/[a-zA-Z_]\w*="(?:[^"\\]|\\.)*"/g) ?? [];
    for (const pair of pairs) current.labels.add(pair.slice(0, pair.indexOf('=')));
    const key = pairs.length === 0 ? name! : `${name}{${pairs.sort().join(',')}}`;
    if (current.series.has(key)) throw new Error(`a series is there twice: ${line}`);
    current.series.set(key, value === '+Inf' ? Infinity : Number(value));
  }
  return families;
}

/** All series of all families in one map. */
export function parseSeries(text: string): Map<string, number> {
  return new Map([...parseExposition(text).values()].flatMap(({ series }) => [...series]));
}
