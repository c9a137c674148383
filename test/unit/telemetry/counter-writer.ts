/**
 * A worker thread that writes to counter blocks as fast as it can until it is told to stop: slot 0 of `control` is set to
 * 1 by it when it runs, slot 1 by the reader when it shall stop.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ServiceCounters } from '../../../src/telemetry/service-counters.ts';
import { WorkerCounters } from '../../../src/telemetry/worker-counters.ts';

export interface WriterData {
  readonly worker: SharedArrayBuffer;
  readonly service: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

const data = workerData as WriterData;
const control = new Int32Array(data.control);
const worker = new WorkerCounters(data.worker);
const service = new ServiceCounters(data.service);
worker.adopt();
service.adopt();

let requests = 0;
let sum = 0;
while (Atomics.load(control, 1) === 0) {
  // Values that add up without rounding, in buckets at both ends and in the middle.
  const seconds = [2 ** -14, 0.125, 1, 64][requests % 4]!;
  const variant = (requests & 1) as 0 | 1;
  service.inFlight(variant, 1);
  service.request(variant, 200, seconds);
  service.upstreamResult(variant, requests % 7, seconds);
  service.decision(requests % 9, requests % 5);
  service.inFlight(variant, -1);
  worker.accepted();
  requests++;
  sum += seconds;
  if (requests === 1) {
    Atomics.store(control, 0, 1);
    Atomics.notify(control, 0);
  }
}
parentPort!.postMessage({ requests, sum });
