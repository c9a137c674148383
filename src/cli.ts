#!/usr/bin/env node
/**
 * The `serin` command: rollouts from a terminal or a pipeline, over the API, and two things that need no API: override
 * tokens and the check of a configuration.
 *
 * Results go to standard output, everything else to standard error. An override token is written to standard output
 * alone, so that it can be piped; it is a password for as long as it lives.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { runCommand } from './cli/commands.ts';
import { CommandError, EXIT, parse, UsageError } from './cli/failure.ts';
import { USAGE } from './cli/help.ts';
import type { Surroundings } from './cli/options.ts';
import { parseDuration } from './config/duration.ts';
import { loadConfiguration } from './config/load.ts';
import { openKeyRing } from './config/secret.ts';
import { DocumentError } from './policy/faults.ts';
import { KeyRing } from './policy/keys.ts';
import { createOverride } from './policy/override.ts';

const surroundings: Surroundings = {
  env: process.env,
  stdin: () => readText(process.stdin),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.exitCode = fail(error);
}

async function run(words: readonly string[]): Promise<number> {
  if (words.includes('--help') || words.length === 0) {
    process.stdout.write(`${USAGE}\n`);
    return words.length === 0 ? EXIT.usage : EXIT.ok;
  }
  const [noun, verb, ...rest] = words;
  switch (`${noun} ${verb ?? ''}`) {
    case 'override create':
      return overrideCreate(rest);
    case 'config check':
      return configCheck(rest);
    default: {
      const code = await runCommand(words, surroundings);
      if (code !== undefined) return code;
      throw new UsageError(`there is no command "${[noun, verb].join(' ').trim()}"`);
    }
  }
}

async function overrideCreate(args: string[]): Promise<number> {
  const string = { type: 'string' } as const;
  const options = { service: string, variant: string, ttl: string, 'secret-file': string };
  const { values } = parse(() => parseArgs({ args, options }));
  const { service, variant, ttl, 'secret-file': file } = values;
  if (service === undefined || variant === undefined || ttl === undefined || file === undefined) {
    throw new UsageError('override create needs --service, --variant, --ttl and --secret-file');
  }
  if (variant !== 'always' && variant !== 'never') {
    throw new UsageError(`--variant is always or never, not "${variant}"`);
  }
  const seconds = parse(() => parseDuration(ttl)) / 1000;
  const keys = new KeyRing(await openKeyRing({ file: path.resolve(file), create: false }));
  const token = parse(() => createOverride(keys, service, variant, Date.now() / 1000, seconds));
  process.stdout.write(`${token}\n`);
  return EXIT.ok;
}

async function configCheck(args: string[]): Promise<number> {
  const { positionals } = parse(() => parseArgs({ args, options: {}, allowPositionals: true }));
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new UsageError('config check needs one FILE');
  const { configuration, warnings } = await loadConfiguration({ file, env: process.env, readFile });
  for (const { pointer, line, detail } of warnings) {
    process.stderr.write(`warning: line ${line ?? '?'} (${pointer}): ${detail}\n`);
  }
  const count = Object.keys(configuration.services ?? {}).length;
  process.stdout.write(`${file} is right: ${count} ${count === 1 ? 'service' : 'services'}\n`);
  return EXIT.ok;
}

function fail(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`serin: ${error.message}\nserin --help says what there is\n`);
    return EXIT.usage;
  }
  if (error instanceof CommandError) {
    process.stderr.write(`serin: ${error.message}\n`);
    return error.exitCode;
  }
  const known = error instanceof DocumentError;
  process.stderr.write(
    `serin: ${known ? error.message : String(error instanceof Error ? error.stack : error)}\n`,
  );
  return known ? EXIT.configuration : EXIT.refused;
}
