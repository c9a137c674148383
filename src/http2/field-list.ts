/**
 * The fields of a head that the codec has read, as HTTP/2 sends them: lower-case names and values in turns, in their order.
 *
 * Fields that mean one connection are left out; `TE: trailers` stays. Pure.
 */
import { F } from '../http1/fields.ts';
import type { FieldBlock } from '../http1/field-block.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';

const CONNECTION_FIELDS = new Uint8Array(256);
for (const id of [
  F.CONNECTION,
  F.KEEP_ALIVE,
  F.PROXY_CONNECTION,
  F.TRANSFER_ENCODING,
  F.UPGRADE,
  F.HTTP2_SETTINGS,
  F.TE,
]) {
  CONNECTION_FIELDS[id] = 1;
}

export function requestFields(head: RequestHead, scheme: string): string[] {
  const list = [':method', head.method, ':scheme', scheme, ':authority', head.host, ':path', head.target];
  addFields(list, head, F.HOST);
  if (head.seen(F.TE) && head.header('te')?.toLowerCase() === 'trailers') list.push('te', 'trailers');
  return list;
}

/** `declared`: the length to say instead of the one that the head has, if any; -1 to leave it to the head. */
export function responseFields(head: ResponseHead, declared = -1): string[] {
  const list = [':status', String(head.status)];
  // An answer of trailers alone (gRPC) has no length; the one that HTTP/1.1 needs is ours.
  const lone = head.contentLength === 0 && head.header('grpc-status') !== undefined;
  addFields(list, head, lone || declared !== -1 ? F.CONTENT_LENGTH : F.OTHER);
  if (declared !== -1) list.push('content-length', String(declared));
  return list;
}

/** As an object, for those interfaces of Node.js that take no list: repeated fields become arrays. */
export function fieldObject(block: FieldBlock): Record<string, string | string[]> {
  const list: string[] = [];
  addFields(list, block, F.OTHER);
  return listObject(list);
}

/** The same of names and values in turns, those that `allows` does not let pass left out. */
export function listObject(
  list: readonly string[],
  allows: (name: string) => boolean = () => true,
): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (let index = 0; index + 1 < list.length; index += 2) {
    const name = list[index] as string;
    if (!allows(name)) continue;
    const value = list[index + 1] as string;
    const before = out[name];
    if (before === undefined) out[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else out[name] = [before, value];
  }
  return out;
}

/** Adds the fields but those of one connection and the one with the id `without`. */
function addFields(list: string[], block: FieldBlock, without: number): void {
  const { count, fieldId, text, nameStart, nameEnd } = block;
  for (let index = 0; index < count; index += 1) {
    const id = fieldId[index]!;
    if (CONNECTION_FIELDS[id] === 1 || (id === without && id !== F.OTHER)) continue;
    list.push(text.slice(nameStart[index], nameEnd[index]).toLowerCase(), block.value(index));
  }
}
