import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadConfiguration, type LoadedConfiguration } from '../../../src/config/load.ts';
import { watchConfiguration, type WatchSurroundings } from '../../../src/config/watch.ts';
import { DocumentError } from '../../../src/schema/faults.ts';

const FILE = '/etc/serin/serin.yaml';
const SETTLE = 200;
const POLL = 2000;

interface Watched {
  readonly changes: LoadedConfiguration[];
  readonly faults: unknown[];
  /** Lets that much time pass, and everything happen that is due. */
  readonly pass: (milliseconds: number) => Promise<void>;
  /** Changes a file: its contents, undefined for none; and how it looks, unless `silently`. */
  readonly write: (file: string, text: string | undefined) => void;
  /** What the system tells of a directory. */
  readonly tell: (directory: string) => void;
  readonly directories: Set<string>;
  readonly reads: () => number;
  readonly watch: ReturnType<typeof watchConfiguration>;
  onChange: (loaded: LoadedConfiguration) => Promise<void>;
}

/** Everything that was scheduled without a timer has run. */
function idle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));
}

async function watching(text: string, more: { [file: string]: string } = {}): Promise<Watched> {
  const contents = new Map<string, string>(Object.entries({ [FILE]: text, ...more }));
  const looks = new Map<string, number>();
  const timers = new Map<object, { at: number; run: () => void }>();
  const told = new Map<string, () => void>();
  let now = 0;
  let reads = 0;

  const surroundings: WatchSurroundings = {
    after(milliseconds, run) {
      const timer = {};
      timers.set(timer, { at: now + milliseconds, run });
      return () => timers.delete(timer);
    },
    look: async (file) => (contents.has(file) ? `there ${looks.get(file) ?? 0}` : 'missing'),
    async readFile(file) {
      reads += 1;
      const found = contents.get(file);
      if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return Buffer.from(found);
    },
    watchDirectory(directory, changed) {
      told.set(directory, changed);
      return () => told.delete(directory);
    },
  };

  const current = await loadConfiguration({ file: FILE, env: {}, readFile: surroundings.readFile });
  reads = 0;
  const watched: Watched = {
    changes: [],
    faults: [],
    async pass(milliseconds) {
      const until = now + milliseconds;
      await idle();
      for (;;) {
        const due = [...timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0];
        if (due === undefined) break;
        timers.delete(due[0]);
        now = due[1].at;
        due[1].run();
        await idle();
      }
      now = until;
    },
    write(file, next) {
      looks.set(file, (looks.get(file) ?? 0) + 1);
      if (next === undefined) contents.delete(file);
      else contents.set(file, next);
    },
    tell: (directory) => told.get(directory)?.(),
    get directories() {
      return new Set(told.keys());
    },
    reads: () => reads,
    onChange: async () => {},
    watch: watchConfiguration({
      file: FILE,
      env: {},
      current,
      onChange: async (loaded) => {
        watched.changes.push(loaded);
        await watched.onChange(loaded);
      },
      onFault: (error) => watched.faults.push(error),
      surroundings,
    }),
  };
  return watched;
}

const ops = (port: number): string => `ops: { listen: 127.0.0.1:${port} }\n`;
const listens = (loaded: readonly LoadedConfiguration[]): unknown[] =>
  loaded.map(({ configuration }) => configuration.ops?.listen);

describe('watching the configuration', () => {
  it('loads a file that changed, without being told', async () => {
    const watched = await watching(ops(1));
    await watched.pass(POLL);
    assert.equal(watched.changes.length, 0);
    watched.write(FILE, ops(2));
    await watched.pass(POLL + SETTLE);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2']);
    await watched.pass(10 * POLL);
    assert.equal(watched.changes.length, 1);
    await watched.watch.close();
  });

  it('loads it sooner when the system tells', async () => {
    const watched = await watching(ops(1));
    await watched.pass(SETTLE + 1);
    watched.write(FILE, ops(2));
    watched.tell('/etc/serin');
    await watched.pass(SETTLE + 1);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2']);
    await watched.watch.close();
  });

  it('notices what changed between the load and the watch', async () => {
    const watched = await watching(ops(1));
    watched.write(FILE, ops(2));
    await watched.pass(3 * SETTLE);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2']);
    await watched.watch.close();
  });

  it('waits until the writer is done', async () => {
    const watched = await watching(ops(1));
    await watched.pass(SETTLE + 1);
    watched.write(FILE, '');
    watched.tell('/etc/serin');
    await watched.pass(SETTLE - 1);
    watched.write(FILE, 'ops: { lis');
    await watched.pass(SETTLE - 1);
    watched.write(FILE, undefined);
    await watched.pass(SETTLE - 1);
    watched.write(FILE, ops(2));
    await watched.pass(3 * SETTLE);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2']);
    assert.deepEqual(watched.faults, []);
    await watched.watch.close();
  });

  it('reads a file that never comes to rest all the same', async () => {
    const watched = await watching(ops(1));
    await watched.pass(SETTLE + 1);
    for (let turn = 0; turn < 60; turn++) {
      watched.write(FILE, ops(2));
      watched.tell('/etc/serin');
      await watched.pass(SETTLE);
    }
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2']);
    await watched.watch.close();
  });

  it('reports a bad file once and keeps what runs, then takes the good one', async () => {
    const watched = await watching(ops(1));
    await watched.pass(POLL);
    watched.write(FILE, 'opps: {}\n');
    await watched.pass(5 * POLL);
    assert.equal(watched.changes.length, 0);
    assert.equal(watched.faults.length, 1);
    const [error] = watched.faults;
    assert.ok(error instanceof DocumentError);
    assert.match(error.message, /line 1 .*unknown field "opps"; did you mean "ops"\?/);
    watched.write(FILE, ops(3));
    await watched.pass(2 * POLL);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:3']);
    await watched.watch.close();
  });

  it('takes a bad file that becomes what runs for no change', async () => {
    const watched = await watching(ops(1));
    await watched.pass(POLL);
    watched.write(FILE, undefined);
    await watched.pass(2 * POLL);
    assert.match(String(watched.faults[0]), /there is no such file/);
    watched.write(FILE, `# touched\n${ops(1)}`);
    await watched.pass(2 * POLL);
    assert.equal(watched.changes.length, 0);
    await watched.watch.close();
  });

  it('reports what refuses the new configuration, and tries again at the next change only', async () => {
    const watched = await watching(ops(1));
    await watched.pass(POLL);
    watched.onChange = async () => {
      throw new Error('not with me');
    };
    watched.write(FILE, ops(2));
    await watched.pass(5 * POLL);
    assert.deepEqual(watched.faults.map(String), ['Error: not with me']);
    watched.onChange = async () => {};
    watched.write(FILE, `${ops(2)}# again\n`);
    await watched.pass(2 * POLL);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2', '127.0.0.1:2']);
    await watched.watch.close();
  });

  it('does not miss what changes while the change before is being applied', async () => {
    const watched = await watching(ops(1));
    await watched.pass(POLL);
    const applying = Promise.withResolvers<void>();
    watched.onChange = () => applying.promise;
    watched.write(FILE, ops(2));
    await watched.pass(2 * POLL);
    watched.write(FILE, ops(3));
    watched.tell('/etc/serin');
    await watched.pass(2 * POLL);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2'], 'never two at a time');
    applying.resolve();
    await watched.pass(2 * POLL);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2', '127.0.0.1:3']);
    await watched.watch.close();
  });

  it('follows the files of tokens, also those that are missing yet', async () => {
    const text = 'admin: { tokens: [{ name: a, role: admin, file: /run/tokens/a }] }\n';
    const watched = await watching(text, { '/run/tokens/a': 'the-first-token-of-a' });
    await watched.pass(POLL);
    assert.deepEqual(watched.directories, new Set(['/etc/serin', '/run/tokens']));
    watched.write('/run/tokens/a', 'the-second-token-of-a');
    await watched.pass(2 * POLL);
    assert.equal(watched.changes.length, 1);
    watched.write(FILE, text.replace('/run/tokens/a', '/run/others/b'));
    await watched.pass(2 * POLL);
    assert.equal(watched.faults.length, 1);
    watched.write('/run/others/b', 'the-only-token-of-b');
    await watched.pass(2 * POLL);
    assert.equal(watched.changes.length, 2);
    assert.equal(watched.faults.length, 1);
    await watched.watch.close();
    assert.equal(watched.directories.size, 0);
  });

  it('tells of a new region database', async () => {
    const watched = await watching('region: { database: /geo/city.mmdb }\n', { '/geo/city.mmdb': 'old' });
    await watched.pass(2 * POLL);
    watched.write('/geo/city.mmdb', 'new');
    await watched.pass(2 * POLL);
    assert.equal(watched.changes.length, 1);
    await watched.pass(5 * POLL);
    assert.equal(watched.changes.length, 1);
    await watched.watch.close();
  });

  it('reads nothing while nothing changes', async () => {
    const watched = await watching(ops(1));
    await watched.pass(POLL);
    const before = watched.reads();
    await watched.pass(100 * POLL);
    assert.equal(watched.reads(), before);
    await watched.watch.close();
  });

  it('looks at once when asked', async () => {
    const watched = await watching(ops(1));
    await watched.pass(SETTLE + 1);
    watched.write(FILE, ops(2));
    let over = false;
    void watched.watch.check().then(() => (over = true));
    await watched.pass(SETTLE - 1);
    assert.equal(over, false);
    await watched.pass(2);
    assert.equal(over, true);
    assert.deepEqual(listens(watched.changes), ['127.0.0.1:2']);
    await watched.watch.close();
  });

  it('calls nothing more once it is closed', async () => {
    const watched = await watching(ops(1));
    await watched.pass(POLL);
    watched.write(FILE, ops(2));
    watched.tell('/etc/serin');
    await idle();
    await watched.watch.close();
    await watched.watch.check();
    await watched.pass(10 * POLL);
    assert.deepEqual([watched.changes.length, watched.faults.length], [0, 0]);
  });
});
