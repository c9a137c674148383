/**
 * One request as the conditions of one policy see it: every fact is derived once at most, and only when asked for.
 *
 * A view belongs to a compiled policy and is used again for each request; nothing is allocated for a request whose
 * facts are in the caches. After `end` it holds nothing of the request.
 */
import { hintsText } from './client-hints.ts';
import type { DeviceCache, DeviceFacts } from './device.ts';
import type { RequestFacts } from './facts.ts';
import { normalisePath } from './path.ts';
import { WantedParameters } from './query.ts';
import type { Region, RegionFacts } from './region.ts';

export type ValueKind = 'header' | 'cookie' | 'query';

const UNREAD = Symbol('unread');

export class RequestView {
  readonly #devices: DeviceCache;
  readonly #region: Region | null;
  readonly #slots = new Map<string, number>();
  readonly #parameters = new WantedParameters();
  readonly #kinds: ValueKind[] = [];
  readonly #names: string[] = [];
  readonly #values: (string | undefined | typeof UNREAD)[] = [];
  /** Slots read for this request, so that ending it costs as much as it read. */
  readonly #touched: number[] = [];
  #touchedCount = 0;
  #facts: RequestFacts | null = null;
  #path: string | null = null;
  #device: DeviceFacts | null = null;
  #place: RegionFacts | null = null;

  constructor(devices: DeviceCache, region: Region | null) {
    this.#devices = devices;
    this.#region = region;
  }

  /** The slot of a header (lower case), cookie or query parameter; while a policy is compiled. */
  slot(kind: ValueKind, name: string): number {
    const known = this.#slots.get(`${kind} ${name}`);
    if (known !== undefined) return known;
    this.#slots.set(`${kind} ${name}`, this.#names.length);
    if (kind === 'query') this.#parameters.add(name, this.#names.length);
    this.#kinds.push(kind);
    this.#names.push(name);
    this.#values.push(UNREAD);
    this.#touched.push(0);
    return this.#names.length - 1;
  }

  begin(facts: RequestFacts): void {
    // Only a request that ended in an exception can have left something.
    if (this.#facts !== null) this.end();
    this.#facts = facts;
  }

  end(): void {
    for (let index = 0; index < this.#touchedCount; index++) this.#values[this.#touched[index]!] = UNREAD;
    this.#touchedCount = 0;
    this.#facts = null;
    this.#path = null;
    this.#device = null;
    this.#place = null;
  }

  get facts(): RequestFacts {
    return this.#facts!;
  }

  /** The value in a slot, a wire text; undefined where the request has none. */
  value(slot: number): string | undefined {
    const value = this.#values[slot];
    if (value !== UNREAD) return value;
    const facts = this.#facts!;
    const kind = this.#kinds[slot];
    if (kind === 'query') {
      this.#readQuery(facts.query);
      return this.#values[slot] as string | undefined;
    }
    this.#touched[this.#touchedCount++] = slot;
    const name = this.#names[slot]!;
    return (this.#values[slot] = kind === 'header' ? facts.header(name) : facts.cookie(name));
  }

  /** Reads all parameters at once. */
  #readQuery(query: string): void {
    const { slots } = this.#parameters;
    for (let index = 0; index < slots.length; index++) {
      const slot = slots[index]!;
      this.#touched[this.#touchedCount++] = slot;
      this.#values[slot] = undefined;
    }
    if (query !== '') this.#parameters.read(query, this.#values);
  }

  /** The normalised path. */
  path(): string {
    return (this.#path ??= normalisePath(this.#facts!.path));
  }

  device(): DeviceFacts {
    if (this.#device !== null) return this.#device;
    const facts = this.#facts!;
    return (this.#device = this.#devices.get(facts.header('user-agent'), hintsText(facts)));
  }

  /** Only where the policy was compiled with a region database. */
  region(): RegionFacts {
    return (this.#place ??= this.#region!.lookup(this.#facts!.client));
  }
}
