import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LineWriter, type Output, type WriterSystem } from '../../../src/telemetry/line-writer.ts';

/** What the fake system does at the next write: take that many bytes, or fail with that code. */
type Step = number | string;

/** A system whose writes follow a script (everything is taken after its end) and whose timers are run by hand. */
class FakeSystem implements WriterSystem {
  readonly chunks: string[] = [];
  readonly delays: number[] = [];
  readonly script: Step[];
  #due: (() => void)[] = [];
  #taken: Buffer[] = [];
  #asynchronous: (() => void)[] = [];

  constructor(script: Step[] = []) {
    this.script = script;
  }

  readonly writeSync = (_fd: number, bytes: Buffer): number => {
    const step = this.script.shift() ?? bytes.length;
    if (typeof step === 'string') throw Object.assign(new Error(step), { code: step });
    const taken = bytes.subarray(0, step);
    this.chunks.push(taken.toString());
    this.#taken.push(taken);
    return taken.length;
  };

  readonly write = (
    fd: number,
    bytes: Buffer,
    done: (error: Error | null, written: number) => void,
  ): void => {
    this.#asynchronous.push(() => {
      let written: number;
      try {
        written = this.writeSync(fd, bytes);
      } catch (error) {
        done(error as Error, 0);
        return;
      }
      done(null, written);
    });
  };

  readonly soon = (run: () => void): void => void this.#due.push(run);

  readonly later = (run: () => void, ms: number): void => {
    this.delays.push(ms);
    this.#due.push(run);
  };

  get out(): string {
    return Buffer.concat(this.#taken).toString();
  }

  /** Lets timers and writes under way happen, until nothing is left. */
  settle(): void {
    while (this.#due.length + this.#asynchronous.length > 0) {
      const runs = [...this.#due, ...this.#asynchronous];
      this.#due = [];
      this.#asynchronous = [];
      for (const run of runs) run();
    }
  }
}

function writer(
  system: FakeSystem,
  options: { kind?: Output['kind']; limit?: number; immediate?: boolean } = {},
): { writer: LineWriter; dropped: () => number } {
  const { kind = 'nonBlocking', limit = 1000, immediate = true } = options;
  let dropped = 0;
  const made = new LineWriter({
    output: { fd: 99, kind },
    limit,
    immediate,
    onDropped: (lines) => (dropped += lines),
    system,
  });
  return { writer: made, dropped: () => dropped };
}

test('an immediate line is out when write returns', () => {
  for (const kind of ['nonBlocking', 'file'] as const) {
    const system = new FakeSystem();
    writer(system, { kind }).writer.write('one\n');
    assert.equal(system.out, 'one\n');
  }
});

test('an output that may block is never written to in the caller’s turn', () => {
  const system = new FakeSystem();
  const { writer: lines } = writer(system, { kind: 'blocking' });
  lines.write('one\n');
  lines.write('two\n');
  assert.equal(system.out, '');
  system.settle();
  assert.equal(system.out, 'one\ntwo\n');
});

test('gathered lines go out together, in the next turn', () => {
  const system = new FakeSystem();
  const { writer: lines } = writer(system, { immediate: false });
  lines.write('one\n');
  lines.write('two\n');
  assert.equal(system.out, '');
  system.settle();
  assert.deepEqual(system.chunks, ['one\ntwo\n']);
});

test('a full pipe is tried again, in order, and the caller never waits', () => {
  const system = new FakeSystem(['EAGAIN', 'EAGAIN']);
  const { writer: lines, dropped } = writer(system);
  lines.write('one\n');
  lines.write('two\n');
  assert.equal(system.out, '');
  system.settle();
  assert.equal(system.out, 'one\ntwo\n');
  assert.equal(dropped(), 0);
  assert.equal(system.delays.length, 2);
});

test('what does not fit is dropped and counted; room comes back when lines are out', () => {
  const system = new FakeSystem(['EAGAIN']);
  const { writer: lines, dropped } = writer(system, { limit: 10 });
  assert.equal(lines.write('12345678\n'), true);
  assert.equal(lines.write('x\n'), false);
  assert.equal(lines.write('\n'), true);
  assert.equal(dropped(), 1);
  system.settle();
  assert.equal(system.out, '12345678\n\n');
  assert.equal(lines.write('987654321\n'), true);
  assert.equal(system.out, '12345678\n\n987654321\n');
});

test('the limit is of bytes, not of characters', () => {
  const system = new FakeSystem(['EAGAIN']);
  const { writer: lines } = writer(system, { limit: 10 });
  assert.equal(lines.write('ééééé\n'), false);
  assert.equal(lines.write('éééé\n'), true);
});

test('an output that fails loses the chunk, counts its lines, and is tried again later', () => {
  const system = new FakeSystem(['EAGAIN', 'EPIPE']);
  const { writer: lines, dropped } = writer(system);
  lines.write('one\n');
  lines.write('two\n');
  system.settle();
  assert.equal(dropped(), 1);
  assert.equal(system.out, 'two\n');
  lines.write('three\n');
  assert.equal(system.out, 'two\nthree\n');
  assert.equal(system.delays.length, 2);
  assert.ok(system.delays[1]! > system.delays[0]!);
});

test('a line cut in the middle by a failure does not spoil the next one', () => {
  const system = new FakeSystem([2, 'ENOSPC']);
  const { writer: lines, dropped } = writer(system, { kind: 'file' });
  lines.write('one\n');
  assert.equal(dropped(), 1);
  lines.write('two\n');
  assert.equal(system.out, 'on\ntwo\n');
});

test('nor when the one after it fails as well', () => {
  const system = new FakeSystem([2, 'ENOSPC', 'ENOSPC']);
  const { writer: lines } = writer(system, { kind: 'file' });
  for (const line of ['one\n', 'two\n', 'three\n']) {
    lines.write(line);
    system.settle();
  }
  assert.equal(system.out, 'on\nthree\n');
});

test('flush calls back when all is out, at once when nothing waits', () => {
  const system = new FakeSystem(['EAGAIN']);
  const { writer: lines } = writer(system);
  let flushed = 0;
  lines.flush(() => flushed++);
  assert.equal(flushed, 1);
  lines.write('one\n');
  lines.flush(() => flushed++);
  assert.equal(flushed, 1);
  system.settle();
  assert.equal(flushed, 2);
});

test('flush also calls back when the rest is lost', () => {
  const system = new FakeSystem(['EAGAIN', 'EIO']);
  const { writer: lines } = writer(system);
  let flushed = false;
  lines.write('one\n');
  lines.flush(() => (flushed = true));
  system.settle();
  assert.equal(flushed, true);
});

test('flushSync writes what waits, once', () => {
  const system = new FakeSystem();
  const { writer: lines } = writer(system, { immediate: false, kind: 'file' });
  lines.write('one\n');
  lines.flushSync();
  assert.equal(system.out, 'one\n');
  system.settle();
  assert.equal(system.out, 'one\n');
});

test('flushSync gives up on a full pipe without a word', () => {
  const system = new FakeSystem(['EAGAIN', 'EAGAIN']);
  const { writer: lines } = writer(system);
  lines.write('one\n');
  lines.flushSync();
  system.settle();
  assert.equal(system.out, 'one\n');
});

test('flushSync does not write a second time what the thread pool is writing', () => {
  const system = new FakeSystem();
  const { writer: lines } = writer(system, { kind: 'blocking' });
  lines.write('one\n');
  lines.flushSync();
  system.settle();
  assert.equal(system.out, 'one\n');
});

test('one write to a pipe is at most 4096 bytes and ends with a line', () => {
  const system = new FakeSystem();
  const { writer: lines } = writer(system, { immediate: false, limit: 100_000 });
  for (let n = 0; n < 100; n++) lines.write(`${'é'.repeat(45 + n)}\n`);
  system.settle();
  assert.ok(system.chunks.length > 3);
  for (const chunk of system.chunks) {
    assert.ok(Buffer.byteLength(chunk) <= 4096);
    assert.ok(chunk.endsWith('\n'));
  }
});

test('whatever the system does, what is out is a part of the lines, in order and whole, and the rest is counted', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 12 }) },
    { weight: 2, arbitrary: fc.constant('EAGAIN') },
    { weight: 1, arbitrary: fc.constantFrom('EPIPE', 'ENOSPC') },
  );
  const options = fc.record({
    kind: fc.constantFrom<Output['kind']>('nonBlocking', 'file', 'blocking'),
    immediate: fc.boolean(),
    limit: fc.constantFrom(20, 60, 10_000),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 15 }), fc.boolean())),
      fc.array(step),
      options,
      (sizes, script, chosen) => {
        const failures = script.some((item) => item === 'EPIPE' || item === 'ENOSPC');
        const system = new FakeSystem(script);
        const { writer: lines, dropped } = writer(system, chosen);
        const taken: string[] = [];
        sizes.forEach(([size, settle], index) => {
          const line = `${index}:${'x'.repeat(size)};\n`;
          if (lines.write(line)) taken.push(line);
          if (settle) system.settle();
        });
        system.settle();
        if (!failures) {
          assert.equal(system.out, taken.join(''));
          assert.equal(dropped(), sizes.length - taken.length);
          return;
        }
        const whole = system.out.split('\n').filter((line) => line.endsWith(';'));
        const indices = whole.map((line) => Number.parseInt(line, 10));
        assert.deepEqual(
          indices,
          [...indices].sort((a, b) => a - b),
        );
        for (const line of whole) assert.ok(taken.includes(`${line}\n`), `${line} was never written so`);
        assert.ok(dropped() >= sizes.length - whole.length - script.length);
        assert.ok(dropped() <= sizes.length);
      },
    ),
    { numRuns: 1000 },
  );
});
