/** A proxy under measurement. */
export interface Peer {
  readonly name: string;
  /** What it is, with its version, for the table. */
  readonly title: string;
  readonly port: number;
  /** Whether it decides by the policy; the TCP mode does not. */
  readonly decides: boolean;
  /** The processes whose CPU time counts. */
  pids(): number[];
  stop(): Promise<void>;
}
