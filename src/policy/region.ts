/**
 * Where a client is, from a MaxMind-format database that the operator names.
 *
 * The database is opened once per snapshot over shared memory; a file that is not one is refused with a clear error
 * when it is opened, never at a request. Lookups are cached. An address the database does not know has no region.
 */
import { LRUCache } from 'lru-cache';
import { Reader, type Response } from 'mmdb-lib';
import type { ClientAddress } from '../ip/address.ts';

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

/**
 * Opens a database. Throws RegionError where the bytes are not one, not a whole one, or one that holds no places (of
 * autonomous systems, say): its rules would silently match nobody.
 */
export function openRegion(database: SharedArrayBuffer): Region {
  const bytes = Buffer.from(database);
  const reader = openReader(bytes);
  const { metadata } = reader;
  const known = new LRUCache<string, RegionFacts>({ max: 16_384 });
  return {
    databaseType: metadata.databaseType,
    isOf: (other) =>
      metadataOf(Buffer.from(other)).equals(metadataOf(bytes)) && other.byteLength === bytes.length,
    lookup(address) {
      // A database of IPv4 would read the first bits of an IPv6 address as one.
      if (address.family === 0 || (address.family === 6 && metadata.ipVersion === 4)) return NOWHERE;
      const before = known.get(address.text);
      if (before !== undefined) return before;
      const region = read(reader, address.text);
      known.set(address.text, region);
      return region;
    },
  };
}

const REMEDY = 'Name a MaxMind-format (.mmdb) database of cities or countries, such as GeoLite2-City.mmdb.';

/** Between the search tree and the data lie this many zero bytes. */
const SEPARATOR = 16;
/** Records are decoded once and kept, since many networks share one. */
const KEPT_RECORDS = 8192;

function openReader(bytes: Buffer): Reader<Response> {
  let reader: Reader<Response>;
  try {
    const cache = new LRUCache<string | number, object>({ max: KEPT_RECORDS });
    reader = new Reader<Response>(bytes, { cache });
  } catch (error) {
    throw new RegionError(`The region database is not in MaxMind format, or it is damaged. ${REMEDY}`, {
      cause: error,
    });
  }
  const { nodeCount, ipVersion, searchTreeSize, databaseType } = reader.metadata;
  const whole =
    (ipVersion === 4 || ipVersion === 6) &&
    Number.isSafeInteger(nodeCount) &&
    nodeCount > 0 &&
    searchTreeSize + SEPARATOR < bytes.length &&
    bytes.subarray(searchTreeSize, searchTreeSize + SEPARATOR).every((byte) => byte === 0);
  if (!whole) throw new RegionError(`The region database is damaged. ${REMEDY}`);
  if (!holdsPlaces(bytes, reader)) {
    throw new RegionError(
      `The region database (${databaseType}) tells no country, subdivision or city. ${REMEDY}`,
    );
  }
  return reader;
}

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');

/** The metadata, which names the kind and the moment the database was built; it is at the end of the file. */
function metadataOf(bytes: Buffer): Buffer {
  return bytes.subarray(Math.max(0, bytes.lastIndexOf(MARKER)));
}

/** Records looked at before a database is taken for one without places. */
const SAMPLE = 512;
/** And nodes: a tree may be mostly empty, and a damaged one endless. */
const MOST_WALKED = 100_000;

/** Whether any of the first few records tells a place. Walks the search tree, whose records name nodes or data. */
function holdsPlaces(bytes: Buffer, reader: Reader<Response>): boolean {
  const { nodeCount, nodeByteSize, recordSize, ipVersion } = reader.metadata;
  const bits = ipVersion === 6 ? 128 : 32;
  const open: { node: number; path: bigint; depth: number }[] = [{ node: 0, path: 0n, depth: 0 }];
  let sampled = 0;
  for (let walked = 0; walked < MOST_WALKED && sampled < SAMPLE && open.length > 0; walked++) {
    const { node, path, depth } = open.pop()!;
    for (const side of [1, 0]) {
      const next = readRecord(bytes, node * nodeByteSize, side, recordSize);
      const nextPath = path | (BigInt(side) << BigInt(bits - 1 - depth));
      if (next < nodeCount) {
        if (depth < bits - 1) open.push({ node: next, path: nextPath, depth: depth + 1 });
      } else if (next > nodeCount) {
        sampled++;
        const { country, subdivisions, city } = read(reader, addressText(nextPath, ipVersion));
        if (country !== '' || subdivisions.length > 0 || city !== '') return true;
      }
    }
  }
  return false;
}

function readRecord(bytes: Buffer, at: number, side: number, size: number): number {
  if (size === 32) return bytes.readUInt32BE(at + 4 * side);
  if (size === 24) return bytes.readUIntBE(at + 3 * side, 3);
  const middle = bytes[at + 3]!;
  return side === 0
    ? (middle >>> 4) * 0x1000000 + bytes.readUIntBE(at, 3)
    : (middle & 15) * 0x1000000 + bytes.readUIntBE(at + 4, 3);
}

function addressText(value: bigint, ipVersion: number): string {
  if (ipVersion === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  const hex = value.toString(16).padStart(32, '0');
  return hex.match(/.{4}/g)!.join(':');
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
