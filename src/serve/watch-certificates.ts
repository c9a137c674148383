/**
 * Looks at the files of certificates once a second, and warns twice a day of those that expire.
 *
 * Looking is all that works everywhere: on network file systems nothing tells of changes, and a Kubernetes secret changes by
 * a link in another directory.
 */
import type { ControlPlane } from '../control/control-plane.ts';
import { every, guarded } from '../runtime/guard.ts';

const LOOK_INTERVAL = 1000;
const WARN_INTERVAL = 12 * 3_600_000;

export interface CertificateWatch {
  close(): void;
}

export function watchCertificates(
  controlPlane: Pick<ControlPlane, 'checkCertificates' | 'warnOfExpiry'>,
  log: { error(fields: object, message: string): void },
): CertificateWatch {
  let looking = false;
  const looks = every(
    LOOK_INTERVAL,
    guarded('looking at certificates', () => {
      if (looking) return;
      looking = true;
      controlPlane
        .checkCertificates()
        .catch((error: unknown) => log.error({ err: error }, 'certificates could not be read anew'))
        .finally(() => (looking = false));
    }),
  ).unref();
  const warnings = every(
    WARN_INTERVAL,
    guarded('looking at certificates', () => controlPlane.warnOfExpiry()),
  ).unref();
  return {
    close() {
      clearInterval(looks);
      clearInterval(warnings);
    },
  };
}
