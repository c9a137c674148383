/** What replicas must have alike, seen from outside: rings that are renewed one by one, and replicas that differ. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import {
  fleetOf,
  perform,
  startNotesFleet,
  type TestFleet,
  type TestReplica,
  together,
  write,
} from '../support/fleet.ts';
import { ask, request } from '../support/raw-client.ts';
import { values } from '../support/strict-head.ts';

let fleet: TestFleet;
let a: TestReplica;
let b: TestReplica;
let c: TestReplica;

const key = (id: string, fill: number): string => `${id}:${Buffer.alloc(32, fill).toString('base64url')}\n`;
const OLD = key('old', 1);
const NEW = key('new', 2);

before(async () => {
  fleet = await startNotesFleet({
    keyRing: OLD,
    configuration: { segments: { office: ['203.0.113.0/24'] } },
    identity: null,
  });
  [a, b, c] = fleet.replicas as [TestReplica, TestReplica, TestReplica];
  await perform(a, 'PUT', '', { rules: [{ name: 'everyone', percentage: 50 }] });
});

after(async () => {
  await fleet?.close();
});

interface User {
  readonly agent: string;
  cookies: string;
  variant: string;
}

/** One request of the user, who keeps the cookies as a browser does. */
async function visit(user: User, replica: TestReplica): Promise<string> {
  const headers = [`User-Agent: ${user.agent}`];
  if (user.cookies !== '') headers.push(`Cookie: ${user.cookies}`);
  const answer = await ask(replica.serin.proxyPort, request('/', { host: 'notes.test', headers }));
  const jar = new Map(user.cookies.split('; ').map((pair) => pair.split('=', 2) as [string, string]));
  for (const line of values(answer.fields, 'set-cookie')) {
    const [name, value] = line.split(';', 1)[0]!.split('=', 2) as [string, string];
    jar.set(name, value);
  }
  user.cookies = [...jar]
    .filter(([name]) => name !== '')
    .map(([name, value]) => `${name}=${value}`)
    .join('; ');
  return answer.body.toString().split(' ', 1)[0]!;
}

async function newcomers(name: string, replicas: readonly TestReplica[]): Promise<User[]> {
  const users: User[] = [];
  for (let index = 0; index < 40; index++) {
    const user: User = { agent: `${name}-${index}`, cookies: '', variant: '' };
    user.variant = await visit(user, replicas[index % replicas.length]!);
    users.push(user);
  }
  return users;
}

test('a key ring is renewed replica by replica in the middle of a rollout, and nobody moves', async () => {
  const all = [a, b, c];
  const users = await newcomers('before', all);
  assert.ok(new Set(users.map(({ variant }) => variant)).size === 2, 'users of both variants');
  const nobodyMoved = async (): Promise<void> => {
    for (const replica of all) {
      for (const user of users)
        assert.equal(await visit(user, replica), user.variant, `${user.agent} at ${replica.name}`);
    }
  };
  for (const replica of all) {
    // The new key comes in front: it signs once all replicas have it.
    await replica.start({ keyRing: NEW + OLD });
    await together(all);
    users.push(...(await newcomers(`during-${replica.name}`, all)));
    await nobodyMoved();
    for (const one of all) assert.deepEqual((await fleetOf(one)).disagreements, []);
  }
  assert.equal((await write(b, 'POST', '/percentage', { percentage: 51 })).status, 202);
});

/** Raises a little more each time, until one is refused: where a replica was not seen in time, the first ones are not. */
async function refusedRaise(replica: TestReplica, from: number): Promise<Awaited<ReturnType<typeof write>>> {
  let percentage = from;
  return eventually(async () => {
    percentage += 0.001;
    const answer = await write(replica, 'POST', '/percentage', { percentage: Number(percentage.toFixed(3)) });
    return answer.status === 409 ? answer : null;
  }, 'a refused raise');
}

test('a replica with other segments blocks raises, says which and what, and nothing else', async () => {
  await c.start({ keyRing: NEW + OLD, configuration: { segments: { office: ['198.51.100.0/24'] } } });
  await together([a, b, c]);
  const answer = await refusedRaise(a, 60);
  const { code, detail } = answer.body as { code: string; detail: string };
  assert.equal(code, 'fleet_disagrees');
  assert.match(detail, /c defines the segment "office" otherwise/);
  assert.match((await fleetOf(b)).disagreements.join(), /c defines the segment "office" otherwise/);
  assert.match((await fleetOf(c)).disagreements.join(), /a defines the segment "office" otherwise/);
  assert.equal(await b.serin.metric('serin_fleet_disagreement'), 1);
  await perform(a, 'POST', '/percentage', { percentage: 40, allowDecrease: true });
  await c.start({ keyRing: NEW + OLD });
  await together([a, b, c]);
  await eventually(
    async () => (await write(a, 'POST', '/percentage', { percentage: 65 })).status === 202,
    'a raise that is allowed again',
  );
});

test('a replica with another key ring blocks raises; its peers refuse what it says', async () => {
  await c.start({ keyRing: key('stranger', 9) });
  const refused = await refusedRaise(b, 70);
  assert.match((refused.body as { detail: string }).detail, /key ring of c has no key in common/);
  await eventually(
    async () => (await a.serin.metric('serin_peer_requests_refused_total', { reason: 'signature' })) > 0,
    'a message that is refused',
  );
  await c.start({ keyRing: NEW + OLD });
  await together([a, b, c]);
});

test('the same id for another secret is told apart', async () => {
  await c.start({ keyRing: key('new', 3) + OLD });
  await together([a, b, c]);
  assert.match(
    (await eventually(async () => (await fleetOf(a)).disagreements[0], 'a disagreement')) ?? '',
    /c has another secret under the key "new" of the key ring/,
  );
  await c.start({ keyRing: NEW + OLD });
});
