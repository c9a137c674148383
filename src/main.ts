/**
 * Wires everything together and follows the signals; what the parts do is in their files.
 *
 *   node src/main.ts --config FILE    serves by that configuration
 *   node src/main.ts --demo           serves the demonstration
 *
 * Promise: it serves only when every part is up, says in one line why it can't, and ends with 0 only after a drain. A
 * control plane that dies takes the process with it: traffic must not go on uncontrolled in silence.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import packageJson from '../package.json' with { type: 'json' };
import { startAdmin } from './admin/server.ts';
import { readArguments, say, USAGE, usage } from './serve/arguments.ts';
import { logSettings } from './config/logs.ts';
import { DEFAULT_ADMIN_LISTEN } from './config/admin.ts';
import { DEFAULT_OPS_LISTEN, type Configuration } from './config/schema.ts';
import { DEFAULT_PROXY_LISTEN, DEFAULT_TLS_LISTEN, drainSettings, proxySettings } from './config/proxy.ts';
import { loadConfiguration } from './config/load.ts';
import { readRegular } from './files/regular-file.ts';
import { openKeyRing } from './config/secret.ts';
import { tombstonesName } from './config/store.ts';
import { watchConfiguration } from './config/watch.ts';
import { type ControlPlane, startControlPlane } from './control/control-plane.ts';
import { createDataPlane } from './serve/data-plane.ts';
import { joinFleet } from './serve/join-fleet.ts';
import { metricsOf } from './serve/metrics-of.ts';
import { createLimitNotes } from './serve/descriptor-warnings.ts';
import { createWarnings, FEW } from './telemetry/warnings.ts';
import { shareCounters } from './serve/share-counters.ts';
import { type SharedLatches, shareLatches } from './serve/share-latches.ts';
import { watchCertificates } from './serve/watch-certificates.ts';
import { startDiscovery } from './discovery/start.ts';
import { startDemo } from './demo/demo.ts';
import { listenAddress, listening, url } from './serve/listening.ts';
import { createOwnStore } from './serve/own-store.ts';
import { createTombstoneFile } from './store/file/tombstone-file.ts';
import { onReloadSignal, onStopSignal } from './serve/stop-signal.ts';
import { fail } from './serve/fail.ts';
import { threadClock } from './runtime/awake-timer.ts';
import { descriptorLimit } from './runtime/descriptors.ts';
import { ControlCounters } from './telemetry/control-counters.ts';
import { createExposition } from './telemetry/exposition.ts';
import { surviveFaults } from './telemetry/fault-log.ts';
import { createLog } from './telemetry/log.ts';
import { startOps } from './telemetry/ops-server.ts';
import { StoreCounters } from './telemetry/store-counters.ts';
import { startUpkeep } from './serve/upkeep.ts';

try {
  await main();
} catch (error) {
  fail(error);
}

async function main(): Promise<void> {
  const values = readArguments();
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  if ((values.config === undefined) === (values.demo !== true)) usage('give either --config FILE or --demo');
  const demo = values.demo === true ? await startDemo({ log: say }) : null;
  try {
    await serve(
      demo?.configFile ?? values.config!,
      (urls) => demo?.banner(urls),
      async () => demo?.close(),
    );
  } catch (error) {
    await demo?.close();
    throw error;
  }
}

interface Urls {
  readonly proxy: string;
  readonly admin: string;
  readonly ops: string;
}

async function serve(
  file: string,
  banner: (urls: Urls) => string | undefined,
  afterwards: () => Promise<void>,
): Promise<void> {
  const loaded = await loadConfiguration({ file, env: process.env, readFile: readRegular });
  let { configuration } = loaded;
  const log = createLog(logSettings(configuration));
  surviveFaults({ log, end: fail });
  const awake = threadClock();
  const descriptors = descriptorLimit();
  for (const { pointer, line, detail } of loaded.warnings)
    log.warn({ 'serin.pointer': pointer, 'serin.line': line }, detail);

  const listens = {
    proxy: listenAddress(configuration.proxy?.listen ?? DEFAULT_PROXY_LISTEN),
    admin: listenAddress(configuration.admin?.listen ?? DEFAULT_ADMIN_LISTEN),
    ops: listenAddress(configuration.ops?.listen ?? DEFAULT_OPS_LISTEN),
  };
  const tls = configuration.proxy?.tls;
  const tlsListen = tls === undefined ? null : listenAddress(tls.listen ?? DEFAULT_TLS_LISTEN);
  // On a first start neither the store nor its directory is there, and the key ring lives in it by default.
  await mkdir(path.dirname(configuration.secretFile), { recursive: true, mode: 0o700 });
  const keys = await openKeyRing({ file: configuration.secretFile, create: 'file' in configuration.store });
  const storeCounters = new StoreCounters();
  let waiting = 'the control plane starts';
  const fleet =
    'file' in configuration.store
      ? null
      : await joinFleet({
          configuration,
          store: configuration.store,
          storeCounters,
          keys,
          version: packageJson.version,
          log,
          onWaiting(reason) {
            if (waiting !== reason) log.warn({ 'error.message': reason }, 'waiting for the store');
            waiting = reason;
          },
          listening: ({ listen }, start) => listening('fleet.listen', listen, start),
        });
  const { store, finalLog } = fleet ?? createOwnStore(configuration.store, log);
  const warn = (message: string): void => log.warn({}, message);
  const counters = new ControlCounters();
  const dataPlane = await listening('proxy.listen', listens.proxy, () =>
    createDataPlane({
      configuration: () => configuration,
      listen: listens.proxy,
      tls: tlsListen,
      descriptors,
      awake,
      log,
    }),
  );
  const { pool, upstreams, memory } = dataPlane;
  let refreshEndpoints = (): void => {};
  const discovery = startDiscovery({
    configuration,
    env: process.env,
    log,
    onChange: () => refreshEndpoints(),
  });
  let draining = false;
  let controlPlane: ControlPlane | null = null;
  let latches: SharedLatches | null = null;
  const readiness = (): { ready: boolean; reasons: readonly string[] } => {
    if (draining) return { ready: false, reasons: ['draining'] };
    if (controlPlane === null || waiting !== '') return { ready: false, reasons: [waiting] };
    if (latches?.complete !== true) return { ready: false, reasons: ['latches are being read'] };
    return discovery.readiness(controlPlane.readiness());
  };
  const complain = createWarnings({ warn: log.error.bind(log) }, () => performance.now(), FEW);
  const ops = await listening('ops.listen', listens.ops, () =>
    startOps({
      ...listens.ops,
      ready: readiness,
      onError: (error) => complain({ err: error }, 'the ops server failed'),
      metrics: createExposition(
        metricsOf({
          version: packageJson.version,
          dataPlane,
          awake,
          counters,
          discovery,
          fleet,
          controlPlane: () => controlPlane,
          latchesWaiting: () => latches?.waiting ?? 0,
          isReady: () => readiness().ready,
        }),
      ),
    }),
  );
  const comparisons = shareCounters(pool, fleet);
  const started = await startControlPlane({
    configuration,
    keys,
    store,
    tombstoneFile: createTombstoneFile({ file: tombstonesName(configuration.store), warn }),
    shared: fleet?.shared ?? null,
    finalLog,
    workers: pool,
    latches: pool.latches,
    counters,
    discovery,
    endpoints: () => upstreams.endpoints(),
    breaker: (service) => upstreams.reading(service).breaker,
    comparison: (service, window) => comparisons.comparison(service, window),
    replica: fleet?.name ?? hostname(),
    wallNow: Date.now,
    monotonicNow: () => performance.now(),
    random: randomBytes,
    log,
  });
  controlPlane = started;
  const shared = shareLatches(pool.latches, configuration, fleet, log);
  latches = shared;
  fleet?.hearBy((message, from) => (shared.hear(message) ? undefined : started.hearPeer(message, from)));
  refreshEndpoints = () => started.refreshEndpoints();
  // Some may have changed while the control plane started.
  if (discovery.readings().length > 0) refreshEndpoints();
  const noteLimits = createLimitNotes({ descriptors, limits: () => pool.limits(), log });
  const tellOfLimits = ({ proxy }: Configuration): void => {
    const { connections, requests } = proxy?.limits ?? {};
    noteLimits(proxySettings(proxy), connections !== undefined || requests !== undefined);
  };
  tellOfLimits(configuration);
  await listening('proxy.listen', listens.proxy, () => dataPlane.start());
  const admin = await listening('admin.listen', listens.admin, () =>
    startAdmin({
      controlPlane: started,
      listen: listens.admin,
      settings: () => configuration.admin,
      log,
    }),
  );
  waiting = '';
  const watch = watchConfiguration({
    file,
    env: process.env,
    current: loaded,
    onChange: async (next) => {
      await started.reload(next.configuration);
      ({ configuration } = next);
      tellOfLimits(configuration);
      counters.configurationTaken(Date.now());
      log.info({ 'serin.file': file }, 'configuration reloaded');
    },
    onFault: (error) => {
      counters.configurationRefused(Date.now());
      log.error({ err: error }, 'the changed configuration is refused; the former one goes on');
    },
  });
  const endUpkeep = startUpkeep({ pool, memory, upstreams });
  const certificates = watchCertificates(started, log);

  const urls = {
    proxy: url({ ...listens.proxy, port: pool.port }),
    admin: url(admin),
    ops: url({ ...listens.ops, port: ops.port }),
  };
  log.info(
    {
      'serin.proxy': urls.proxy,
      ...(tlsListen === null ? {} : { 'serin.tls_port': pool.tlsPort }),
      'serin.admin': urls.admin,
      'serin.ops': urls.ops,
      'serin.workers': pool.size,
    },
    'serving',
  );
  const text = banner(urls);
  if (text !== undefined) process.stdout.write(`${text}\n`);

  const stop = async (): Promise<void> => {
    draining = true;
    const { delay, grace, idle } = drainSettings(configuration.proxy);
    log.info({ 'serin.delay_ms': delay, 'serin.grace_ms': grace, 'serin.idle_ms': idle }, 'draining');
    await watch.close();
    await sleep(delay);
    await pool.drain(grace, idle);
    await admin.close();
    await shared.close();
    await started.close();
    await discovery.close();
    endUpkeep();
    certificates.close();
    await dataPlane.close();
    await (fleet ?? store).close();
    await ops.close();
    await afterwards();
    log.info({}, 'stopped');
    await new Promise<void>((resolve) => {
      log.flush(() => resolve());
    });
    process.exit(0);
  };
  onStopSignal(stop, log);
  onReloadSignal(() => watch.check());
}
