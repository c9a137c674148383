/**
 * Commands that need no API: override tokens, the check of a configuration, and those that move stores.
 *
 * A token goes to standard output alone, so that it can be piped; how to send it goes to standard error. It is a
 * password for as long as it lives.
 */
import { visibleLine } from '../schema/visible-text.ts';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parseDuration } from '../schema/duration.ts';
import { loadConfiguration } from '../config/load.ts';
import { readRegular } from '../files/regular-file.ts';
import { openKeyRing } from '../config/secret.ts';
import { OVERRIDE_COOKIE, OVERRIDE_HEADER } from '../policy/cookies.ts';
import { KeyRing } from '../policy/keys.ts';
import { createOverride, Overrides } from '../policy/override.ts';
import { type LocalCommand, string } from './command.ts';
import { EXIT, parse, UsageError } from './failure.ts';
import type { Surroundings } from './options.ts';
import { STORE_COMMANDS } from './store-commands.ts';

const OVERRIDE = { service: string, variant: string, ttl: string, 'secret-file': string } as const;

export const LOCAL_COMMANDS: ReadonlyMap<string, LocalCommand> = new Map<string, LocalCommand>([
  ['override create', { words: [], options: OVERRIDE, run: overrideCreate }],
  ['config check', { words: ['FILE'], options: {}, run: configCheck }],
  ...STORE_COMMANDS,
]);

async function overrideCreate(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { values } = parse(() => parseArgs({ args: [...args], options: OVERRIDE }));
  const { service, variant, ttl, 'secret-file': file } = values;
  if (service === undefined || variant === undefined || ttl === undefined || file === undefined) {
    throw new UsageError('override create needs --service, --variant, --ttl and --secret-file');
  }
  if (variant !== 'always' && variant !== 'never') {
    throw new UsageError(`--variant is always or never, not "${variant}"`);
  }
  const seconds = parse(() => parseDuration(ttl)) / 1000;
  const now = surroundings.clock.wallNow() / 1000;
  const keys = new KeyRing(await openKeyRing({ file: path.resolve(file), create: false }));
  const token = parse(() => createOverride(keys, service, variant, now, seconds));
  const override = new Overrides(keys).read(token);
  // A name that no service can have makes a token that no proxy can read.
  if (override?.service !== service) throw new UsageError(`"${service}" cannot be the name of a service`);
  surroundings.out(`${token}\n`);
  surroundings.err(
    `valid until ${new Date(override.expires * 1000).toISOString()}; send it to "${service}" as the header\n` +
      `  ${OVERRIDE_HEADER}: TOKEN\nor as the cookie\n  ${OVERRIDE_COOKIE}=TOKEN\n`,
  );
  return EXIT.ok;
}

async function configCheck(args: readonly string[], { env, out, err }: Surroundings): Promise<number> {
  const { positionals } = parse(() => parseArgs({ args: [...args], options: {}, allowPositionals: true }));
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new UsageError('config check needs one FILE');
  const { configuration, warnings } = await loadConfiguration({ file, env, readFile: readRegular });
  for (const { pointer, line, detail } of warnings) {
    err(`warning: line ${line ?? '?'} (${visibleLine(pointer)}): ${visibleLine(detail)}\n`);
  }
  const count = Object.keys(configuration.services ?? {}).length;
  out(`${visibleLine(file)} is right: ${count} ${count === 1 ? 'service' : 'services'}\n`);
  return EXIT.ok;
}
