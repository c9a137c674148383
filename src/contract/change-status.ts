/** The statuses of a change, in the order in which metrics count them. Pipelines go by these words. */
export const CHANGE_STATUSES = [
  /** Accepted, not yet in the store. */
  'PENDING',
  /** In the store; not all workers decide by it yet. */
  'APPLYING',
  /** Every worker of every live replica decides by it. */
  'APPLIED',
  /** A rollback came before it was applied. */
  'ROLLED_BACK',
  /** It could not be applied; `progress` says why. */
  'FAILED',
  /** A later write to the same service came before it was applied. */
  'SUPERSEDED',
  /** It was canceled while pending. */
  'CANCELED',
] as const;
export type ChangeStatus = (typeof CHANGE_STATUSES)[number];
