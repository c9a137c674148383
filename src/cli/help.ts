/** What `serin --help` says: every command, what it takes, and how it ends; and the same of one command. */

export const USAGE = `usage: serin COMMAND [OPTIONS]; serin COMMAND --help has more on one

  status                                every service's rollout, and the replicas
  services                              the services and their endpoints
  endpoints                             the load of every endpoint, and which are left out
  fleet                                 replicas and workers, and the revision that each has applied
  comparison SERVICE                    stable and canary side by side, over all replicas
  explain SERVICE                       what a request would get, rule by rule
  history SERVICE                       who changed what, when and why

  rollout get SERVICE                   the policy document, as YAML
  rollout put SERVICE FILE              starts a rollout or replaces its policy; FILE is YAML or JSON, - is stdin
  rollout patch SERVICE FILE            changes parts of the policy
  rollout percentage SERVICE PERCENTAGE sets a rule's percentage
  rollout step SERVICE                  takes the next step
  rollout pause|resume SERVICE          holds the ramp, goes on
  rollout promote|finish SERVICE        the canary for everyone; then the end, stable being the new version
  rollout rollback SERVICE              stable for everyone, at once
  rollout restore SERVICE REVISION      the policy of an earlier revision, as a new one
  change get ID                         how far a change has got
  change cancel ID                      cancels a change that is not written yet

  override create                       makes a token that shows its holder the canary always, or never
  config check FILE                     checks a configuration as the proxy would, and says every fault with its line
  store migrate                         puts all that one store holds into another
  store export FILE                     writes all that a store holds into a file
  store import FILE                     puts the contents of such a file into a store

of all that use the API: --url URL or SERIN_URL (http://127.0.0.1:9090), --token TOKEN or SERIN_TOKEN, --json, --yaml
of rollout commands that write: --wait, --timeout, --dry-run, --reason, --request-id, --if-match

exit codes: 0 done, 1 refused, failed or not applied, 64 wrong command line, 69 nobody answers or try again,
78 a file that is not right`;

const COMMON = `      --url URL          the API; SERIN_URL, or http://127.0.0.1:9090
      --token TOKEN      the API's token; better in SERIN_TOKEN, since others see the list of processes
      --json, --yaml     the answer for programs`;

const WRITE = `      --wait             until every worker decides by it; anything but APPLIED is a failure
      --timeout DURATION how long --wait waits, 60s if unsaid
      --dry-run          only says what it would do; exit code 1 where it would be refused
      --reason TEXT      why; the history shows it
      --request-id ID    names the request, so that the same command twice is one change
      --if-match ETAG    only if the policy is at this revision, such as '"7"'`;

const ALLOW = `      --allow-decrease   also where users lose the canary`;

const DOCUMENT = `FILE is YAML or JSON, - is standard input. A document of "rollout get" goes over its own revision only, any other over
what is there now.`;

const STORE = `A STORE is file:DIR, the URL of a Redis, env:NAME (a variable that holds one) or config:FILE (what that configuration
says). The latter two keep a password out of the list of processes.`;

const PREFIX = `      --prefix PREFIX    of the keys in Redis; serin, or the configuration's`;

const INTO = `      --replace          what is there goes
      --dry-run          only says what it would do; exit code 1 where it would be refused`;

interface Help {
  readonly words?: string;
  readonly says: string;
  /** Blocks of option lines. */
  readonly options?: readonly string[];
  /** It needs no API. */
  readonly local?: true;
}

const HELP: ReadonlyMap<string, Help> = new Map<string, Help>([
  ['status', { says: "Shows every service's rollout, and the replicas." }],
  ['services', { says: 'Shows the services and their endpoints.' }],
  [
    'endpoints',
    { says: 'Shows the load of every endpoint, how it stands, and what health checks say of it.' },
  ],
  ['fleet', { says: 'Shows replicas and workers, and the revision that each has applied.' }],
  [
    'comparison',
    {
      words: 'SERVICE',
      says: 'Shows stable and canary side by side, over all replicas. It is what was counted, not a verdict.',
      options: [`      --window DURATION  how far back, from 10s to 1h; 10m if unsaid`],
    },
  ],
  [
    'explain',
    {
      words: 'SERVICE',
      says: 'Shows what a request would get, rule by rule, by the code that decides.',
      options: [
        `      --method M         GET if unsaid
      --path P           with the query; / if unsaid
  -H, --header 'N: V'    a header; again for more
      --cookie N=V       a cookie; again for more
      --address ADDRESS  the client's address, as it is found behind trusted proxies
      --identity USER    the user, as the identity chain of the service says it
      --secure           the client came over TLS
      --revision N       by the policy of that revision`,
      ],
    },
  ],
  [
    'history',
    {
      words: 'SERVICE',
      says: 'Shows who changed what, when and why, the newest first.',
      options: [
        `      --limit N          1 to 100; 20 if unsaid\n      --before REVISION  only what is older`,
      ],
    },
  ],
  ['rollout get', { words: 'SERVICE', says: 'Prints the policy document, as YAML.' }],
  [
    'rollout put',
    {
      words: 'SERVICE FILE',
      says: `Starts a rollout, or replaces the policy of the one under way.\n${DOCUMENT}`,
      options: [ALLOW, WRITE],
    },
  ],
  [
    'rollout patch',
    {
      words: 'SERVICE FILE',
      says: `Changes parts of the policy by a JSON merge patch: lists are replaced whole, null removes.\n${DOCUMENT}`,
      options: [ALLOW, WRITE],
    },
  ],
  [
    'rollout percentage',
    {
      words: 'SERVICE PERCENTAGE',
      says: 'Sets the percentage of a rule.',
      options: [`      --rule NAME        everyone if unsaid`, ALLOW, WRITE],
    },
  ],
  [
    'rollout step',
    {
      words: 'SERVICE',
      says: 'Takes the next step of the ramp.',
      options: [`      --from PERCENTAGE  only if the step starts there`, WRITE],
    },
  ],
  [
    'rollout promote',
    {
      words: 'SERVICE',
      says: 'Gives the canary to everyone, and keeps it so until finish or rollback.',
      options: [WRITE],
    },
  ],
  [
    'rollout finish',
    {
      words: 'SERVICE',
      says: "Ends a promoted rollout: stable's endpoints are the new version.",
      options: [WRITE],
    },
  ],
  [
    'rollout rollback',
    {
      words: 'SERVICE',
      says: 'Gives stable to everyone, at once; accepted even when the store is not there.',
      options: [WRITE],
    },
  ],
  [
    'rollout pause',
    { words: 'SERVICE', says: 'Holds the ramp: percentages may not be raised.', options: [WRITE] },
  ],
  ['rollout resume', { words: 'SERVICE', says: 'Goes on with a paused rollout.', options: [WRITE] }],
  [
    'rollout restore',
    {
      words: 'SERVICE REVISION',
      says: 'Puts the policy of an earlier revision in force, as a new revision.',
      options: [ALLOW, WRITE],
    },
  ],
  ['change get', { words: 'ID', says: 'Shows how far a change has got; it is readable for 24 hours.' }],
  [
    'change cancel',
    {
      words: 'ID',
      says: 'Cancels a change that waits to be written; nothing happens once it is.',
      options: [`      --reason TEXT      why`],
    },
  ],
  [
    'override create',
    {
      says: `Makes a token that shows its holder the canary always (or never), whatever the policy says. Send it as the header
x-serin-override or the cookie serin_override; it is removed before a request is forwarded. Exclude rules come first.`,
      options: [
        `      --service NAME     the service that it is for
      --variant V        always or never
      --ttl DURATION     such as 1h; 30 days at most
      --secret-file FILE the proxy's key ring`,
      ],
      local: true,
    },
  ],
  [
    'config check',
    {
      words: 'FILE',
      says: 'Checks a configuration as the proxy would, with SERIN_ variables, and says every fault with its line.',
      local: true,
    },
  ],
  [
    'store migrate',
    {
      says: `Puts all that one store holds, its history included, into another. Stop the proxies that write to either.\n${STORE}`,
      options: [
        `      --from STORE       the one that is read\n      --to STORE         the one that is written`,
        PREFIX,
        INTO,
      ],
      local: true,
    },
  ],
  [
    'store export',
    {
      words: 'FILE',
      says: `Writes all that a store holds, its history included, into a file; - is standard output.\n${STORE}`,
      options: [`      --store STORE      the one that is read`, PREFIX],
      local: true,
    },
  ],
  [
    'store import',
    {
      words: 'FILE',
      says: `Puts what "store export" wrote into a store; - is standard input.\n${STORE}`,
      options: [`      --store STORE      the one that is written`, PREFIX, INTO],
      local: true,
    },
  ],
]);

/** The help on one command, or the list of those that begin with `name`; undefined where there is none. */
export function helpOn(name: string): string | undefined {
  const help = HELP.get(name);
  if (help === undefined) {
    const names = [...HELP.keys()].filter((one) => one.startsWith(`${name} `));
    return names.length === 0 ? undefined : names.map((one) => helpOn(one)).join('\n\n');
  }
  const { words, says, options = [], local } = help;
  const blocks = local === true ? options : [...options, COMMON];
  const usage = `usage: serin ${name}${words === undefined ? '' : ` ${words}`}${blocks.length > 0 ? ' [OPTIONS]' : ''}`;
  return [usage, says, ...blocks].join('\n');
}
