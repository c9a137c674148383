#!/usr/bin/env node
/**
 * The `serin` command: what an operator needs beside the API.
 *
 *   serin override create --service S --variant always|never --ttl 1h --secret-file FILE
 *   serin config check FILE
 *
 * It talks to nobody: tokens are signed with the key ring, configurations are checked as the proxy checks them. A token is
 * written to standard output alone, so that it can be piped; it is a password for as long as it lives.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parseDuration } from './config/duration.ts';
import { loadConfiguration } from './config/load.ts';
import { openKeyRing } from './config/secret.ts';
import { DocumentError } from './policy/faults.ts';
import { KeyRing } from './policy/keys.ts';
import { createOverride } from './policy/override.ts';

const EXIT_USAGE = 64;
const EXIT_CONFIGURATION = 78;

const USAGE = `usage: serin override create --service NAME --variant always|never --ttl DURATION --secret-file FILE
       serin config check FILE

  override create   makes a token that shows its holder the canary always (or never), whatever the policy says.
                    Send it as the header x-serin-override or the cookie serin_override; it is removed before a
                    request is forwarded. DURATION is such as 1h, 30 days at most. FILE is the proxy's key ring.
  config check      checks a configuration as the proxy would, and says every fault with its line.`;

class UsageError extends Error {}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.exitCode = fail(error);
}

async function run(words: readonly string[]): Promise<number> {
  if (words.includes('--help') || words.length === 0) {
    process.stdout.write(`${USAGE}\n`);
    return words.length === 0 ? EXIT_USAGE : 0;
  }
  const [noun, verb, ...rest] = words;
  switch (`${noun} ${verb ?? ''}`) {
    case 'override create':
      return overrideCreate(rest);
    case 'config check':
      return configCheck(rest);
    default:
      throw new UsageError(`there is no command "${[noun, verb].join(' ').trim()}"`);
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
  return 0;
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
  return 0;
}

/** Runs `read`; what it throws about the command line becomes a usage error. */
function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function fail(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`serin: ${error.message}\n\n${USAGE}\n`);
    return EXIT_USAGE;
  }
  const known = error instanceof DocumentError;
  process.stderr.write(
    `serin: ${known ? error.message : String(error instanceof Error ? error.stack : error)}\n`,
  );
  return known ? EXIT_CONFIGURATION : 1;
}
