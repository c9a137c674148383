/*
 * The load generator: `client key=value ...`; `bench/load/client.ts` starts it and describes the arguments.
 *
 * Closed loop (rate=0): every connection asks again as soon as it is answered, which finds out what a proxy carries. Open
 * loop (rate=R): requests are due at times drawn beforehand, exponentially spread and the same for every proxy, and the
 * latency of each counts from when it was due, also when no connection was free then. So a proxy that stalls is not
 * spared the requests that it kept from being sent (no coordinated omission).
 *
 * Every answer is verified: its status, its length, its bytes (all of small bodies, each sixteenth of large ones).
 *
 * Prints «ready» when all connections are open, waits for a line on stdin, loads, prints one line of JSON, and keeps
 * the connections until stdin ends. The script's format is in `bench/load/script.ts`.
 */
#define _GNU_SOURCE
#include "exchange.h"
#include <math.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define OPENING 64             /* connections that are opened at a time */
#define PATIENCE 5000000000ull /* ns without an answer after the end */

static int next_to_open;
static uint64_t next_due;

/* Exponentially spread, from a fixed seed: every proxy meets the same moments. */
static uint64_t gap(void) {
  static uint64_t state = 0x9e3779b97f4a7c15ull;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  double uniform = ((double)(state >> 11) + 1) / 9007199254740993.0;
  return (uint64_t)(-log(uniform) * 1e9 / (double)options.rate);
}

static void issue(uint64_t now) {
  while (next_due <= now && next_due < ends && free_from != free_to) {
    struct connection *one = &connections[free_ring[free_from++ % (uint32_t)options.connections]];
    one->queued = 0;
    if (one->entry != NULL || (one->phase != FREE && one->phase != CLOSED)) continue;
    samples_add(&lateness, now - next_due);
    begin_exchange(one, next_due);
    next_due += gap();
  }
}

static void report(void) {
  /* Requests that were due and never sent are failures of the proxy too: no connection came free. */
  uint64_t overdue = 0;
  if (options.rate > 0)
    for (; next_due < ends; next_due += gap()) overdue++;
  samples_sort(&latencies);
  samples_sort(&lateness);
  printf("{\"requests\":%llu,\"seconds\":%.6f,\"bytes\":%llu,", (unsigned long long)completed,
         (double)(finished_at - began) / 1e9, (unsigned long long)bytes_in);
  printf("\"failures\":{\"connect\":%llu,\"closed\":%llu,\"status\":%llu,\"length\":%llu,\"body\":%llu,\"extra\":%llu,"
         "\"timeout\":%llu},",
         (unsigned long long)failed.connect, (unsigned long long)failed.closed, (unsigned long long)failed.status,
         (unsigned long long)failed.length, (unsigned long long)failed.body, (unsigned long long)failed.extra,
         (unsigned long long)(failed.timeout + overdue));
  printf("\"latency\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},", quantile(&latencies, 0.5),
         quantile(&latencies, 0.99), quantile(&latencies, 0.999), quantile(&latencies, 1));
  printf("\"late\":{\"p50\":%.1f,\"p99\":%.1f}}\n", quantile(&lateness, 0.5), quantile(&lateness, 0.99));
  fflush(stdout);
}

static void turn(uint64_t until) {
  struct epoll_event events[256];
  uint64_t now = nanos();
  uint64_t wait = until > now ? until - now : 0;
  struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000ull), .tv_nsec = (long)(wait % 1000000000ull)};
  int ready = epoll_pwait2(poller, events, 256, &timeout, NULL);
  for (int index = 0; index < ready; index++) handle(&events[index]);
}

static void open_all(void) {
  progress = nanos();
  while (opened < options.connections) {
    while (opening < OPENING && next_to_open < options.connections) open_connection(&connections[next_to_open++]);
    turn(nanos() + 100000000ull);
    if (failed.connect + failed.closed > 1000 || nanos() - progress > 2 * PATIENCE) {
      if (opened == 0) failed.timeout++;
      fprintf(stderr, "only %d of %d connections could be opened (%llu refused, %llu closed, %llu of a wrong status)\n",
              opened, options.connections, (unsigned long long)failed.connect, (unsigned long long)failed.closed,
              (unsigned long long)failed.status);
      exit(1);
    }
    if (opening > 0) progress = nanos();
  }
}

static void load(void) {
  stage = LOADING;
  began = progress = finished_at = nanos();
  ends = began + (uint64_t)(options.seconds * 1e9);
  next_due = began;
  if (options.rate == 0) {
    for (int index = 0; index < options.active; index++)
      if (connections[index].entry == NULL && connections[index].phase != CONNECTING)
        begin_exchange(&connections[index], nanos());
  }
  for (uint64_t now = nanos(); now < ends; now = nanos()) {
    if (options.rate > 0) issue(now);
    uint64_t until = options.rate > 0 && free_from != free_to && next_due < ends ? next_due : ends;
    turn(until);
  }
  /* Those that were due in time and waited for a connection are still sent, then all answers are awaited. */
  progress = nanos();
  while (options.rate > 0 && next_due < ends && nanos() - progress < PATIENCE) {
    issue(nanos());
    turn(nanos() + 1000000ull);
  }
  stage = DRAINING;
  while (running > 0 && nanos() - progress < PATIENCE) turn(nanos() + 10000000ull);
  failed.timeout += (uint64_t)running;
}

static void read_options(int count, char **arguments) {
  for (int index = 1; index < count; index++) {
    char *value = strchr(arguments[index], '=');
    if (value == NULL) die(arguments[index]);
    *value++ = 0;
    const char *name = arguments[index];
    if (strcmp(name, "port") == 0) options.port = atoi(value);
    else if (strcmp(name, "connections") == 0) options.connections = atoi(value);
    else if (strcmp(name, "active") == 0) options.active = atoi(value);
    else if (strcmp(name, "per-connection") == 0) options.per_connection = atol(value);
    else if (strcmp(name, "sources") == 0) options.sources = atoi(value);
    else if (strcmp(name, "seconds") == 0) options.seconds = atof(value);
    else if (strcmp(name, "rate") == 0) options.rate = atol(value);
    else if (strcmp(name, "upgrade") == 0) options.upgrade = atoi(value);
    else if (strcmp(name, "warm") == 0) options.warm = atoi(value);
    else if (strcmp(name, "first-number") == 0) mark_number = strtoull(value, NULL, 10);
    else if (strcmp(name, "script") == 0) options.script = value;
    else {
      fprintf(stderr, "unknown argument %s\n", name);
      exit(2);
    }
  }
  if (options.active == 0) options.active = options.connections;
}

int main(int count, char **arguments) {
  read_options(count, arguments);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1); /* ns: sleeps end when they should */
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  make_pattern();
  load_script(options.script);
  connections = calloc((size_t)options.connections, sizeof *connections);
  for (int index = 0; index < options.connections; index++) connections[index].fd = -1;
  free_ring = calloc((size_t)options.connections, sizeof *free_ring);
  poller = epoll_create1(0);
  /* Where each request has a connection of its own, they are opened when they are wanted. */
  if (options.per_connection == 0) open_all();
  else
    for (int index = 0; index < options.connections; index++) offer(&connections[index]);
  char line[16];
  printf("ready\n");
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL) return 1;
  load();
  report();
  while (fgets(line, sizeof line, stdin) != NULL) {
  }
  return 0;
}
