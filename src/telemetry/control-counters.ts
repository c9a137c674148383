/**
 * What the control plane counts about itself. Lives on the main thread, with the control plane as its only writer.
 * Counting never throws.
 */
import { CHANGE_STATUSES, type ChangeStatus } from '../contract/change-status.ts';
import { HISTOGRAM_SLOTS, observe } from './duration-buckets.ts';

export class ControlCounters {
  /** Changes that reached a status, by index in CHANGE_STATUSES. */
  readonly changes = new Float64Array(CHANGE_STATUSES.length);
  /** Histogram of the time from acceptance to APPLIED. */
  readonly applied = new Float64Array(HISTOGRAM_SLOTS);
  reloads = 0;
  failedReloads = 0;
  /** Whether the last reading of the configuration was taken; the one at the start is a success. */
  lastReloadSucceeded = true;
  /** Milliseconds since 1970; 0 while there was none. */
  lastReloadSuccess = 0;
  lastReloadFailure = 0;
  storeWriteErrors = 0;
  certificateReloads = 0;
  failedCertificateReloads = 0;
  /** Requests to the admin API that brought no valid token. */
  loginFailures = 0;

  /** A change reached `status`, `seconds` after it was accepted. */
  change(status: ChangeStatus, seconds: number): void {
    this.changes[CHANGE_STATUSES.indexOf(status)]!++;
    if (status === 'APPLIED') observe(this.applied, 0, seconds);
  }

  /** A configuration was read and taken, at the start or later. `now` is in ms since 1970. */
  configurationTaken(now: number): void {
    this.reloads++;
    this.lastReloadSucceeded = true;
    this.lastReloadSuccess = now;
  }

  /** A configuration was read and refused; the former one goes on. `now` is in ms since 1970. */
  configurationRefused(now: number): void {
    this.failedReloads++;
    this.lastReloadSucceeded = false;
    this.lastReloadFailure = now;
  }

  /** Changed files of a certificate were read; `taken`: they are in use now. */
  certificatesReloaded(taken: boolean): void {
    if (taken) this.certificateReloads++;
    else this.failedCertificateReloads++;
  }

  /** A request to the admin API was not let in. */
  loginFailed(): void {
    this.loginFailures++;
  }

  /** A write could not be stored. */
  storeWriteFailed(): void {
    this.storeWriteErrors++;
  }
}
