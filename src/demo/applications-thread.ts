/**
 * The worker thread in which the demonstration's applications run, so that a load on them never slows the
 * control plane. It is told which to start, answers with their ports, and ends when it is told to.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { startApplication, type ApplicationIdentity } from './application.ts';

if (parentPort === null) throw new Error('applications-thread.ts only runs as a worker thread');
const port = parentPort;

const running = await Promise.all(
  (workerData as readonly ApplicationIdentity[]).map((identity) => startApplication(identity)),
);
port.postMessage(running.map((application) => application.port));
port.once('message', () => {
  void Promise.all(running.map((application) => application.close())).then(() => port.close());
});
