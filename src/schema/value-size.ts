/** How much there is in a value of JSON: what it costs to keep, to compare and to print. */

export interface ValueSize {
  /** Of every kind, objects and lists included. */
  values: number;
  /** Of strings and of keys. */
  characters: number;
}

/** Counts `value` on top of `size`, which is changed and returned. The value is nested as little as `unfitForJson` admits. */
export function valueSize(value: unknown, size: ValueSize = { values: 0, characters: 0 }): ValueSize {
  size.values += 1;
  if (typeof value === 'string') size.characters += value.length;
  else if (Array.isArray(value)) for (const item of value as readonly unknown[]) valueSize(item, size);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      size.characters += key.length;
      valueSize(inner, size);
    }
  }
  return size;
}
