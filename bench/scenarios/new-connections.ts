/** A new connection for every request: what accepting and closing costs. */
import { LEADERS, OTHERS, peers, type Scenario } from '../scenario.ts';
import { requestOf } from '../traffic.ts';

export const newConnections: Scenario = {
  name: 'new-connections',
  title: 'A new connection per request',
  about: '64 connections at a time, one request each with Connection: close, answers of 1 KB.',
  traffic: {
    entries: (cookies) =>
      cookies.map((own, index) => ({
        request: requestOf(index, { cookies: own, fields: ['Connection: close'] }),
        status: 200,
        body: 1024,
      })),
    connections: 64,
    perConnection: 1,
  },
  contenders: peers([...LEADERS, ...OTHERS.filter((name) => name === 'caddy' || name === 'http-proxy-3')]),
  reference: 'haproxy',
};
