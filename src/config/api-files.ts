/**
 * Which files a service that the API made may name: those below one directory that the configuration names, and none without it.
 *
 * Whoever may define services may not learn what else is on the machine, so names alone are looked at here: no answer depends on a file.
 * That no link leads out of the directory is looked at when the file is read.
 */
import path from 'node:path';
import type { Fault } from '../schema/faults.ts';
import type { ServiceDefinition } from './service.ts';

const FIELDS = ['ca', 'certificate', 'key'] as const;

/** `directory` is absolute, or undefined where the configuration has none. Pointers start at the definition. */
export function apiFileFaults(service: ServiceDefinition, directory: string | undefined): Fault[] {
  return (['stable', 'canary'] as const).flatMap((variant) =>
    FIELDS.flatMap((field): Fault[] => {
      const file = service[variant]?.tls?.[field];
      if (file === undefined || (directory !== undefined && isBelow(path.resolve(file), directory)))
        return [];
      const detail =
        directory === undefined
          ? 'a service made through the API may name no file, since admin.tlsDirectory is not set; set it, or define the service in the configuration file'
          : `a service made through the API may only name files below ${directory} (admin.tlsDirectory); put it there, or define the service in the configuration file`;
      return [{ pointer: `/${variant}/tls/${field}`, detail }];
    }),
  );
}

/** Whether a file is below a directory by its name. Both absolute, without `.` and `..`. */
export function isBelow(file: string, directory: string): boolean {
  const relative = path.relative(directory, file);
  return (
    relative !== '' &&
    relative !== '..' &&
    !relative.startsWith(`..${path.sep}`) &&
    !path.isAbsolute(relative)
  );
}
