/**
 * Which certificate a client gets for the server name that it asks for: the one with exactly that name, else the one with a
 * wildcard for it, which stands for one label (RFC 9525, 6.3). Of two certificates with the same name the first one counts.
 */

/** The index of the certificate for a name in lower case without a final dot, or -1. */
export type FindServerName = (name: string) => number;

/** `names[i]` are the names in certificate `i`, in lower case; a wildcard begins with `*.`. */
export function compileServerNames(names: readonly (readonly string[])[]): FindServerName {
  const exact = new Map<string, number>();
  /** By what follows the `*`. */
  const wildcards = new Map<string, number>();
  for (const [index, own] of names.entries()) {
    for (const name of own) {
      const [place, key] = name.startsWith('*.') ? [wildcards, name.slice(1)] : [exact, name];
      if (!place.has(key)) place.set(key, index);
    }
  }
  return (name) => {
    const index = exact.get(name);
    if (index !== undefined) return index;
    const dot = name.indexOf('.');
    return dot > 0 ? (wildcards.get(name.slice(dot)) ?? -1) : -1;
  };
}
