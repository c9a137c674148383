/**
 * Writes MaxMind databases (.mmdb, format 2.0) for tests: search trees of 24, 28 or 32 bits, data section, metadata.
 *
 * Format: https://maxmind.github.io/MaxMind-DB/. Equal values are written once and pointed to; IPv4 networks of an IPv6
 * tree lie under ::/96, and `::ffff:0:0/96` is an alias of them, as in MaxMind's own files.
 */

export type Value =
  | string
  | boolean
  | Uint8Array
  | Typed
  | readonly Value[]
  | { readonly [key: string]: Value };

/** A number with its type in the file. */
export interface Typed {
  readonly type: 'double' | 'float' | 'uint16' | 'uint32' | 'int32' | 'uint64' | 'uint128';
  readonly number: number | bigint;
}

export function typed(type: Typed['type'], number: number | bigint): Typed {
  return { type, number };
}

export interface MmdbOptions {
  readonly recordSize: 24 | 28 | 32;
  readonly ipVersion: 4 | 6;
  readonly databaseType?: string;
  /** Seconds since 1970. */
  readonly buildEpoch?: number;
  /** Whether ::ffff:0:0/96 leads to the IPv4 networks. */
  readonly alias?: boolean;
}

/** A network in CIDR notation and its record. Of overlapping networks the longer prefix wins. */
export type Entry = readonly [network: string, record: Value];

interface Node {
  left: Node | Leaf | null;
  right: Node | Leaf | null;
  index: number;
}
interface Leaf {
  readonly offset: number;
}

export function writeMmdb(entries: readonly Entry[], options: MmdbOptions): Buffer {
  const {
    recordSize,
    ipVersion,
    databaseType = 'Test-City',
    buildEpoch = 1_700_000_000,
    alias = true,
  } = options;
  const data = new DataSection();
  const root: Node = { left: null, right: null, index: 0 };
  // Shorter prefixes first, so that longer ones split them.
  const networks = entries.map(([network, record]) => ({ ...parseNetwork(network, ipVersion), record }));
  networks.sort((a, b) => a.prefix - b.prefix);
  for (const { bits, prefix, record } of networks)
    insert(root, bits, prefix, { offset: data.offsetOf(record) });
  if (ipVersion === 6 && alias) addAlias(root);

  const nodes: Node[] = [];
  collect(root, nodes);
  const tree = Buffer.alloc((nodes.length * recordSize) / 4);
  const valueOf = (child: Node | Leaf | null): number => {
    if (child === null) return nodes.length;
    return 'offset' in child ? nodes.length + 16 + child.offset : child.index;
  };
  for (const [index, node] of nodes.entries()) {
    writeNode(tree, (index * recordSize) / 4, recordSize, valueOf(node.left), valueOf(node.right));
  }
  const metadata = encode({
    binary_format_major_version: typed('uint16', 2),
    binary_format_minor_version: typed('uint16', 0),
    build_epoch: typed('uint64', BigInt(buildEpoch)),
    database_type: databaseType,
    description: { en: 'A database for tests' },
    ip_version: typed('uint16', ipVersion),
    languages: ['en'],
    node_count: typed('uint32', nodes.length),
    record_size: typed('uint16', recordSize),
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  return Buffer.concat([tree, Buffer.alloc(16), data.bytes(), marker, metadata]);
}

/** The file as shared memory, as a snapshot carries it. */
export function sharedCopy(bytes: Uint8Array): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(bytes.byteLength);
  new Uint8Array(shared).set(bytes);
  return shared;
}

function parseNetwork(network: string, ipVersion: 4 | 6): { bits: boolean[]; prefix: number } {
  const [address = '', length = ''] = network.split('/');
  if (!address.includes(':')) {
    const bits = address.split('.').flatMap((part) => bitsOf(Number(part), 8));
    // In an IPv6 tree an IPv4 address has 96 zero bits before it.
    const before = ipVersion === 6 ? Array.from({ length: 96 }, () => false) : [];
    return { bits: [...before, ...bits], prefix: Number(length) + before.length };
  }
  if (ipVersion === 4) throw new Error('an IPv6 network does not fit a database of IPv4');
  const [head = '', tail] = address.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const first = groups(head);
  const last = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  return {
    bits: [...first, ...zeros, ...last].flatMap((group) => bitsOf(group, 16)),
    prefix: Number(length),
  };
}

function bitsOf(value: number, count: number): boolean[] {
  return Array.from({ length: count }, (_, index) => ((value >> (count - 1 - index)) & 1) === 1);
}

function insert(root: Node, bits: readonly boolean[], prefix: number, leaf: Leaf): void {
  let node = root;
  for (let depth = 0; depth < prefix - 1; depth++) {
    const side = bits[depth]! ? 'right' : 'left';
    const child = node[side];
    if (child === null || 'offset' in child) {
      // A leaf on the way covers both halves of the new node.
      node[side] = { left: child, right: child, index: 0 };
    }
    node = node[side] as Node;
  }
  node[bits[prefix - 1]! ? 'right' : 'left'] = leaf;
}

/** Lets ::ffff:0:0/96 lead to where ::/96 leads. */
function addAlias(root: Node): void {
  let v4: Node | Leaf | null = root;
  for (let depth = 0; depth < 96; depth++) {
    if (v4 === null || 'offset' in v4) return;
    v4 = v4.left;
  }
  if (v4 === null || 'offset' in v4) return;
  let node = root;
  for (let depth = 0; depth < 95; depth++) {
    const side = depth < 80 ? 'left' : 'right';
    const child = node[side];
    if (child !== null && 'offset' in child) return;
    node = child ?? (node[side] = { left: null, right: null, index: 0 });
  }
  node.right = v4;
}

/** Numbers the nodes; one that two records lead to is written once. */
function collect(root: Node, nodes: Node[]): void {
  const seen = new Set<Node>();
  const open: Node[] = [root];
  while (open.length > 0) {
    const node = open.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    node.index = nodes.length;
    nodes.push(node);
    for (const child of [node.right, node.left]) if (child !== null && !('offset' in child)) open.push(child);
  }
}

function writeNode(tree: Buffer, at: number, size: number, left: number, right: number): void {
  if (Math.max(left, right) >= 2 ** size) throw new Error(`records of ${size} bits are too small`);
  if (size === 32) {
    tree.writeUInt32BE(left, at);
    tree.writeUInt32BE(right, at + 4);
  } else if (size === 24) {
    tree.writeUIntBE(left, at, 3);
    tree.writeUIntBE(right, at + 3, 3);
  } else {
    tree.writeUIntBE(left & 0xffffff, at, 3);
    tree[at + 3] = ((left >>> 24) << 4) | (right >>> 24);
    tree.writeUIntBE(right & 0xffffff, at + 4, 3);
  }
}

/** The data section. Strings, maps and arrays that are equal to earlier ones become pointers to them. */
class DataSection {
  readonly #parts: Buffer[] = [];
  readonly #offsets = new Map<string, number>();
  #length = 0;

  offsetOf(value: Value): number {
    const key = JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part));
    const known = this.#offsets.get(key);
    if (known !== undefined) return known;
    const encoded = encode(value, (part) => this.#pointer(part));
    const offset = this.#length;
    this.#parts.push(encoded);
    this.#length += encoded.length;
    this.#offsets.set(key, offset);
    return offset;
  }

  /** A pointer to the part, which is written first; strings and containers are worth one. */
  #pointer(part: Value): Buffer | null {
    if (typeof part !== 'string' && !isContainer(part)) return null;
    return encodePointer(this.offsetOf(part));
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function isContainer(value: Value): value is readonly Value[] | { readonly [key: string]: Value } {
  return typeof value === 'object' && !(value instanceof Uint8Array) && !isTyped(value);
}

function isTyped(value: Value): value is Typed {
  return typeof value === 'object' && !Array.isArray(value) && 'type' in value && 'number' in value;
}

function encodePointer(offset: number): Buffer {
  if (offset < 2048) return Buffer.from([0x20 | (offset >> 8), offset & 255]);
  if (offset < 526_336) {
    const rest = offset - 2048;
    return Buffer.from([0x28 | (rest >> 16), (rest >> 8) & 255, rest & 255]);
  }
  const rest = offset - 526_336;
  if (rest >= 2 ** 27) throw new Error('the data section is too large');
  return Buffer.from([0x30 | (rest >> 24), (rest >> 16) & 255, (rest >> 8) & 255, rest & 255]);
}

const TYPES = {
  pointer: 1,
  string: 2,
  double: 3,
  bytes: 4,
  uint16: 5,
  uint32: 6,
  map: 7,
  int32: 8,
  uint64: 9,
} as const;
const UINT128 = 10;
const ARRAY = 11;
const BOOLEAN = 14;
const FLOAT = 15;

/** Encodes a value; `point` may give a pointer to stand for one of its parts. */
function encode(value: Value, point: (part: Value) => Buffer | null = () => null): Buffer {
  const part = (inner: Value): Buffer => point(inner) ?? encode(inner, point);
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'utf8');
    return Buffer.concat([control(TYPES.string, bytes.length), bytes]);
  }
  if (typeof value === 'boolean') return control(BOOLEAN, value ? 1 : 0);
  if (value instanceof Uint8Array) return Buffer.concat([control(TYPES.bytes, value.length), value]);
  if (isTyped(value)) return encodeNumber(value);
  if (Array.isArray(value)) {
    const list = value as readonly Value[];
    return Buffer.concat([control(ARRAY, list.length), ...list.map(part)]);
  }
  const entries = Object.entries(value);
  return Buffer.concat([
    control(TYPES.map, entries.length),
    ...entries.flatMap(([key, inner]) => [part(key), part(inner)]),
  ]);
}

function encodeNumber({ type, number }: Typed): Buffer {
  if (type === 'double') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(Number(number));
    return Buffer.concat([control(TYPES.double, 8), bytes]);
  }
  if (type === 'float') {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatBE(Number(number));
    return Buffer.concat([control(FLOAT, 4), bytes]);
  }
  if (type === 'int32') {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(Number(number));
    return Buffer.concat([control(TYPES.int32, 4), bytes]);
  }
  // Unsigned numbers drop their leading zero bytes.
  let hex = BigInt(number).toString(16);
  if (hex === '0') hex = '';
  const bytes = Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
  return Buffer.concat([control(type === 'uint128' ? UINT128 : TYPES[type], bytes.length), bytes]);
}

/** The control byte with its extensions: type and size. */
function control(type: number, size: number): Buffer {
  const [short, extra] =
    size < 29
      ? [size, []]
      : size < 285
        ? [29, [size - 29]]
        : size < 65_821
          ? [30, [(size - 285) >> 8, (size - 285) & 255]]
          : [31, [(size - 65_821) >> 16, ((size - 65_821) >> 8) & 255, (size - 65_821) & 255]];
  const first = type < 8 ? [(type << 5) | short] : [short, type - 7];
  return Buffer.from([...first, ...extra]);
}
