/**
 * Which server name a client asks for, out of the first bytes of its TLS connection (RFC 8446, 4.1.2; RFC 6066, 3).
 *
 * Pure. It only reads what OpenSSL reads again: whatever it can't make sense of is left to that, and no handshake fails here. Bytes are
 * an attacker's, so every length is checked against what is there.
 */

/** What the bytes so far say: `more` where they are not enough. `null`: not to be told. `''`: the client names none. */
export type NamedServer = { readonly more: true } | { readonly more: false; readonly name: string | null };

const MORE: NamedServer = { more: true };
const UNTOLD: NamedServer = { more: false, name: null };
const NAMELESS: NamedServer = { more: false, name: '' };

/** A ClientHello with post-quantum keys and a long ticket has some 4,000 bytes. */
const MOST_BYTES = 16 * 1024;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/** `bytes` from the connection's first one on. The name is in lower case, without a dot at its end. */
export function namedServer(bytes: Buffer): NamedServer {
  const pieces: Buffer[] = [];
  let have = 0;
  let need = 4;
  for (let at = 0; have < need;) {
    if (at < bytes.length && bytes[at] !== HANDSHAKE) return UNTOLD;
    if (bytes.length < at + 5) return bytes.length > MOST_BYTES ? UNTOLD : MORE;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0) return UNTOLD;
    const piece = bytes.subarray(at + 5, at + 5 + length);
    pieces.push(piece);
    have += piece.length;
    at += 5 + length;
    if (need === 4 && have >= 4) {
      const head = pieces.length === 1 ? piece : Buffer.concat(pieces);
      if (head[0] !== CLIENT_HELLO) return UNTOLD;
      need = 4 + head.readUIntBE(1, 3);
      if (need > MOST_BYTES) return UNTOLD;
    }
    if (have < need && at > bytes.length) return bytes.length > MOST_BYTES ? UNTOLD : MORE;
  }
  const hello = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  return nameIn(hello.subarray(4, need));
}

function nameIn(hello: Buffer): NamedServer {
  // Version and random; then three vectors: the session's id, ciphers, compressions.
  let at = 34;
  for (const size of [1, 2, 1] as const) {
    if (at + size > hello.length) return UNTOLD;
    at += size + hello.readUIntBE(at, size);
  }
  if (at === hello.length) return NAMELESS;
  if (at + 2 > hello.length) return UNTOLD;
  const end = at + 2 + hello.readUInt16BE(at);
  if (end !== hello.length) return UNTOLD;
  at += 2;
  while (at < end) {
    if (at + 4 > end) return UNTOLD;
    const type = hello.readUInt16BE(at);
    const length = hello.readUInt16BE(at + 2);
    at += 4;
    if (at + length > end) return UNTOLD;
    if (type === SERVER_NAME) return firstName(hello.subarray(at, at + length));
    at += length;
  }
  return NAMELESS;
}

function firstName(list: Buffer): NamedServer {
  if (list.length < 5 || list.readUInt16BE(0) !== list.length - 2 || list[2] !== HOST_NAME) return UNTOLD;
  const length = list.readUInt16BE(3);
  if (length === 0 || 5 + length !== list.length) return UNTOLD;
  const name = list.toString('latin1', 5).toLowerCase();
  return { more: false, name: name.endsWith('.') ? name.slice(0, -1) : name };
}
