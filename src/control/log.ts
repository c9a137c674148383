/** The part of a pino logger that the control plane and the admin API write to; tests put a list in its place. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
