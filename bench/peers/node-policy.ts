/** The policy as a team would write it in a few lines of Node.js, for the programs that use a proxy library. */
import type { IncomingMessage } from 'node:http';
import { BlockList, type Socket } from 'node:net';

/** What it reads of a request. */
type Asked = Pick<IncomingMessage, 'headers'> & { readonly socket: Pick<Socket, 'remoteAddress'> };

/** FNV-1a: a hash that the language makes cheap. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}

/** Decides requests by networks (separated by commas), iPhone, and 10 % of the users by their cookie. */
export function nodePolicy(networks: string): (request: Asked) => 'stable' | 'canary' {
  const office = new BlockList();
  for (const network of networks.split(',')) {
    const [address, bits] = network.split('/') as [string, string];
    office.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return (request) => {
    const address = request.socket.remoteAddress ?? '';
    const uid = /(?:^|; )uid=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
    const admitted =
      office.check(address, address.includes(':') ? 'ipv6' : 'ipv4') &&
      (request.headers['user-agent'] ?? '').includes('iPhone') &&
      uid !== undefined &&
      hash(uid) % 100 < 10;
    return admitted ? 'canary' : 'stable';
  };
}
