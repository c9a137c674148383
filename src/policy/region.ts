/**
 * Where a client is, from a MaxMind-format database that the operator names.
 *
 * The database is opened once per snapshot over shared memory; a file that is not one is refused with a clear error
 * when it is opened, never at a request. Lookups are cached. An address the database does not know has no region.
 */
import { LRUCache } from 'lru-cache';
import { Reader, type Response } from 'mmdb-lib';
import type { ClientAddress } from './address.ts';

export interface RegionFacts {
  /** ISO 3166-1 alpha-2, upper case; '' where unknown. */
  readonly country: string;
  /** ISO 3166-2 without the country, upper case, the largest area first. */
  readonly subdivisions: readonly string[];
  /** The English name, lower case; '' where unknown. */
  readonly city: string;
}

/** The region database could not be opened. */
export class RegionError extends Error {
  readonly code = 'region_database_invalid';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RegionError';
  }
}

const NOWHERE: RegionFacts = { country: '', subdivisions: [], city: '' };

export interface Region {
  /** What kind of database it is, in its own words, such as GeoLite2-City. */
  readonly databaseType: string;
  /** Whether it was opened on the same bytes, as far as their length and metadata tell. */
  isOf(database: SharedArrayBuffer): boolean;
  /** Never throws; `''` fields where nothing is known. */
  lookup(address: ClientAddress): RegionFacts;
}

/** Opens a database. Throws RegionError where the bytes are not one, or not a whole one. */
export function openRegion(database: SharedArrayBuffer): Region {
  const bytes = Buffer.from(database);
  const reader = open(bytes);
  const known = new LRUCache<string, RegionFacts>({ max: 16_384 });
  return {
    databaseType: reader.metadata.databaseType,
    isOf: (other) => other === database,
    lookup(address) {
      if (address.family === 0) return NOWHERE;
      const before = known.get(address.text);
      if (before !== undefined) return before;
      const region = read(reader, address.text);
      known.set(address.text, region);
      return region;
    },
  };
}

const REMEDY =
  'Name a MaxMind-format (.mmdb) database, such as GeoLite2-City.mmdb, and copy it anew if it is damaged.';

function open(bytes: Buffer): Reader<Response> {
  let reader: Reader<Response>;
  try {
    reader = new Reader<Response>(bytes);
  } catch (error) {
    throw new RegionError(`The region database cannot be read. ${REMEDY}`, { cause: error });
  }
  return reader;
}

function read(reader: Reader<Response>, address: string): RegionFacts {
  let record: unknown;
  try {
    record = reader.get(address);
  } catch {
    return NOWHERE;
  }
  const country = text(field(field(record, 'country'), 'iso_code')).toUpperCase();
  const list = field(record, 'subdivisions');
  const subdivisions = Array.isArray(list)
    ? list.map((entry) => text(field(entry, 'iso_code')).toUpperCase())
    : [];
  const city = text(field(field(field(record, 'city'), 'names'), 'en')).toLowerCase();
  return { country, subdivisions: subdivisions.filter((code) => code !== ''), city };
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
