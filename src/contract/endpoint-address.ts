/** Where an endpoint, or anything else with a port, is reached. */

/** A network address. */
export interface EndpointAddress {
  /** An IP address without brackets, or a host name. */
  readonly host: string;
  readonly port: number;
}
