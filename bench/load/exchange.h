/*
 * The generator's connections and what happens on them: a request is sent, its answer verified and counted, and the
 * connection does what the stage of the load wants next.
 */
#ifndef SERIN_BENCH_EXCHANGE_H
#define SERIN_BENCH_EXCHANGE_H

#include "http.h"
#include "samples.h"
#include "script.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum phase { CLOSED, CONNECTING, FREE, HEAD, BODY, RAW };

struct connection {
  int fd;
  enum phase phase;
  int opened_before, upgraded, warm, writing, close, queued;
  const struct entry *entry;
  const char *out;
  size_t out_left;
  char *own; /* a request with its marks replaced */
  char *head;
  size_t held;
  uint64_t since, done;
  struct body body;
  size_t got;
};

static struct {
  int port, connections, active, sources, upgrade, warm;
  long per_connection, rate;
  double seconds;
  const char *script;
} options = {.connections = 1, .sources = 1, .seconds = 1};

static uint32_t next_entry;
static struct connection *connections;
static int poller, opening, opened;
static int *free_ring;
static uint32_t free_from, free_to;
static char input[1 << 18];

static enum { OPEN_ALL, LOADING, DRAINING } stage;
static int running;    /* exchanges under way */
static uint64_t mark_number, began, ends, progress, finished_at;
static struct samples latencies, lateness;
static uint64_t completed, bytes_in, sequence;
static struct { uint64_t connect, closed, status, length, body, extra, timeout; } failed;

static void begin_exchange(struct connection *one, uint64_t since);

static uint64_t nanos(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void watch(struct connection *one, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = one};
  epoll_ctl(poller, EPOLL_CTL_MOD, one->fd, &event);
}

static void open_connection(struct connection *one) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0) die("socket");
  one->fd = fd;
  one->phase = CONNECTING;
  one->done = 0;
  one->close = one->upgraded = one->writing = 0;
  one->held = 0;
  opening++;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options.sources > 1) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)((one - connections) % options.sources));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) die("bind");
  }
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int code = connect(fd, (struct sockaddr *)&to, sizeof to);
  if (code != 0 && errno != EINPROGRESS) die("connect");
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = one};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void close_connection(struct connection *one) {
  if (one->phase == CONNECTING) opening--;
  close(one->fd);
  one->fd = -1;
  one->phase = CLOSED;
}

static void offer(struct connection *one) {
  if (one->queued || one - connections >= options.active) return;
  one->queued = 1;
  free_ring[free_to++ % (uint32_t)options.connections] = (int)(one - connections);
}

/* An exchange is over, or there was none: what this connection does next. */
static void next_step(struct connection *one) {
  int worn = one->close || (options.per_connection > 0 && (long)one->done >= options.per_connection);
  if (stage == DRAINING) {
    if (worn && one->phase != CLOSED) close_connection(one);
    return;
  }
  if (worn && one->phase != CLOSED) close_connection(one);
  if (one->phase == CLOSED && stage == LOADING && options.rate == 0) {
    begin_exchange(one, nanos());
    return;
  }
  if (one->phase == CLOSED && options.per_connection == 0) {
    open_connection(one);
    return;
  }
  if (stage == LOADING && options.rate == 0) begin_exchange(one, nanos());
  else offer(one);
}

static void fail(struct connection *one, uint64_t *reason) {
  (*reason)++;
  if (one->phase != CLOSED) close_connection(one);
  if (one->entry != NULL) {
    one->entry = NULL;
    running--;
  }
  progress = nanos();
  if (stage == OPEN_ALL && failed.connect + failed.closed > 1000) return;
  next_step(one);
}

static void complete(struct connection *one) {
  uint64_t now = nanos();
  int measured = stage != OPEN_ALL;
  const struct entry *entry = one->entry;
  one->entry = NULL;
  one->phase = FREE;
  running--;
  one->done++;
  progress = now;
  if (entry->status == 101) one->upgraded = 1;
  if (measured) {
    completed++;
    finished_at = now;
    samples_add(&latencies, now - one->since);
  } else {
    if (!one->opened_before) {
      one->opened_before = 1;
      opened++;
    }
    one->done = 0;
  }
  next_step(one);
}

static void push(struct connection *one) {
  while (one->out_left > 0) {
    ssize_t wrote = send(one->fd, one->out, one->out_left, MSG_NOSIGNAL);
    if (wrote < 0) {
      if (errno == EAGAIN) {
        if (!one->writing) watch(one, EPOLLIN | EPOLLOUT);
        one->writing = 1;
        return;
      }
      fail(one, &failed.closed);
      return;
    }
    one->out += wrote;
    one->out_left -= (size_t)wrote;
  }
  if (one->writing) watch(one, EPOLLIN);
  one->writing = 0;
}

static void send_request(struct connection *one) {
  const struct entry *entry = one->entry;
  one->phase = entry->reply_length > 0 ? RAW : HEAD;
  one->got = 0;
  one->out = entry->bytes;
  one->out_left = entry->length;
  if (entry->mark_count > 0) {
    if (one->own == NULL) one->own = malloc(HEAD_LIMIT);
    memcpy(one->own, entry->bytes, entry->length);
    char number[MARK_LENGTH + 1];
    snprintf(number, sizeof number, "%012llu", (unsigned long long)mark_number++);
    for (int index = 0; index < entry->mark_count; index++) memcpy(one->own + entry->marks[index], number, MARK_LENGTH);
    one->out = one->own;
  }
  push(one);
}

static void begin_exchange(struct connection *one, uint64_t since) {
  if (options.upgrade && !one->upgraded) one->entry = &entries[0];
  else {
    uint32_t first = options.upgrade ? 1 : 0;
    one->entry = &entries[first + next_entry++ % (entry_count - first)];
  }
  one->since = since;
  running++;
  if (one->phase == CLOSED) open_connection(one); /* the request follows when it is open */
  else send_request(one);
}

static void connected(struct connection *one) {
  int code = 0;
  socklen_t size = sizeof code;
  getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &code, &size);
  if (code != 0) {
    fail(one, &failed.connect);
    return;
  }
  opening--;
  one->phase = FREE;
  watch(one, EPOLLIN);
  if (one->entry != NULL) send_request(one);
  else if (stage == OPEN_ALL && !one->opened_before) {
    if (options.warm || options.upgrade) begin_exchange(one, nanos());
    else {
      one->opened_before = 1;
      opened++;
      offer(one);
    }
  } else next_step(one);
}

static void answered(struct connection *one) {
  const struct entry *entry = one->entry;
  if (one->body.wrong) fail(one, &failed.body);
  else if (entry->body >= 0 && one->body.received != (uint64_t)entry->body) fail(one, &failed.length);
  else complete(one);
}

/* Takes the head at the beginning of the bytes; gives its length, 0 when it is not whole, -1 when it has failed. */
static ssize_t take_head(struct connection *one, const char *bytes, size_t length) {
  size_t end = head_end(bytes, length);
  if (end == 0) return 0;
  const struct entry *entry = one->entry;
  int status = length > 12 ? atoi(bytes + 9) : 0;
  if (status >= 100 && status < 200 && status != 101) return (ssize_t)end;
  struct fields fields;
  read_fields(bytes, end, &fields);
  if (strncmp(bytes, "HTTP/1.", 7) != 0 || status != entry->status) {
    fail(one, &failed.status);
    return -1;
  }
  one->close = fields.close;
  one->phase = BODY;
  int check = entry->body <= 4096 || sequence++ % 16 == 0;
  if (status == 101 || entry->body == 0) body_begin(&one->body, NO_BODY, 0, 0);
  else if (fields.chunked) body_begin(&one->body, CHUNKED, 0, check);
  else if (fields.length >= 0) body_begin(&one->body, BY_LENGTH, (uint64_t)fields.length, check);
  else {
    fail(one, &failed.length);
    return -1;
  }
  return (ssize_t)end;
}

static void take(struct connection *one, const char *bytes, size_t length) {
  size_t at = 0;
  while (at < length || (one->phase == BODY && one->body.done)) {
    const struct entry *entry = one->entry;
    if (entry == NULL) {
      fail(one, &failed.extra);
      return;
    }
    if (one->phase == RAW) {
      size_t piece = length - at < entry->reply_length - one->got ? length - at : entry->reply_length - one->got;
      if (memcmp(bytes + at, entry->reply + one->got, piece) != 0) {
        fail(one, &failed.body);
        return;
      }
      at += piece;
      one->got += piece;
      if (one->got < entry->reply_length) return;
      if (at < length) fail(one, &failed.extra);
      else complete(one);
      return;
    }
    if (one->phase == HEAD) {
      ssize_t end = take_head(one, bytes + at, length - at);
      if (end < 0) return;
      if (end == 0) {
        if (length - at > HEAD_LIMIT) {
          fail(one, &failed.length);
          return;
        }
        if (one->head == NULL) one->head = malloc(HEAD_LIMIT);
        one->held = length - at;
        memmove(one->head, bytes + at, one->held);
        return;
      }
      at += (size_t)end;
    }
    if (one->phase == BODY) {
      if (!one->body.done) at += body_push(&one->body, bytes + at, length - at);
      if (!one->body.done && !one->body.wrong) continue;
      if (at < length) fail(one, &failed.extra);
      else answered(one);
      return;
    }
  }
}

static void readable(struct connection *one) {
  size_t held = one->held;
  if (held > 0) memcpy(input, one->head, held);
  ssize_t got = recv(one->fd, input + held, sizeof input - held, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    /* An idle connection may be closed by the other side; in an exchange that is a failure. */
    if (one->entry != NULL) fail(one, &failed.closed);
    else {
      close_connection(one);
      next_step(one);
    }
    return;
  }
  bytes_in += (uint64_t)got;
  one->held = 0;
  take(one, input, held + (size_t)got);
}

static void handle(struct epoll_event *event) {
  struct connection *one = event->data.ptr;
  if (one->fd < 0) return;
  if (one->phase == CONNECTING) {
    connected(one);
    return;
  }
  if ((event->events & EPOLLOUT) && one->out_left > 0) push(one);
  /* It may have failed just now, and be another connection. */
  if (one->fd >= 0 && one->phase != CONNECTING && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(one);
}

#endif
