/** One place where a service finds the identity of a user. */

/** One tier of a service's identity chain, in order of preference. */
export type IdentityTier =
  | { readonly header: string }
  | { readonly cookie: string; readonly mint?: boolean }
  | { readonly fingerprint: true };
