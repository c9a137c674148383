/**
 * JSON Merge Patch, RFC 7396. It promises a new value: neither the target nor the patch is changed.
 */

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** `target` with `patch` merged into it: null removes a member, an object is merged, anything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  return merge(target as Json | undefined, patch as Json);
}

function merge(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged = new Map<string, Json>(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, merge(merged.get(key), value));
  }
  // fromEntries defines members, so that no key can reach the prototype.
  return Object.fromEntries(merged);
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
