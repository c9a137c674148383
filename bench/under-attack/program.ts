/**
 * Runs attacks against a Serin process until it is ended, or a minute at most: `node program.ts NAME[+NAME…] TARGET`, the target as JSON.
 * It writes how many things it has sent, a number a line, four times a second.
 */
import { constants, setPriority } from 'node:os';
import process from 'node:process';
import { ATTACKS, type Target } from './attacks.ts';

const [names = '', target = '{}'] = process.argv.slice(2);
// The attacker shares the cores with whom it attacks: what is shown is what the attack costs there, not here.
setPriority(constants.priority.PRIORITY_LOW);
let sent = 0;
const described = JSON.parse(target) as Omit<Target, 'did'>;
for (const name of names.split('+')) ATTACKS[name]?.({ ...described, did: () => (sent += 1) });
setInterval(() => process.stdout.write(`${sent}\n`), 250);
setTimeout(() => process.exit(0), 60_000);
process.on('uncaughtException', () => {});
