/**
 * Commands that move whole stores: from one to another, into a file, and back.
 *
 * They need no API. Nothing is written over what is there unless that is asked for, and `--dry-run` writes nothing.
 */
import { visibleLine } from '../schema/visible-text.ts';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { readRegular } from '../files/regular-file.ts';
import { fileTrouble, messageOf } from '../schema/thrown.ts';
import { decodeExport, encodeExport, fittingExport } from '../store/export-file.ts';
import { StoreError } from '../store/store.ts';
import { NODE_FILES } from '../files/file-system.ts';
import { replaceWhole } from '../files/atomic-file.ts';
import type { WholeStore } from '../store/whole-store.ts';
import { flag, type LocalCommand, string } from './command.ts';
import { CommandError, EXIT, parse, UsageError } from './failure.ts';
import type { Surroundings } from './options.ts';
import { openStorePlace, type StorePlace } from './store-places.ts';

const MIGRATE = { from: string, to: string, prefix: string, replace: flag, 'dry-run': flag } as const;
const EXPORT = { store: string, prefix: string } as const;
const IMPORT = { store: string, prefix: string, replace: flag, 'dry-run': flag } as const;

export const STORE_COMMANDS: readonly (readonly [name: string, command: LocalCommand])[] = [
  ['store migrate', { words: [], options: MIGRATE, run: storing(migrate) }],
  ['store export', { words: ['FILE'], options: EXPORT, run: storing(exportStore) }],
  ['store import', { words: ['FILE'], options: IMPORT, run: storing(importStore) }],
];

type Run = LocalCommand['run'];

/** What a store refuses is no fault of this program. */
function storing(run: Run): Run {
  return async (args, surroundings) => {
    try {
      return await run(args, surroundings);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const again = error.code === 'unavailable' || error.code === 'locked';
      throw new CommandError(error.message, again ? EXIT.unavailable : EXIT.configuration);
    }
  };
}

async function migrate(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { values, positionals } = parse(() =>
    parseArgs({ args: [...args], options: MIGRATE, allowPositionals: true }),
  );
  const { from, to, prefix } = values;
  if (from === undefined || to === undefined || positionals.length > 0)
    throw new UsageError('store migrate needs --from STORE and --to STORE');
  const source = await openStorePlace('from', from, prefix, surroundings);
  try {
    const whole = await mustRead(source);
    return await put(whole, source.description, 'to', to, values, surroundings);
  } finally {
    await source.close();
  }
}

async function exportStore(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { values, positionals } = parse(() =>
    parseArgs({ args: [...args], options: EXPORT, allowPositionals: true }),
  );
  const [file] = positionals;
  if (file === undefined || positionals.length > 1 || values.store === undefined)
    throw new UsageError('store export needs one FILE (- is standard output) and --store STORE');
  const place = await openStorePlace('store', values.store, values.prefix, surroundings);
  try {
    const all = await mustRead(place);
    const whole = fittingExport(all);
    const left = all.history.length - whole.history.length;
    if (left > 0)
      surroundings.err(
        `warning: ${left} commits of the history are left behind: an export holds 128 MB of it\n`,
      );
    const text = encodeExport(whole);
    if (file === '-') surroundings.data(text);
    else await writeText(path.resolve(file), text);
    surroundings.err(`exported ${inWords(whole)} from ${place.description}\n`);
    return EXIT.ok;
  } finally {
    await place.close();
  }
}

async function importStore(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { values, positionals } = parse(() =>
    parseArgs({ args: [...args], options: IMPORT, allowPositionals: true }),
  );
  const [file] = positionals;
  if (file === undefined || positionals.length > 1 || values.store === undefined)
    throw new UsageError('store import needs one FILE (- is standard input) and --store STORE');
  const name = file === '-' ? 'on standard input' : path.resolve(file);
  const whole = decodeExport(file === '-' ? await surroundings.stdin() : await readText(name), name);
  return put(whole, `the export ${name}`, 'store', values.store, values, surroundings);
}

interface PutOptions {
  readonly prefix?: string | undefined;
  readonly replace?: boolean | undefined;
  readonly 'dry-run'?: boolean | undefined;
}

async function put(
  whole: WholeStore,
  source: string,
  option: string,
  text: string,
  { prefix, replace = false, 'dry-run': dryRun = false }: PutOptions,
  surroundings: Surroundings,
): Promise<number> {
  const target = await openStorePlace(option, text, prefix, surroundings);
  try {
    if (target.description === source) throw new UsageError('both are the same store');
    if (dryRun) {
      const there = await target.read();
      const held = there !== null && there.revision > 0;
      const verdict = !held
        ? 'it would be put there'
        : replace
          ? `it would take the place of ${inWords(there)}`
          : `it would be refused: there is ${inWords(there)}`;
      surroundings.out(`${source} holds ${inWords(whole)}; ${target.description}: ${verdict}\n`);
      return held && !replace ? EXIT.refused : EXIT.ok;
    }
    if (!(await target.write(whole, replace))) {
      const message = `${target.description} holds something already; nothing was changed. To have it replaced, export it and say --replace`;
      throw new CommandError(message, EXIT.refused);
    }
    surroundings.out(`put ${inWords(whole)} from ${source} into ${target.description}\n`);
    return EXIT.ok;
  } finally {
    await target.close();
  }
}

async function mustRead(place: StorePlace): Promise<WholeStore> {
  const whole = await place.read();
  if (whole === null) throw new CommandError(`there is no store in ${place.description}`, EXIT.refused);
  return whole;
}

function inWords({ revision, documents, history }: WholeStore): string {
  const services = `${documents.size} ${documents.size === 1 ? 'service' : 'services'}`;
  const commits = `${history.length} ${history.length === 1 ? 'commit' : 'commits'}`;
  return `revision ${revision} (${services}, ${commits} of history)`;
}

/** The largest export, in bytes: no text can be longer. */
const MOST_BYTES = 512 * 1024 * 1024 - 32;

async function readText(file: string): Promise<string> {
  try {
    return new TextDecoder().decode(await readRegular(file, MOST_BYTES));
  } catch (error) {
    throw new CommandError(`cannot read ${visibleLine(file)}: ${fileTrouble(error)}`, EXIT.configuration);
  }
}

/** The file is for its owner only, since documents may name what is nobody else's concern. */
async function writeText(file: string, text: string): Promise<void> {
  try {
    const written = await replaceWhole(NODE_FILES, file, (fresh) => fresh.write(Buffer.from(text), 0));
    await written.close();
  } catch (error) {
    throw new CommandError(`cannot write ${visibleLine(file)}: ${messageOf(error)}`, EXIT.configuration);
  }
}
