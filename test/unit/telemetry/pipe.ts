/** A named pipe for tests, with nobody on the reading end but the test. */
import type { TestContext } from 'node:test';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pipe {
  /** The writing end, in blocking mode, as a parent process would hand it down. */
  readonly fd: number;
  /** Takes what is in the pipe just now and gives all that was taken so far. Never waits. */
  readonly taken: () => string;
}

const MAKE_PIPE = 'mkfifo';

/** A pipe that is gone after the test. */
export function openPipe(context: TestContext): Pipe {
  const path = makePipe(context);
  // Reader first: opening a pipe to write waits for one.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  context.after(() => {
    closeSync(fd);
    closeSync(reader);
  });
  const buffer = Buffer.alloc(65_536);
  let text = '';
  const taken = (): string => {
    try {
      for (let size; (size = readSync(reader, buffer)) > 0;) text += buffer.toString('latin1', 0, size);
    } catch {
      // EAGAIN: it is empty.
    }
    return text;
  };
  return { fd, taken };
}

/** The path of a new named pipe. */
export function makePipe(context: TestContext): string {
  const path = join(scratch(context), 'pipe');
  execFileSync(MAKE_PIPE, [path]);
  return path;
}

/** A folder that is gone after the test. */
export function scratch(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'serin-telemetry-'));
  context.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}
