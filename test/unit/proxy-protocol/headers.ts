/** PROXY headers written for tests, independently of the reader, and an independent reading of them for comparison. */
import { isIPv4, isIPv6 } from 'node:net';

export const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

export interface Ends {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export function version1(ends: Ends): Buffer {
  const family = isIPv4(ends.source) ? 'TCP4' : 'TCP6';
  return Buffer.from(
    `PROXY ${family} ${ends.source} ${ends.destination} ${ends.sourcePort} ${ends.destinationPort}\r\n`,
  );
}

function addressBytes(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  const [left = '', right] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const before = groups(left);
  const after = right === undefined ? [] : groups(right);
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}

export function tlv(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type, value.length >> 8, value.length & 255), value]);
}

/** A version 2 header with any command and family, and the bytes after its fixed part. */
export function version2(command: number, family: number, rest: Buffer): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.of(command, family, rest.length >> 8, rest.length & 255), rest]);
}

export function version2Of(ends: Ends, ...tlvs: readonly Buffer[]): Buffer {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(ends.sourcePort, 0);
  ports.writeUInt16BE(ends.destinationPort, 2);
  const addresses = [addressBytes(ends.source), addressBytes(ends.destination)];
  return version2(0x21, isIPv4(ends.source) ? 0x11 : 0x21, Buffer.concat([...addresses, ports, ...tlvs]));
}

/** Bit by bit, as the definition has it. */
export function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  }
  return Number(crc ^ 0xffffffffn);
}

/** With a checksum as its last TLV. */
export function withChecksum(ends: Ends): Buffer {
  const header = version2Of(ends, tlv(0x03, Buffer.alloc(4)));
  header.writeUInt32BE(slowCrc32c(header), header.length - 4);
  return header;
}

/** Reads a whole version 1 line in the manner of a scripting language. Null: it is none. */
export function readLine(text: string): Ends | 'unknown' | null {
  if (!text.endsWith('\r\n') || text.length > 107) return null;
  const line = text.slice(0, -2);
  if (/[^\x20-\x7e]/.test(line)) return null;
  const words = line.split(' ');
  if (words[0] !== 'PROXY') return null;
  if (words[1] === 'UNKNOWN') return 'unknown';
  const [, family, source = '', destination = '', from = '', to = '', ...more] = words;
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false;
  if (more.length > 0 || !isAddress(source) || !isAddress(destination)) return null;
  if (source.includes('%') || destination.includes('%')) return null;
  const ports = [from, to].map(Number);
  if (![from, to].every((port) => String(Number(port)) === port)) return null;
  if (!ports.every((port) => Number.isInteger(port) && port >= 0 && port <= 65_535)) return null;
  return { source, destination, sourcePort: ports[0]!, destinationPort: ports[1]! };
}
