/**
 * Steady traffic through the proxy: so many clients that ask one request after another, each over a connection that it keeps. What is
 * not a 200 counts as a failure.
 */
import { Agent, request } from 'node:http';
import { eventually } from './bounded.ts';

export interface Traffic {
  /** Requests that were answered with 200. */
  readonly answered: number;
  readonly failures: readonly string[];
  /** Waits until so many more requests have ended. */
  more(count: number): Promise<void>;
  stop(): Promise<void>;
}

export function startTraffic(port: number, clients: number): Traffic {
  const failures: string[] = [];
  let answered = 0;
  const state = { stopped: false };
  const agent = new Agent({ keepAlive: true, maxSockets: clients });

  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const fail = (why: string): void => {
        if (!state.stopped && failures.length < 100) failures.push(why);
        resolve();
      };
      request({ host: '127.0.0.1', port, agent, path: '/', timeout: 60_000 }, (response) => {
        response.on('error', (error) => fail(error.message));
        response.on('end', () => {
          if (response.statusCode !== 200) return fail(`status ${response.statusCode}`);
          answered += 1;
          resolve();
        });
        response.resume();
      })
        .on('error', (error) => fail(error.message))
        .on('timeout', () => fail('timeout'))
        .end();
    });
  const client = async (): Promise<void> => {
    while (!state.stopped) await ask();
  };
  const running = Array.from({ length: clients }, client);

  return {
    get answered() {
      return answered;
    },
    failures,
    async more(count) {
      const goal = answered + failures.length + count;
      await eventually(() => answered + failures.length >= goal, `${count} more requests`);
    },
    async stop() {
      state.stopped = true;
      await Promise.all(running);
      agent.destroy();
    },
  };
}
