/**
 * The ids of changes: something random, and the first 8 digits of a digest of what is asked for, so that a request id that is used
 * for something else is noticed after a restart as well.
 */

/** Characters of a digest in a change's id. */
const DIGEST_LENGTH = 8;

/** The id of a new change. A write that nobody asked for has no digest. */
export function newChangeId(
  random: (size: number) => Uint8Array,
  digest = '0'.repeat(DIGEST_LENGTH),
): string {
  return changeId(Buffer.from(random(10)).toString('hex'), digest);
}

export function changeId(random: string, digest: string): string {
  return `${random}-${digest.slice(0, DIGEST_LENGTH)}`;
}

export function digestOf(id: string): string {
  return id.slice(-DIGEST_LENGTH);
}
