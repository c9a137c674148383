/** A small DNS server over UDP (RFC 1035) on a loopback port: it answers what a test sets, and nothing else. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly address: string; readonly ttl?: number }
  | {
      readonly type: 'SRV';
      readonly target: string;
      readonly port: number;
      readonly priority?: number;
      readonly weight?: number;
      readonly ttl?: number;
    };

export interface DnsServer {
  /** As `discovery.dnsServers` names it. */
  readonly address: string;
  /** Questions so far, as `TYPE name`. */
  readonly questions: string[];
  /** The records of names in lower case; a name that is not there does not exist. */
  readonly records: Map<string, readonly DnsRecord[]>;
  /** Instead of an answer: a response code (2: SERVFAIL, 5: REFUSED), or silence. */
  failure: number | 'silent' | null;
  close(): Promise<void>;
}

const TYPES: { readonly [type: number]: DnsRecord['type'] } = { 1: 'A', 28: 'AAAA', 33: 'SRV' };
const NXDOMAIN = 3;

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    questions: [],
    records: new Map(),
    failure: null,
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
  socket.on('message', (query, from) => {
    const { name, end } = readName(query, 12);
    const type = TYPES[query.readUInt16BE(end)];
    server.questions.push(`${type ?? '?'} ${name}`);
    if (server.failure === 'silent') return;
    const known = server.records.get(name);
    const code = server.failure ?? (known === undefined ? NXDOMAIN : 0);
    const answers = code === 0 ? (known ?? []).filter((one) => one.type === type) : [];
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(0x8180 | code, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    const question = query.subarray(12, end + 4);
    socket.send(Buffer.concat([head, question, ...answers.map(writeRecord)]), from.port, from.address);
  });
  return server;
}

function readName(message: Buffer, at: number): { name: string; end: number } {
  const labels: string[] = [];
  let place = at;
  for (let length = message[place]!; length > 0; length = message[place]!) {
    labels.push(message.toString('latin1', place + 1, place + 1 + length));
    place += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: place + 1 };
}

function writeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ]);
}

function writeRecord(record: DnsRecord): Buffer {
  const data = dataOf(record);
  const head = Buffer.alloc(12);
  // The name is that of the question, at byte 12.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(record.type === 'A' ? 1 : record.type === 'AAAA' ? 28 : 33, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(record.ttl ?? 60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf(record: DnsRecord): Buffer {
  if (record.type === 'SRV') return serviceOf(record);
  if (record.type === 'A') return Buffer.from(record.address.split('.').map(Number));
  return Buffer.from(
    record.address.split(':').flatMap((part) => {
      const word = parseInt(part, 16);
      return [word >> 8, word & 0xff];
    }),
  );
}

function serviceOf(record: Extract<DnsRecord, { type: 'SRV' }>): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(record.priority ?? 0, 0);
  head.writeUInt16BE(record.weight ?? 0, 2);
  head.writeUInt16BE(record.port, 4);
  return Buffer.concat([head, writeName(record.target)]);
}
