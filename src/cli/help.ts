/** What `serin --help` says: every command, what it takes, and how it ends. */

export const USAGE = `usage: serin COMMAND [OPTIONS]

  status                                every service's rollout, and the replicas
  services                              the services and their endpoints
  explain SERVICE                       what a request would get, rule by rule
      --path P --method M -H 'name: value' --client ADDRESS --identity USER --secure --revision N
  history SERVICE                       who changed what, when and why      --limit N --before REVISION

  rollout get SERVICE                   the policy document, as YAML
  rollout put SERVICE FILE              starts a rollout or replaces its policy; FILE is YAML or JSON, - is stdin
      --dry-run                         only says what it would do
  rollout percentage SERVICE PERCENTAGE sets a rule's percentage            --rule NAME, everyone if unsaid
  rollout step SERVICE                  takes the next step                 --from N: only if it starts there
  rollout pause|resume SERVICE          holds the ramp, goes on
  rollout promote|finish SERVICE        the canary for everyone; then the end, stable being the new version
  rollout rollback SERVICE              stable for everyone, at once
  rollout restore SERVICE REVISION      the policy of an earlier revision, as a new one

      of all that write: --wait until every worker decides by it, --timeout 60s, --reason TEXT,
      --request-id ID, --if-match ETAG; put, percentage and restore: --allow-decrease
      of all above: --json or --yaml; --url URL or SERIN_URL (http://127.0.0.1:9090),
      --token TOKEN or SERIN_TOKEN

  override create --service NAME --variant always|never --ttl DURATION --secret-file FILE
                                        makes a token that shows its holder the canary always (or never), whatever
                                        the policy says. Send it as the header x-serin-override or the cookie
                                        serin_override; it is removed before a request is forwarded. DURATION is
                                        such as 1h, 30 days at most. FILE is the proxy's key ring.
  config check FILE                     checks a configuration as the proxy would, and says every fault with its line

exit codes: 0 done, 1 refused or not applied, 64 wrong command line, 69 nobody answers or try again, 77 not allowed,
78 a file that is not right`;
