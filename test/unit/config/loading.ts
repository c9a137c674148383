/** Loads configurations from strings, for tests. */
import { DocumentError, type Fault } from '../../../src/schema/faults.ts';
import { loadConfiguration, type LoadedConfiguration } from '../../../src/config/load.ts';

export const FILE = '/etc/serin/serin.yaml';

export interface Given {
  readonly text: string | Uint8Array;
  readonly env?: { readonly [name: string]: string | undefined };
  readonly files?: { readonly [file: string]: string };
}

/** Loads `text` as the configuration file; `files` are the others that are there. */
export function load({ text, env = {}, files = {} }: Given): Promise<LoadedConfiguration> {
  return loadConfiguration({
    file: FILE,
    env,
    readFile: async (file) => {
      const contents = file === FILE ? text : files[file];
      if (contents === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return typeof contents === 'string' ? Buffer.from(contents) : contents;
    },
  });
}

/** The faults for which a configuration is refused, as `line pointer: detail`; [] when it is not. */
export async function faultsOf(given: string | Given): Promise<string[]> {
  try {
    await load(typeof given === 'string' ? { text: given } : given);
    return [];
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    return error.faults.map((fault) => shown(fault));
  }
}

export function shown(fault: Fault): string {
  return `${fault.line ?? '-'} ${fault.pointer}: ${fault.detail}`;
}

/** A configuration with one service, whose definition is given as YAML lines. */
export function withService(...lines: readonly string[]): string {
  return ['services:', '  notes:', ...lines.map((line) => `    ${line}`)].join('\n');
}
