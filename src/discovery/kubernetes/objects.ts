/**
 * What an API server says of EndpointSlices (discovery.k8s.io/v1), from its JSON to what is used of it.
 *
 * Pure. Bytes come from outside: what is not as the API defines it is left out or refused with a sentence, and nothing is taken
 * over that was not looked at. Items of a list have no kind of their own; events of a watch do.
 */
import { parseAddress } from '../../ip/address.ts';
import { isRecord } from '../../schema/json-value.ts';

/** What was answered is not what the API promises. */
export class BadObject extends Error {}

/** One endpoint of a slice: a pod, as a rule. */
export interface SliceEndpoint {
  readonly address: string;
  /** New requests may be sent to it. True where nothing is said. */
  readonly ready: boolean;
  /** It can answer, also while it terminates. As `ready` where nothing is said. */
  readonly serving: boolean;
  readonly terminating: boolean;
}

export interface SlicePort {
  /** `''` for the one port of a Service that gives it no name. */
  readonly name: string;
  /** Null: the slice does not restrict ports. */
  readonly port: number | null;
}

export interface Slice {
  readonly name: string;
  /** Its resourceVersion. */
  readonly version: string;
  /** 4 or 6; 0 for addresses of a kind that is not used (FQDN). */
  readonly family: 4 | 6 | 0;
  /** Those of TCP. */
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
}

export interface SliceList {
  readonly slices: readonly Slice[];
  readonly version: string;
  /** Where the next page begins; `''` when there is none. */
  readonly next: string;
}

export type WatchEvent =
  | { readonly kind: 'put'; readonly slice: Slice }
  | { readonly kind: 'gone'; readonly name: string; readonly version: string }
  | { readonly kind: 'bookmark'; readonly version: string }
  | { readonly kind: 'error'; readonly status: Status }
  /** Something that is not about EndpointSlices, or that a later API has. */
  | { readonly kind: 'other' };

/** A Status object: how the API tells of failures. */
export interface Status {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** In ms; 0 where it does not say. */
  readonly retryAfter: number;
}

const API = 'discovery.k8s.io/v1';

/** A page of a list. Throws BadObject. */
export function readList(bytes: Uint8Array): SliceList {
  const list = parse(bytes);
  if (!isRecord(list) || list['kind'] !== 'EndpointSliceList')
    throw new BadObject(`expected an EndpointSliceList, got ${kindOf(list)}`);
  const { metadata, items } = list;
  if (!isRecord(metadata) || !isVersion(metadata['resourceVersion']))
    throw new BadObject('the list has no resourceVersion');
  // An empty list may be null: Go writes it so.
  if (items !== null && !Array.isArray(items)) throw new BadObject('the list has no items');
  return {
    slices: ((items ?? []) as unknown[]).map(readSlice),
    version: metadata['resourceVersion'],
    next: text(metadata['continue']),
  };
}

/** One line of a watch. Throws BadObject. */
export function readEvent(line: Uint8Array): WatchEvent {
  const event = parse(line);
  if (!isRecord(event) || typeof event['type'] !== 'string')
    throw new BadObject(`expected a watch event, got ${kindOf(event)}`);
  const { type, object } = event;
  if (type === 'ERROR') return { kind: 'error', status: readStatus(object) };
  if (!isRecord(object)) throw new BadObject(`an event ${clip(type)} has no object`);
  if (object['kind'] !== 'EndpointSlice' || object['apiVersion'] !== API) return { kind: 'other' };
  if (type === 'BOOKMARK') return { kind: 'bookmark', version: metadataOf(object).version };
  if (type === 'ADDED' || type === 'MODIFIED') return { kind: 'put', slice: readSlice(object) };
  if (type === 'DELETED') {
    const { name, version } = metadataOf(object);
    if (name === '') throw new BadObject('a deleted EndpointSlice has no name');
    return { kind: 'gone', name, version };
  }
  return { kind: 'other' };
}

/** A failure, from what an API server or something before it answered. Never throws. */
export function readStatus(value: unknown): Status {
  const { code, reason, message, details } = isRecord(value) ? value : {};
  const seconds = isRecord(details) ? details['retryAfterSeconds'] : undefined;
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : 0,
    reason: clip(text(reason)),
    message: clip(text(message)),
    retryAfter: typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : 0,
  };
}

function readSlice(value: unknown): Slice {
  if (!isRecord(value)) throw new BadObject(`expected an EndpointSlice, got ${kindOf(value)}`);
  const { name, version } = metadataOf(value);
  if (name === '') throw new BadObject('an EndpointSlice has no name');
  const type = value['addressType'];
  return {
    name,
    version,
    family: type === 'IPv4' ? 4 : type === 'IPv6' ? 6 : 0,
    ports: listOf(value['ports']).flatMap(readPort),
    endpoints: listOf(value['endpoints']).flatMap(readEndpoint),
  };
}

function readPort(value: unknown): SlicePort[] {
  if (!isRecord(value)) return [];
  const { name, port, protocol = 'TCP' } = value;
  // Null where nothing is said: TCP.
  if (protocol !== 'TCP' && protocol !== null) return [];
  if (port === undefined || port === null) return [{ name: text(name), port: null }];
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) return [];
  return [{ name: text(name), port }];
}

/** The first address counts; all of an endpoint's addresses are the same endpoint. */
function readEndpoint(value: unknown): SliceEndpoint[] {
  if (!isRecord(value)) return [];
  const [first] = listOf(value['addresses']);
  const address = typeof first === 'string' ? parseAddress(first) : null;
  if (address === null || address.family === 0) return [];
  const { ready, serving, terminating } = isRecord(value['conditions']) ? value['conditions'] : {};
  const isReady = ready !== false;
  return [
    {
      address: address.text,
      ready: isReady,
      serving: typeof serving === 'boolean' ? serving : isReady,
      terminating: terminating === true,
    },
  ];
}

function metadataOf(object: { readonly [name: string]: unknown }): { name: string; version: string } {
  const { metadata } = object;
  if (!isRecord(metadata) || !isVersion(metadata['resourceVersion']))
    throw new BadObject('an EndpointSlice has no resourceVersion');
  return { name: text(metadata['name']), version: metadata['resourceVersion'] };
}

function isVersion(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 64;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new BadObject('expected JSON, got something else');
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function kindOf(value: unknown): string {
  if (!isRecord(value)) return value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
  const kind = text(value['kind']);
  return kind === '' ? 'an object without a kind' : `${clip(text(value['apiVersion']))} ${clip(kind)}`.trim();
}

function clip(value: string): string {
  return value.length <= 300 ? value : `${value.slice(0, 299)}…`;
}
