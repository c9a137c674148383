/**
 * The log: pino, one JSON object a line, with OpenTelemetry's attribute names.
 *
 * Whatever a caller passes, no line holds a cookie, an authorisation, an override or a token: fields with such names lose
 * their value, and such values inside other texts (an error's message, say) are cut out. It never waits for a slow
 * destination; it drops lines then, and says how many as soon as it can. It works alike on the main thread and in workers.
 */
import { pino, stdTimeFunctions, type Logger as PinoLogger } from 'pino';
import { visibleText } from '../schema/visible-text.ts';
import { LineWriter, openOutput } from './line-writer.ts';
import { prettyLine } from './pretty-line.ts';
import { redactFields, redactText } from './redaction.ts';

export type Logger = PinoLogger;

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** For people at a terminal: not JSON. */
  readonly pretty?: boolean;
  /** A descriptor (1, standard output, if unsaid), a path, or what takes finished lines. */
  readonly destination?: number | string | { write(line: string): unknown };
  /** Fields of every line, such as `{'serin.worker': 3}`. */
  readonly fields?: { readonly [name: string]: unknown };
}

/** The most bytes that may wait for a slow destination. */
const WAITING_LIMIT = 1024 * 1024;

/**
 * Makes a logger. Throws the system's error when the destination cannot be opened. `logger.flush(done)` calls back when
 * all is out. Attribute names: https://opentelemetry.io/docs/specs/semconv/registry/attributes/
 */
export function createLog({ level, pretty = false, destination = 1, fields = {} }: LogOptions): Logger {
  const sink = typeof destination === 'object' ? plainSink(destination) : fileSink(destination);
  const logger: Logger = pino(
    {
      level,
      base: { 'service.name': 'serin', ...redactFields(fields) },
      timestamp: stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: redactFields,
      },
    },
    {
      ...sink,
      write: (line: string) =>
        sink.write(pretty ? prettyLine(redactText(line)) : visibleText(redactText(line))),
    },
  );
  redactChildren(logger);
  sink.onRecovered((lost) =>
    logger.warn({ 'serin.lost_lines': lost }, 'log lines were lost: the destination was slow'),
  );
  return logger;
}

/** pino applies no formatter to the fields of child loggers; they inherit this method from the first. */
function redactChildren(logger: Logger): void {
  const inherited = logger as unknown as { child: (this: Logger, ...parameters: unknown[]) => Logger };
  const make = inherited.child;
  inherited.child = function child(fields, ...rest) {
    return make.call(this, redactFields(fields as Record<string, unknown>), ...rest);
  };
}

interface Sink {
  readonly write: (line: string) => void;
  readonly flush: (done?: () => void) => void;
  readonly flushSync: () => void;
  /** `told` hears how many lines were lost once a line can be written again. */
  readonly onRecovered: (told: (lost: number) => void) => void;
}

function fileSink(destination: number | string): Sink {
  let lost = 0;
  let told: ((lost: number) => void) | undefined;
  const writer = new LineWriter({
    output: openOutput(destination),
    limit: WAITING_LIMIT,
    immediate: true,
    onDropped: (lines) => {
      lost += lines;
    },
  });
  return {
    write: (line) => {
      if (!writer.write(line) || lost === 0) return;
      const count = lost;
      lost = 0;
      told?.(count);
    },
    flush: (done) => {
      writer.flush(done ?? ignore);
    },
    flushSync: () => {
      writer.flushSync();
    },
    onRecovered: (listener) => {
      told = listener;
    },
  };
}

function plainSink(destination: { write(line: string): unknown }): Sink {
  return {
    write: (line) => void destination.write(line),
    flush: (done) => done?.(),
    flushSync: ignore,
    onRecovered: ignore,
  };
}

function ignore(): void {}
