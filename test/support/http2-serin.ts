/** A proxy between HTTP/2 and both kinds of endpoints: the service `one` speaks HTTP/1.1, `two` HTTP/2. */
import { http2Client, http2Origin, type Http2Client, type Http2Origin } from './http2-pair.ts';
import { startOrigin, type Origin } from './origin.ts';
import { startSerin, type Serin } from './serin.ts';

export interface Http2Serin {
  readonly h1: Origin;
  readonly h2: Http2Origin;
  readonly serin: Serin;
  readonly client: Http2Client;
  stop(): Promise<void>;
}

export async function startHttp2Serin(): Promise<Http2Serin> {
  const h1 = await startOrigin('h1');
  const h2 = await http2Origin();
  const serin = await startSerin({
    configuration: { log: { level: 'error' }, accessLog: { mode: 'on' } },
    services: {
      one: { hosts: ['one.test'], stable: { endpoints: [h1.endpoint] } },
      two: { hosts: ['two.test'], stable: { protocol: 'h2c', endpoints: [h2.endpoint] } },
    },
  });
  const client = await http2Client(serin.proxyPort);
  const stop = async (): Promise<void> => {
    client.close();
    await serin.stop();
    await h1.close();
    await h2.close();
  };
  return { h1, h2, serin, client, stop };
}

export const head = (path: string, host = 'two.test', more: object = {}) => ({
  ':path': path,
  ':authority': host,
  ...more,
});
