/** Version 2 of the PROXY header: a signature, a command, addresses in binary, and further fields (TLVs) that are skipped. */
import { addressV4, parseAddress, type ClientAddress } from '../ip/address.ts';
import { crc32c } from './crc32c.ts';
import { faulty, INCOMPLETE, type ProxiedConnection, type ProxyHeaderOutcome } from './outcome.ts';

export const SIGNATURE = Uint8Array.of(
  0x0d,
  0x0a,
  0x0d,
  0x0a,
  0x00,
  0x0d,
  0x0a,
  0x51,
  0x55,
  0x49,
  0x54,
  0x0a,
);

/** Bytes before the addresses: signature, version and command, family and transport, length of the rest. */
const FIXED = 16;

/** The longest header that is read. TLVs may hold a client's certificate; nobody sends more. */
export const LONGEST = 8192;

const LOCAL = 0x20;
const PROXY = 0x21;

const UNSPEC = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;
const UNIX_STREAM = 0x31;

/** Bytes of the addresses and ports, by family. */
const SIZE4 = 12;
const SIZE6 = 36;
const SIZE_UNIX = 216;

/** The TLV that holds a checksum of the whole header. */
const CRC32C_TLV = 0x03;

/** `bytes` begin with the signature. */
export function readVersion2(bytes: Uint8Array): ProxyHeaderOutcome {
  const { length: have } = bytes;
  const command = bytes[12];
  if (command === undefined) return INCOMPLETE;
  if (command !== LOCAL && command !== PROXY) return faulty('bad_command');
  const family = bytes[13];
  if (family === undefined) return INCOMPLETE;
  // A LOCAL connection's family says nothing.
  const size = command === LOCAL ? 0 : sizeOf(family);
  if (size < 0) return faulty('bad_command');
  if (have < FIXED) return INCOMPLETE;
  const end = FIXED + bytes[14]! * 256 + bytes[15]!;
  if (end > LONGEST || end < FIXED + size) return faulty('bad_length');
  if (have < end) return INCOMPLETE;

  // Where no addresses are told of, nobody can know where the TLVs would begin.
  if (command === LOCAL || family === UNSPEC) return { kind: 'header', length: end, proxied: null };
  const header = bytes.subarray(0, end);
  const checksumAt = findChecksum(header, FIXED + size);
  if (checksumAt < NO_CHECKSUM) return faulty('bad_length');
  if (checksumAt !== NO_CHECKSUM && !checksumMatches(header, checksumAt)) return faulty('bad_checksum');
  return { kind: 'header', length: end, proxied: proxiedConnection(header, family) };
}

/** How many bytes of addresses a family has; -1 for those that no connection to here can have. */
function sizeOf(family: number): number {
  switch (family) {
    case UNSPEC:
      return 0;
    case TCP4:
      return SIZE4;
    case TCP6:
      return SIZE6;
    case UNIX_STREAM:
      return SIZE_UNIX;
    default:
      return -1;
  }
}

const NO_CHECKSUM = -1;
const BAD_TLVS = -2;

/** Walks the TLVs from `at` to the end, which they must fill. The place of the checksum's four bytes, or one of the above. */
function findChecksum(header: Uint8Array, start: number): number {
  let found = NO_CHECKSUM;
  let at = start;
  while (at < header.length) {
    if (at + 3 > header.length) return BAD_TLVS;
    const value = at + 3;
    const size = header[at + 1]! * 256 + header[at + 2]!;
    if (value + size > header.length) return BAD_TLVS;
    if (header[at] === CRC32C_TLV) {
      if (size !== 4 || found !== NO_CHECKSUM) return BAD_TLVS;
      found = value;
    }
    at = value + size;
  }
  return found;
}

/** The checksum is that of the header with zeros in its own place. */
function checksumMatches(header: Uint8Array, at: number): boolean {
  // A copy, also of a Buffer, whose `slice` makes none.
  const zeroed = Uint8Array.from(header);
  zeroed.fill(0, at, at + 4);
  return crc32c(zeroed) === word(header, at);
}

function proxiedConnection(header: Uint8Array, family: number): ProxiedConnection | null {
  if (family === UNIX_STREAM) return null;
  const width = family === TCP4 ? 4 : 16;
  const ports = FIXED + 2 * width;
  return {
    source: address(header, FIXED, width),
    destination: address(header, FIXED + width, width),
    sourcePort: header[ports]! * 256 + header[ports + 1]!,
    destinationPort: header[ports + 2]! * 256 + header[ports + 3]!,
  };
}

function address(header: Uint8Array, at: number, width: 4 | 16): ClientAddress {
  if (width === 4) return addressV4(word(header, at));
  const groups = Array.from({ length: 8 }, (_, index) =>
    (header[at + 2 * index]! * 256 + header[at + 2 * index + 1]!).toString(16),
  );
  // Eight groups of hexadecimal digits always are an address.
  return parseAddress(groups.join(':'))!;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
