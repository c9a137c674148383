/**
 * A real gRPC server and client (@grpc/grpc-js) without proto files: messages are texts. The server says which variant it
 * is, how calls ended for it, and holds calls until a test lets them go.
 */
import * as grpc from '@grpc/grpc-js';
import { within } from './bounded.ts';

const text = {
  requestSerialize: (value: string): Buffer => Buffer.from(value),
  requestDeserialize: (bytes: Buffer): string => bytes.toString(),
  responseSerialize: (value: string): Buffer => Buffer.from(value),
  responseDeserialize: (bytes: Buffer): string => bytes.toString(),
};

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/serin.test.Talk/${name}`,
  requestStream,
  responseStream,
  ...text,
});

const TALK = {
  say: method('Say', false, false),
  count: method('Count', false, true),
  gather: method('Gather', true, false),
  chat: method('Chat', true, true),
  wait: method('Wait', false, false),
  fail: method('Fail', false, false),
  early: method('Early', true, true),
} as const;

export interface GrpcServer {
  readonly name: string;
  readonly port: number;
  readonly endpoint: string;
  /** Calls by name of the method. */
  readonly calls: string[];
  /** Calls that the server saw cancelled. */
  readonly cancelled: string[];
  /** Of the last call: what was sent along. */
  metadata: grpc.Metadata | null;
  /** Ends gently: a GOAWAY, and open calls go on. */
  drain(): Promise<void>;
  close(): void;
}

export async function startGrpcServer(
  name: string,
  options: grpc.ServerOptions = {},
  port = 0,
): Promise<GrpcServer> {
  const server = new grpc.Server(options);
  const calls: string[] = [];
  const cancelled: string[] = [];
  const state: { metadata: grpc.Metadata | null } = { metadata: null };
  const note = (what: string, call: { metadata: grpc.Metadata; on: unknown }): void => {
    calls.push(what);
    state.metadata = call.metadata;
    (call.on as (event: string, listener: () => void) => void).call(call, 'cancelled', () => {
      cancelled.push(what);
    });
  };
  const trailer = (): grpc.Metadata => {
    const metadata = new grpc.Metadata();
    metadata.set('x-variant', name);
    return metadata;
  };
  server.addService(TALK, {
    say(call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) {
      note('say', call);
      done(null, `${name} heard ${call.request}`, trailer());
    },
    count(call: grpc.ServerWritableStream<string, string>) {
      note('count', call);
      const last = Number(call.request);
      let next = 0;
      const write = (): void => {
        while (next < last) {
          next += 1;
          if (!call.write(`${name} ${next}`)) {
            call.once('drain', write);
            return;
          }
        }
        call.end(trailer());
      };
      write();
    },
    gather(call: grpc.ServerReadableStream<string, string>, done: grpc.sendUnaryData<string>) {
      note('gather', call);
      let count = 0;
      let length = 0;
      call.on('data', (value: string) => {
        count += 1;
        length += value.length;
      });
      call.on('end', () => done(null, `${name} got ${count} of ${length}`, trailer()));
    },
    chat(call: grpc.ServerDuplexStream<string, string>) {
      note('chat', call);
      call.on('data', (value: string) => call.write(`${name} heard ${value}`));
      call.on('end', () => call.end(trailer()));
    },
    wait(call: grpc.ServerUnaryCall<string, string>) {
      note('wait', call);
    },
    fail(call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) {
      note('fail', call);
      done({ code: grpc.status.FAILED_PRECONDITION, details: `${name} says nö: 100 %` });
    },
    early(call: grpc.ServerDuplexStream<string, string>) {
      note('early', call);
      call.emit('error', { code: grpc.status.PERMISSION_DENIED, details: 'not you' });
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, taken) => {
      if (error === null) resolve(taken);
      else reject(error);
    });
  });
  return {
    name,
    port: bound,
    endpoint: `127.0.0.1:${bound}`,
    calls,
    cancelled,
    get metadata() {
      return state.metadata;
    },
    drain: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
      }),
    close: () => server.forceShutdown(),
  };
}

export interface Answer {
  readonly value: string;
  readonly trailer: grpc.Metadata;
}

export interface GrpcClient {
  /** A unary call of a method; rejects with grpc's error. */
  ask(name: keyof typeof TALK, value: string, options?: AskOptions): Promise<Answer>;
  /** Opens a call of a streaming method. */
  stream(name: 'count', value: string): grpc.ClientReadableStream<string>;
  chat(name?: 'chat' | 'early', options?: grpc.CallOptions): grpc.ClientDuplexStream<string, string>;
  gather(done: (error: grpc.ServiceError | null, value?: string) => void): grpc.ClientWritableStream<string>;
  close(): void;
}

export interface AskOptions {
  readonly deadline?: number;
  readonly metadata?: Record<string, string>;
  /** Gets the call as soon as it is made. */
  readonly started?: (call: grpc.ClientUnaryCall) => void;
}

export function grpcClient(
  port: number,
  host: string,
  options: grpc.ClientOptions = {},
  credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure(),
): GrpcClient {
  const client = new grpc.Client(`127.0.0.1:${port}`, credentials, {
    'grpc.default_authority': host,
    ...options,
  });
  return {
    ask(name, value, { deadline, metadata = {}, started } = {}) {
      const sent = new grpc.Metadata();
      for (const [key, entry] of Object.entries(metadata)) sent.set(key, entry);
      const answered = new Promise<Answer>((resolve, reject) => {
        let trailer = new grpc.Metadata();
        let value_: string | undefined;
        const { path, requestSerialize, responseDeserialize } = TALK[name];
        const call = client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          value,
          sent,
          deadline === undefined ? {} : { deadline: Date.now() + deadline },
          (error, answer) => {
            if (error === null) value_ = answer;
            else reject(error);
          },
        );
        call.on('status', (status) => {
          trailer = status.metadata;
          if (value_ !== undefined) resolve({ value: value_, trailer });
        });
        started?.(call);
      });
      return within(answered, `the answer to ${name} ${value}`);
    },
    stream(name, value) {
      const { path, requestSerialize, responseDeserialize } = TALK[name];
      return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, value);
    },
    chat(name = 'chat', callOptions = {}) {
      const { path, requestSerialize, responseDeserialize } = TALK[name];
      return client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, callOptions);
    },
    gather(done) {
      const { path, requestSerialize, responseDeserialize } = TALK.gather;
      return client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, done);
    },
    close: () => client.close(),
  };
}
