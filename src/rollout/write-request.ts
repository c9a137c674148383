/** What a write asks for, as the API read it. */
import type { Precondition } from './precondition.ts';

/** A document as it came: parsed and checked by the control plane, large ones away from the main thread. */
export interface DocumentBody {
  readonly bytes: Uint8Array;
  readonly format: 'json' | 'yaml';
}

/** Who writes, why, and under which condition. */
export interface WriteRequest {
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly precondition: Precondition;
}

export type RolloutWrite =
  | { readonly kind: 'put' | 'patch'; readonly body: DocumentBody; readonly allowDecrease: boolean }
  | { readonly kind: 'restore'; readonly revision: number; readonly allowDecrease: boolean }
  | {
      readonly kind: 'percentage';
      readonly rule: string;
      readonly percentage: number;
      readonly allowDecrease: boolean;
    }
  | { readonly kind: 'step'; readonly from: number | null }
  | { readonly kind: 'promote' | 'finish' | 'rollback' | 'pause' | 'resume' };
