/**
 * Whether the new contents of certificate files may take the place of those in use.
 *
 * Pure. It promises that what is good is never replaced by what clients or endpoints could not accept: a certificate out of its time,
 * one for other names altogether, authorities of which none is valid. Once the former is out of its time itself, there is nothing to
 * lose, and what the files hold counts.
 */
import type { CheckedCredential, Period } from './credential.ts';

/** Why the former contents go on, as a sentence; null where they need not. `now` in ms since 1970. */
export function refuseRenewal(
  former: CheckedCredential,
  next: CheckedCredential,
  now: number,
): string | null {
  const { own, authorities } = next;
  if (own !== undefined && former.own !== undefined && isValid(former.own, now)) {
    if (now >= own.until) return `its certificate expired on ${dateOf(own.until)}`;
    if (now < own.from) return `its certificate is not valid before ${dateOf(own.from)}`;
    const { names } = former.credential;
    if (names.length > 0 && lostNames(former, next).length === names.length)
      return `its certificate is for none of the names of the former one (${few(names)}); if that is meant, name another file or restart`;
  }
  const anyValid = (periods: readonly Period[]): boolean => periods.some((period) => isValid(period, now));
  if (authorities.length > 0 && !anyValid(authorities) && anyValid(former.authorities))
    return 'none of its authorities is valid now';
  return null;
}

/** The names of the former certificate that the next one is not for. */
export function lostNames(former: CheckedCredential, next: CheckedCredential): readonly string[] {
  const { names } = next.credential;
  // A wildcard stands for one label (RFC 9525, 6.3).
  return former.credential.names.filter(
    (name) => !names.includes(name) && !names.includes(`*${name.slice(name.indexOf('.'))}`),
  );
}

export function few(names: readonly string[]): string {
  return names.length <= 5
    ? names.join(', ')
    : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}

function isValid({ from, until }: Period, now: number): boolean {
  return from <= now && now < until;
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString();
}
