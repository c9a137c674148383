/**
 * Set-up before `npm start` and `npm test`: the packages of package-lock.json, and with them the Node.js that runs
 * everything else. Runs under the machine's own node (18 or newer), so it is plain JavaScript without a package.
 *
 * Promises to do nothing when everything is in place (a few milliseconds), and otherwise to say what it does, how
 * far it is, and on failure what was wrong and what to do. It must never change package-lock.json.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, 'node_modules');
const PINNED_NODE = join(MODULES, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
/** Type stripping, which runs the .ts files as they are, is stable from here on. */
const OLDEST = [24, 12];
const PROGRESS_INTERVAL = 5_000;
const OUTPUT_TAIL = 20;

/** What npm's output says about why it failed, and what to do about it. The first that matches is told. */
const REASONS = [
  [
    /ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|ERR_SOCKET_TIMEOUT|EIDLETIMEOUT/,
    'The npm registry could not be reached. Check the network (and `npm config get registry`, `npm config get proxy`), then run the same command again.',
  ],
  [
    /UNABLE_TO_GET_ISSUER_CERT|SELF_SIGNED_CERT|CERT_HAS_EXPIRED/,
    "The registry's certificate is not trusted here. Set `npm config set cafile FILE` to your network's certificate authority.",
  ],
  [/ENOSPC/, 'The disk is full: about 400 MB are needed for node_modules.'],
  [/EACCES|EPERM|EROFS/, `node_modules can't be written. Check who owns ${ROOT}.`],
  [
    /EINTEGRITY/,
    'A package did not have the content that package-lock.json names. Try `npm cache clean --force`; if it happens again, the registry or a proxy serves altered packages.',
  ],
  [/EUSAGE/, 'package.json and package-lock.json do not agree. Run `npm install` and commit the lock file.'],
];

/** Says what npm printed last, then what is wrong, and ends. */
function fail(message, output = '') {
  process.stderr.write(
    `${output.trimEnd().split('\n').slice(-OUTPUT_TAIL).join('\n')}\n\nSet-up failed. ${message}\n`,
  );
  process.exit(1);
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

const isForThisMachine = (entry) =>
  (entry.os === undefined || entry.os.includes(process.platform)) &&
  (entry.cpu === undefined || entry.cpu.includes(process.arch));

/** Whether node_modules holds what package-lock.json says; npm leaves a lock file of what it installed there. */
function isInstalled(wanted) {
  const hidden = readJson(join(MODULES, '.package-lock.json'));
  if (hidden === null) return false;
  for (const [path, entry] of Object.entries(hidden.packages)) {
    if (wanted[path]?.version !== entry.version) return false;
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (path !== '' && entry.optional !== true && hidden.packages[path] === undefined) return false;
  }
  return true;
}

/** The version of a node executable as [major, minor], or null where it does not run. */
function versionOf(executable) {
  const { status, stdout } = spawnSync(executable, ['--version'], { encoding: 'utf8' });
  const match = status === 0 ? /^v([0-9]+)\.([0-9]+)/.exec(stdout) : null;
  return match === null ? null : [Number(match[1]), Number(match[2])];
}

const isNewEnough = (version) =>
  version !== null && (version[0] > OLDEST[0] || (version[0] === OLDEST[0] && version[1] >= OLDEST[1]));

/** The environment for npm: without node_modules/.bin, whose node is replaced while npm runs. */
function npmEnvironment() {
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => !entry.endsWith(join('node_modules', '.bin')));
  return { ...process.env, PATH: path.join(delimiter), npm_config_update_notifier: 'false' };
}

/** The npm that runs this script, or else the first on the path. */
function npmCommand() {
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  if (script?.endsWith('npm-cli.js') === true && node !== undefined && existsSync(script))
    return [node, script];
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

/** Runs a command, showing `progress()` now and then; resolves to its exit code and all that it printed. */
function run(command, progress) {
  return new Promise((resolve) => {
    const [file, ...args] = command;
    const child = spawn(file, args, { cwd: ROOT, env: npmEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const timer = setInterval(() => process.stdout.write(`  ${progress()}\n`), PROGRESS_INTERVAL);
    const end = (code) => {
      clearInterval(timer);
      resolve({ code, output });
    };
    child.on('error', (error) => {
      output += error.code === 'ENOENT' ? 'npm was not found' : String(error);
      end(127);
    });
    child.on('close', end);
  });
}

async function installPackages(wanted) {
  const paths = Object.keys(wanted).filter((path) => path !== '' && isForThisMachine(wanted[path]));
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const present = () => paths.filter((path) => existsSync(join(ROOT, path, 'package.json'))).length;
  process.stdout.write(
    `Installing ${paths.length} packages from package-lock.json into node_modules (once, about a minute)…\n`,
  );
  const command = [
    ...npmCommand(),
    'ci',
    '--include=dev',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--fetch-retry-maxtimeout=20000',
  ];
  const { code, output } = await run(
    command,
    () => `${present()} of ${paths.length} packages, ${seconds()} s`,
  );
  if (code !== 0) {
    if (code === 127)
      fail('npm was not found. Install Node.js with its npm: Debian package `npm`, or https://nodejs.org.');
    fail(REASONS.find(([pattern]) => pattern.test(output))?.[1] ?? 'npm says why, above.', output);
  }
  process.stdout.write(`Installed in ${seconds()} s.\n`);
}

/** npm may have been told to run no install scripts; the `node` package's own is what fetches the executable. */
async function installNode() {
  process.stdout.write('Fetching the pinned Node.js…\n');
  const started = Date.now();
  const command = [...npmCommand(), 'rebuild', 'node', '--ignore-scripts=false', '--loglevel=error'];
  const { output } = await run(command, () => `${Math.round((Date.now() - started) / 1000)} s`);
  if (isNewEnough(versionOf(PINNED_NODE))) return;
  if (isNewEnough(versionOf(process.execPath))) {
    process.stdout.write(
      `It could not be fetched; going on with this machine's Node.js ${process.version}.\n`,
    );
    return;
  }
  const { version } = readJson(join(MODULES, 'node', 'package.json')) ?? {};
  fail(
    `Node.js ${version} could not be installed into node_modules (npm package node-${process.platform}-${process.arch}), ` +
      `and this machine's own is ${process.version}; ${OLDEST.join('.')} or newer is needed. ` +
      'Either allow its install script (`npm rebuild node`) or install a newer Node.js.',
    output,
  );
}

const lock = readJson(join(ROOT, 'package-lock.json'));
if (lock === null)
  fail(`${join(ROOT, 'package-lock.json')} is missing or unreadable; it belongs to the repository.`);
if (!isInstalled(lock.packages)) await installPackages(lock.packages);
if (!isNewEnough(versionOf(PINNED_NODE))) await installNode();
