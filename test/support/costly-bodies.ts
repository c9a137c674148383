/** YAML that takes the parser's time, in each of its ways: by the number of bytes, roughly. */
export const COSTLY_YAML: Readonly<Record<string, (bytes: number) => string>> = {
  flowmap: (n) => {
    let s = '{';
    for (let i = 0; s.length < n; i++) s += `k${i}: 1, `;
    return s + '}';
  },
  flowmapdense: (n) => {
    let s = '{';
    for (let i = 0; s.length < n; i++) s += `${i.toString(36)},`;
    return s + '}';
  },
  flowseqdeep: (n) => '['.repeat(n / 2) + ']'.repeat(n / 2),
  flowmapdeep: (n) => '{a: '.repeat(n / 5) + '1' + '}'.repeat(n / 5),
  seqdeep: (n) => '- '.repeat(n / 2) + '1',
  flowopen: (n) => '['.repeat(n),
  flowmapopen: (n) => '{'.repeat(n),
  qmark: (n) => '? '.repeat(n / 2),
  anchors: (n) => {
    let s = '';
    for (let i = 0; s.length < n; i++) s += `- &a${i} 1\n`;
    return s;
  },
  aliases: (n) => {
    let s = '- &a 1\n';
    for (let i = 0; s.length < n; i++) s += `- *a\n`;
    return s;
  },
  anchoralias: (n) => {
    let s = '';
    for (let i = 0; s.length < n; i++) s += `- &a${i} 1\n- *a${i}\n`;
    return s;
  },
  laughs: (n) => {
    let s = 'a0: &a0 [x,x,x,x,x,x,x,x,x]\n';
    for (let i = 1; s.length < n; i++)
      s += `a${i}: &a${i} [${Array(9)
        .fill('*a' + (i - 1))
        .join(',')}]\n`;
    return s;
  },
  chainmaps: (n) => {
    let s = 'a0: &a0 {x: 1}\n';
    for (let i = 1; s.length < n; i++) s += `a${i}: &a${i} {<<: *a${i - 1}, k${i}: 1}\n`;
    return s;
  },
  mergeseq: (n) => {
    let s = 'a: &a {';
    for (let i = 0; s.length < n / 2; i++) s += `k${i}: 1, `;
    s += '}\nb: {<<: [';
    for (; s.length < n;) s += '*a,';
    return s + ']}\n';
  },
  mergemany: (n) => {
    let s = 'a: &a {';
    for (let i = 0; s.length < n / 2; i++) s += `k${i}: 1, `;
    s += '}\n';
    for (let i = 0; s.length < n; i++) s += `b${i}: {<<: *a}\n`;
    return s;
  },
  docs: (n) => {
    let s = '';
    for (; s.length < n;) s += '---\na\n';
    return s;
  },
  directives: (n) => {
    let s = '';
    for (; s.length < n;) s += '%A\n';
    return s + '---\na\n';
  },
  tags: (n) => {
    let s = '';
    for (; s.length < n;) s += '- !!x 1\n';
    return s;
  },
  tagdirs: (n) => {
    let s = '';
    for (let i = 0; s.length < n; i++) s += `%TAG !a${i}! x\n`;
    return s + '---\na\n';
  },
  bads: (n) => '}'.repeat(n),
  colons: (n) => ': '.repeat(n / 2),
  multikeys: (n) => '? {a: 1}\n: '.repeat(n / 12) + '1\n',
  flowkeys: (n) => '[a]: '.repeat(n / 5) + '1',
  quotesopen: (n) => '"' + 'a'.repeat(n),
};
