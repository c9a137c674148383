/**
 * Reaches into the worker threads of a process under test through Node's inspector, to do to them what no request
 * can: end one, hang one. The process must have been started with `--inspect=127.0.0.1:PORT`.
 */
import { within } from './bounded.ts';

interface Attached {
  readonly sessionId: string;
  readonly workerInfo: { readonly title: string; readonly url: string };
}

export interface Inspector {
  /** The worker threads, as they were attached to. */
  readonly workers: Attached[];
  /** Evaluates an expression in a worker and does not wait for its value: it may never come. */
  evaluate(worker: Attached, expression: string): void;
  /** Evaluates an expression in a worker and gives its value as JSON. */
  ask(worker: Attached, expression: string): Promise<unknown>;
  close(): void;
}

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId: string; readonly message: string } & Attached;
  readonly result?: { readonly result?: { readonly value?: unknown } };
}

/** Attaches to a process and its present worker threads. */
export async function inspect(port: number): Promise<Inspector> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket((targets[0] as { webSocketDebuggerUrl: string }).webSocketDebuggerUrl);
  await within(
    new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => reject(new Error('the inspector refused the connection')));
    }),
    'the inspector',
  );
  const workers: Attached[] = [];
  const waiting = new Map<number, (answer: Answer) => void>();
  let count = 0;
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    if (answer.method === 'NodeWorker.attachedToWorker' && answer.params !== undefined)
      workers.push(answer.params);
    if (answer.method === 'NodeWorker.receivedMessageFromWorker' && answer.params !== undefined) {
      const inner = JSON.parse(answer.params.message) as Answer;
      if (inner.id !== undefined) waiting.get(inner.id)?.(inner);
    }
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
  });
  function send(method: string, parameters: object): Promise<Answer> {
    count += 1;
    const id = count;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params: parameters }));
    return within(answered, `the inspector's answer to ${method}`);
  }
  function evaluate(worker: Attached, expression: string): number {
    count += 1;
    const inner = { id: count, method: 'Runtime.evaluate', params: { expression, returnByValue: true } };
    const message = JSON.stringify(inner);
    count += 1;
    const outer = { id: count, method: 'NodeWorker.sendMessageToWorker' };
    socket.send(JSON.stringify({ ...outer, params: { sessionId: worker.sessionId, message } }));
    return inner.id;
  }
  await send('NodeWorker.enable', { waitForDebuggerOnStart: false });
  return {
    workers,
    evaluate,
    async ask(worker, expression) {
      const id = evaluate(worker, expression);
      const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
      const { result } = await within(answered, `the value of ${expression}`);
      return result?.result?.value;
    },
    close: () => socket.close(),
  };
}
