/** Large bodies, in either direction, by length: how bytes are passed on, once the head is out of the way. */
import { pattern } from '../load/script.ts';
import { LEADERS, peers, type Scenario, type Traffic } from '../scenario.ts';
import { requestOf } from '../traffic.ts';

function answersOf(bytes: number, connections: number): Traffic {
  return {
    entries: (cookies) =>
      cookies.map((own, index) => ({
        request: requestOf(index, { cookies: own, path: `/bytes/${bytes}` }),
        status: 200,
        body: bytes,
      })),
    connections,
  };
}

const MEGABYTE = 1_048_576;

export const down100k: Scenario = {
  name: 'down-100k',
  title: '100 KB down',
  about: '64 kept connections, answers of 100 KiB.',
  traffic: answersOf(102_400, 64),
  contenders: peers([...LEADERS, 'haproxy-tcp', 'caddy', 'http-proxy-3', 'fastify-http-proxy']),
  reference: 'haproxy',
  latency: true,
};

export const down1m: Scenario = {
  name: 'down-1m',
  title: '1 MB down',
  about: '32 kept connections, answers of 1 MiB.',
  traffic: answersOf(MEGABYTE, 32),
  contenders: peers([...LEADERS, 'haproxy-tcp']),
  reference: 'haproxy',
};

export const up1m: Scenario = {
  name: 'up-1m',
  title: '1 MB up',
  about: '32 kept connections, request bodies of 1 MiB by length, every byte compared at the origin.',
  traffic: {
    // A few users are enough: each request is a megabyte of the generator's memory.
    entries: (cookies) =>
      cookies.slice(0, 20).map((own, index) => ({
        request: requestOf(index, {
          method: 'POST',
          cookies: own,
          fields: ['Content-Type: application/octet-stream', `Content-Length: ${MEGABYTE}`],
          body: pattern(MEGABYTE),
        }),
        status: 200,
        body: 1024,
      })),
    connections: 32,
  },
  contenders: peers([...LEADERS, 'haproxy-tcp']),
  reference: 'haproxy',
};
