/**
 * Client hints: what Chromium's browsers tell of the device in fields of their own, since their user agent no longer does.
 *
 * Platform and mobile come with every request over TLS, version, model and form factors only where an answer asked for them
 * (`Accept-CH`). Values are bounded, and what is none counts as absent. Hints refine what the user agent tells; they never make a
 * device of something that the user agent says is a program. https://wicg.github.io/ua-client-hints/
 */
import type { RequestFacts } from './facts.ts';

export interface ClientHints {
  /** Such as Android, Windows, macOS; '' where it is not told. */
  readonly platform: string;
  readonly platformVersion: string;
  readonly model: string;
  readonly mobile: boolean;
  /** In lower case: desktop, mobile, tablet, xr, … */
  readonly formFactors: readonly string[];
}

/** What answers ask for (see `clientHints` of a service): the hints that browsers do not send by themselves. */
export const ASKED_HINTS = 'Sec-CH-UA-Platform-Version, Sec-CH-UA-Model, Sec-CH-UA-Form-Factors';

/** Much more than any value; the rest of a longer one is ignored. */
const LONGEST_HINT = 64;
/** Between the values in `hintsText`; no field holds it. */
const SEPARATOR = '\x1f';

/** The hints of a request as one text, '' where there is none that the user agent does not tell as well. */
export function hintsText(facts: RequestFacts): string {
  const version = facts.header('sec-ch-ua-platform-version');
  const model = facts.header('sec-ch-ua-model');
  if (version === undefined && model === undefined) return '';
  return [
    facts.header('sec-ch-ua-platform'),
    version,
    model,
    facts.header('sec-ch-ua-mobile'),
    facts.header('sec-ch-ua-form-factors'),
  ]
    .map((value = '') => value.slice(0, LONGEST_HINT))
    .join(SEPARATOR);
}

/** Reads what `hintsText` gave. */
export function readHints(text: string): ClientHints {
  const [platform = '', version = '', model = '', mobile = '', formFactors = ''] = text.split(SEPARATOR);
  return {
    platform: readString(platform),
    platformVersion: readString(version),
    model: readString(model),
    mobile: mobile === '?1',
    formFactors: formFactors.split(',').map((each) => readString(each.trim()).toLowerCase()),
  };
}

/** A string of structured fields (RFC 9651): quoted, with `\\` before quotes and backslashes. */
function readString(value: string): string {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(value);
  return quoted === null ? '' : quoted[1]!.replace(/\\(.)/g, '$1').trim();
}
