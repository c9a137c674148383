/**
 * Inputs that are nearly right: messages by the grammar, with now and then a part that is wrong, unusual, or belongs
 * elsewhere. Bytes at random would hardly ever get past the first line.
 */
import { METHODS } from 'node:http';
import { KNOWN_METHODS } from '../../src/http1/methods.ts';
import type { Random } from './random.ts';
import {
  ODD,
  HOSTS,
  BAD_HOSTS,
  PATHS,
  BAD_TARGETS,
  NAMES,
  VALUES,
  CONNECTIONS,
  CODINGS,
  BAD_LENGTHS,
  EXTENSIONS,
  BAD_EXTENSIONS,
  TRAILERS,
  BAD_TRAILERS,
} from './vocabulary.ts';

export interface Input {
  /** Latin1. */
  readonly text: string;
  /** For responses: the methods of the requests that they answer. */
  readonly answered: readonly string[];
}

/** How often a part is wrong on purpose. */
const TWIST = 0.02;

function part(random: Random, good: readonly string[], bad: readonly string[]): string {
  return random.chance(TWIST) ? random.pick(bad) : random.pick(good);
}

function space(random: Random): string {
  return random.pick(['', ' ', ' ', ' ', ' ', '\t', '  ', ' \t']);
}

function lineEnd(random: Random): string {
  return random.chance(TWIST / 4)
    ? random.pick(['\n', '\r', '\r\r\n', '\n\r', '', ' \r\n', '\r\n ', '\r\n\r\n'])
    : '\r\n';
}

function field(random: Random, name: string, value: string): string {
  const spelled = random.chance(0.2) ? name.toLowerCase() : random.chance(0.1) ? name.toUpperCase() : name;
  const colon = random.chance(TWIST / 4) ? random.pick([' :', '', '::', '\t:', ';']) : ':';
  return `${spelled}${colon}${space(random)}${value}${random.pick(['', '', '', ' ', '\t'])}${lineEnd(random)}`;
}

function data(random: Random, length: number): string {
  let text = '';
  while (text.length < length) text += random.chance(0.2) ? random.pick(ODD) : 'abcdef';
  return text.slice(0, length);
}

function chunkedBody(random: Random): string {
  let body = '';
  for (let count = random.below(4); count > 0; count -= 1) {
    const length = 1 + random.below(random.chance(0.1) ? 300 : 20);
    const size = length.toString(16);
    const digits = random.pick([size, size, size.toUpperCase(), `0${size}`, `00${size}`]);
    const extension = random.chance(0.2) ? part(random, EXTENSIONS, BAD_EXTENSIONS) : '';
    const wrong = random.chance(TWIST) ? random.pick([1, -1]) : 0;
    body += `${digits}${extension}${lineEnd(random)}${data(random, length + wrong)}${lineEnd(random)}`;
  }
  body += `${random.pick(['0', '0', '0', '00'])}${random.chance(0.1) ? part(random, EXTENSIONS, BAD_EXTENSIONS) : ''}${lineEnd(random)}`;
  if (random.chance(0.2)) {
    for (let count = 1 + random.below(3); count > 0; count -= 1)
      body += part(random, TRAILERS, BAD_TRAILERS) + lineEnd(random);
  }
  return body + lineEnd(random);
}

/** Lines that frame a body, and the body, which mostly fits. */
function framed(random: Random, bodiless: number): readonly [lines: string[], body: string] {
  const lines: string[] = [];
  let body = '';
  if (!random.chance(bodiless)) {
    if (random.chance(0.5)) {
      body = data(random, random.below(30));
      const wrong = random.chance(TWIST) ? random.pick([1, -1, 10]) : 0;
      const length = Math.max(body.length + wrong, 0);
      lines.push(
        field(random, 'Content-Length', random.chance(TWIST) ? random.pick(BAD_LENGTHS) : String(length)),
      );
    } else {
      body = chunkedBody(random);
      lines.push(field(random, 'Transfer-Encoding', part(random, CODINGS.slice(0, 3), CODINGS)));
    }
  }
  if (random.chance(TWIST / 2))
    lines.push(field(random, 'Content-Length', random.pick(['0', '1', '5', ...BAD_LENGTHS])));
  if (random.chance(TWIST / 2)) lines.push(field(random, 'Transfer-Encoding', random.pick(CODINGS)));
  return [lines, body];
}

function otherLines(random: Random): string[] {
  const lines: string[] = [];
  const many = random.chance(0.05) ? 45 : 4;
  for (let count = random.below(many); count > 0; count -= 1) {
    const name = random.chance(TWIST / 4) ? random.pick(ODD) : random.pick(NAMES);
    lines.push(field(random, name, random.chance(TWIST) ? random.pick(ODD) : random.pick(VALUES)));
  }
  if (random.chance(0.2)) lines.push(field(random, 'Connection', random.pick(CONNECTIONS)));
  if (random.chance(0.05)) lines.push(field(random, 'Connection', random.pick(CONNECTIONS)));
  if (random.chance(0.1)) lines.push(field(random, 'Upgrade', random.pick(['websocket', 'h2c', 'a, b', ''])));
  return lines;
}

function shuffled(random: Random, lines: readonly string[]): string {
  const rest = [...lines];
  let text = '';
  while (rest.length > 0) text += rest.splice(random.below(rest.length), 1)[0] as string;
  return text;
}

function request(random: Random): string {
  const host = part(random, HOSTS, BAD_HOSTS);
  const method = random.chance(TWIST)
    ? random.pick(['', 'get', 'BREW', 'GET/', 'PRI', 'GE T', 'CONNECT', ...METHODS])
    : random.pick(['GET', 'GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', ...METHODS, ...KNOWN_METHODS]);
  const path = part(random, PATHS, BAD_TARGETS);
  const absolute = random.chance(0.1);
  const target = absolute
    ? `${random.pick(['http', 'https', 'HTTP'])}://${host}${random.chance(0.1) ? '' : path}`
    : path;
  const version = random.chance(TWIST)
    ? random.pick([
        'HTTP/1.2',
        'HTTP/2.0',
        'http/1.1',
        'HTTP/0.9',
        'HTTP/1.1 ',
        'ICE/1.0',
        '',
        'RTSP/1.0',
        'HTTP/1',
      ])
    : random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0']);
  const [lines, body] = framed(random, 0.4);
  lines.push(...otherLines(random));
  if (!random.chance(TWIST))
    lines.push(field(random, 'Host', random.chance(TWIST) ? random.pick(HOSTS) : host));
  if (random.chance(0.02))
    lines.push(field(random, 'Expect', random.pick(['100-continue', '100-Continue', 'x', ''])));
  if (random.chance(TWIST / 4)) lines.push(field(random, 'Host', random.pick(HOSTS)));
  const empty = random.chance(0.05) ? random.pick(['\r\n', '\r\n\r\n', '\n', '\r', ' ', '\0']) : '';
  const gap = random.chance(TWIST / 2) ? random.pick(['  ', '\t', ' \t']) : ' ';
  return `${empty}${method}${gap}${target} ${version}${lineEnd(random)}${shuffled(random, lines)}${lineEnd(random)}${body}`;
}

function response(random: Random): string {
  const status = random.chance(TWIST)
    ? random.pick(['99', '600', '000', '2000', '20', '', '+20', '2x0'])
    : random.pick(['200', '200', '404', '100', '103', '101', '204', '304', '500', '205', '599', '199']);
  const version = random.chance(TWIST)
    ? random.pick(['HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'ICY', 'HTTP/0.9', 'RTSP/1.0', 'HTTP/1.'])
    : random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0']);
  const reason = random.chance(TWIST)
    ? random.pick([...ODD, ' \0'])
    : random.pick([' OK', ' ', ' Not Found', '', ' \xe4\t x', '  a ']);
  const bodiless = /^(1..|204|304)$/.test(status);
  const [lines, body] = framed(random, bodiless ? 0.9 : 0.2);
  lines.push(...otherLines(random));
  const shown = bodiless || random.chance(0.02) ? '' : body;
  return `${version} ${status}${reason}${lineEnd(random)}${shuffled(random, lines)}${lineEnd(random)}${shown}`;
}

function headOnly(message: string): string {
  const end = message.indexOf('\r\n\r\n');
  return end === -1 ? message : message.slice(0, end + 4);
}

/** One to four requests on a connection. */
export function generateRequests(random: Random): Input {
  let text = '';
  for (let count = 1 + random.below(random.chance(0.3) ? 4 : 1); count > 0; count -= 1)
    text += request(random);
  return { text, answered: [] };
}

/** One to four responses on a connection. */
export function generateResponses(random: Random): Input {
  const answered: string[] = [];
  let text = '';
  for (let count = 1 + random.below(random.chance(0.4) ? 4 : 1); count > 0; count -= 1) {
    const message = response(random);
    const interim = /^HTTP\/1\.[01] 1/.test(message);
    const method = random.chance(0.15) ? 'HEAD' : 'GET';
    if (!interim) answered.push(method);
    text += method === 'HEAD' && !interim ? headOnly(message) : message;
  }
  return { text, answered };
}
