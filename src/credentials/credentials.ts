/**
 * The files of certificates, keys and authorities: read once, checked, and read again when they change.
 *
 * It promises that what is in use always fits together: files that change are looked at until they rest, and what can't be used
 * then, or is worse than what is in use (`renewal.ts`), leaves the former contents in force. Links are followed, so the way in which Kubernetes swaps secrets is seen.
 */
import path from 'node:path';
import { isBelow } from '../config/api-files.ts';
import type { ReadFile } from '../files/regular-file.ts';
import type { Credential } from '../contract/snapshot.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { fileTrouble } from '../schema/thrown.ts';
import type { CertificateReading } from '../telemetry/metrics-source.ts';
import { checkCredential, type CheckedCredential } from './credential.ts';
import { few, lostNames, refuseRenewal } from './renewal.ts';

/** Files as the configuration names them. */
export interface CredentialFiles {
  readonly certificate?: string;
  readonly key?: string;
  readonly ca?: string;
  /** The directory that they have to be in, links followed: whoever names them may use no others, and learn nothing of them. */
  readonly within?: string;
}

export interface NeededCredential {
  /** Where the files are named. */
  readonly pointer: string;
  readonly files: CredentialFiles;
}

export interface CredentialsOptions {
  readonly readFile: ReadFile;
  /** A path without links. Rejects like `realpath` of node:fs/promises. */
  readonly realPath: (file: string) => Promise<string>;
  /** Something that differs once a file was written or replaced. Never rejects. */
  readonly look: (file: string) => Promise<string>;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly onReload: (taken: boolean) => void;
}

export interface Credentials {
  /** Reads what is not known yet. Rejects with DocumentError `certificate_invalid`, having changed nothing. */
  read(needed: readonly NeededCredential[]): Promise<void>;
  /** What is in use for files that were read. */
  readonly get: (files: CredentialFiles) => Credential;
  /** Forgets all but these. */
  keepOnly(needed: readonly NeededCredential[]): void;
  /** Looks at the files. True when what is to be used has changed. Call it every second or so, never while it still runs. */
  refresh(): Promise<boolean>;
  /** Logs which certificates expire soon. */
  warnOfExpiry(): void;
  readings(): readonly CertificateReading[];
}

/** The largest file that is read, in bytes: the authorities of a whole operating system take a quarter of it. */
const MOST_BYTES = 1_048_576;

/** How long before its end a certificate is warned of, in ms: renewal is due after two thirds of 90 days or less. */
const EXPIRES_SOON = 14 * 86_400_000;

interface Entry {
  readonly files: CredentialFiles;
  checked: CheckedCredential;
  /** How the files looked when they were last read. */
  seen: string;
  /** How they looked since, if otherwise. */
  changed: string | null;
  stale: boolean;
  /** What the files hold and is not used yet, since the former contents are better. */
  waiting: CheckedCredential | null;
}

export function createCredentials(options: CredentialsOptions): Credentials {
  const { readFile, realPath, look, log, wallNow, onReload } = options;
  const entries = new Map<string, Entry>();

  const looks = async (files: CredentialFiles): Promise<string> =>
    (await Promise.all(namesIn(files).map(([, file]) => look(file)))).join('\n');

  /** Reads and checks. A fault where that fails; its pointer is that of the file's name. */
  async function load(files: CredentialFiles): Promise<Omit<Entry, 'files'> | Fault> {
    // Looked at first: what changes from now on is a change.
    const seen = await looks(files);
    const text: { [file: string]: string } = {};
    for (const [name, file] of namesIn(files)) {
      try {
        const bytes = await readFile(await allowed(file, files.within), MOST_BYTES);
        text[name] = Buffer.from(bytes).toString('latin1');
      } catch (error) {
        return fault(name, file, `it cannot be read: ${fileTrouble(error)}`);
      }
    }
    const checked = checkCredential(text);
    if ('detail' in checked) return fault(checked.file, files[checked.file] ?? '', checked.detail);
    return { checked, seen, changed: null, stale: false, waiting: null };
  }

  /** The file without links, where it has to be in a directory; rejects where it is not. */
  async function allowed(file: string, within: string | undefined): Promise<string> {
    if (within === undefined) return file;
    const real = await realPath(file);
    if (within === '' || !isBelow(real, await realPath(within)))
      throw new Error(
        `it leads out of ${within || 'every directory'}; expected a file below admin.tlsDirectory`,
      );
    return real;
  }

  async function reload(entry: Entry, changed: string): Promise<boolean> {
    const { files } = entry;
    entry.seen = changed;
    entry.changed = null;
    entry.waiting = null;
    const loaded = await load(files);
    if ('detail' in loaded) {
      entry.stale = true;
      onReload(false);
      log.error(
        { 'serin.file': files.certificate ?? files.ca, 'error.message': loaded.detail },
        'a changed certificate can not be used; the former one goes on',
      );
      return false;
    }
    // It was changed again while it was read: let it come to rest.
    if (loaded.seen !== changed) return false;
    entry.waiting = null;
    entry.stale = false;
    if (loaded.checked.credential.id === entry.checked.credential.id) return false;
    const refusal = refuseRenewal(entry.checked, loaded.checked, wallNow());
    if (refusal === null) return take(entry, loaded.checked);
    entry.waiting = loaded.checked;
    entry.stale = true;
    onReload(false);
    log.error(
      { 'serin.file': files.certificate ?? files.ca, 'error.message': refusal },
      'a changed certificate is not used while the former one is valid',
    );
    return false;
  }

  function take(entry: Entry, next: CheckedCredential): true {
    const fields = { 'serin.file': entry.files.certificate ?? entry.files.ca };
    const lost = lostNames(entry.checked, next);
    if (next.own !== undefined && lost.length > 0)
      log.warn(
        { ...fields, 'serin.names': few(lost) },
        'a renewed certificate lacks names of the former one',
      );
    entry.checked = next;
    entry.waiting = null;
    entry.stale = false;
    onReload(true);
    log.info(fields, 'certificate reloaded');
    return true;
  }

  /** The former contents may have expired since, or those of the file have become valid. */
  function takeWaiting(entry: Entry): boolean {
    const { waiting, checked } = entry;
    return waiting !== null && refuseRenewal(checked, waiting, wallNow()) === null && take(entry, waiting);
  }

  function readings(): CertificateReading[] {
    const byFile = new Map<string, CertificateReading>();
    for (const { files, checked, stale } of entries.values()) {
      const { chainExpires, authoritiesExpire } = checked;
      for (const [file, expires] of [
        [files.certificate, chainExpires],
        [files.ca, authoritiesExpire],
      ] as const) {
        if (file === undefined || expires === undefined) continue;
        byFile.set(file, { file, expires, stale: stale || byFile.get(file)?.stale === true });
      }
    }
    return [...byFile.values()];
  }

  function warnOfExpiry(): void {
    for (const { file, expires } of readings()) {
      const left = expires - wallNow();
      if (left > EXPIRES_SOON) continue;
      const fields = { 'serin.file': file, 'serin.expires': new Date(expires).toISOString() };
      if (left <= 0) log.error(fields, 'a certificate has expired');
      else log.warn(fields, 'a certificate expires soon');
    }
  }

  return {
    async read(needed) {
      const faults: Fault[] = [];
      const found = new Map<string, Entry>();
      for (const { pointer, files: named } of needed) {
        const key = keyOf(named);
        if (entries.has(key) || found.has(key)) continue;
        const files = absolute(named);
        const loaded = await load(files);
        if (!('detail' in loaded)) found.set(key, { files, ...loaded });
        else if (files.within === undefined)
          faults.push({ ...loaded, pointer: `${pointer}${loaded.pointer}` });
        else {
          faults.push({ pointer, detail: WITHHELD });
          log.warn(
            { 'serin.pointer': pointer + loaded.pointer, 'error.message': loaded.detail },
            WITHHELD_LOG,
          );
        }
      }
      if (faults.length > 0) {
        throw new DocumentError('certificate_invalid', 'A certificate or its key cannot be used.', faults);
      }
      for (const [key, entry] of found) entries.set(key, entry);
    },
    get(files) {
      const entry = entries.get(keyOf(files));
      if (entry === undefined) throw new Error('A certificate was not read ahead.');
      return entry.checked.credential;
    },
    keepOnly(needed) {
      const keys = new Set(needed.map(({ files }) => keyOf(files)));
      for (const key of entries.keys()) if (!keys.has(key)) entries.delete(key);
    },
    async refresh() {
      let anything = false;
      for (const entry of entries.values()) {
        const now = await looks(entry.files);
        if (now === entry.seen) {
          entry.changed = null;
          if (takeWaiting(entry)) anything = true;
        }
        // Only what looks the same twice is at rest: certificate and key are two files.
        else if (now !== entry.changed) entry.changed = now;
        else if (await reload(entry, now)) anything = true;
      }
      return anything;
    },
    warnOfExpiry,
    readings,
  };
}

/** All that is said to whoever may not learn which files there are. */
const WITHHELD =
  "a file that tls names can not be used; expected PEM files that this proxy can read, with the key of the certificate. The proxy's log says what is wrong";
const WITHHELD_LOG = 'a file that a service of the API names can not be used';

type FileName = Exclude<keyof CredentialFiles, 'within'>;

function namesIn(files: CredentialFiles): [FileName, string][] {
  return (['certificate', 'key', 'ca'] as const).flatMap((name): [FileName, string][] => {
    const file = files[name];
    return file === undefined ? [] : [[name, file]];
  });
}

function absolute(files: CredentialFiles): CredentialFiles {
  const { within } = files;
  return {
    ...Object.fromEntries(namesIn(files).map(([name, file]) => [name, path.resolve(file)])),
    ...(within === undefined ? {} : { within }),
  };
}

function keyOf(files: CredentialFiles): string {
  return JSON.stringify([namesIn(absolute(files)), files.within ?? null]);
}

function fault(name: FileName, file: string, detail: string): Fault {
  return { pointer: `/${name}`, detail: `${file}: ${detail}` };
}
