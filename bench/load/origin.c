/*
 * The application behind the proxies: `origin STABLE_PORT CANARY_PORT`. One thread, made to cost as little as it can, so
 * that the proxies are what is measured.
 *
 * Answers 1 KiB, or what the path asks for: /bytes/N, /chunked/N (in chunks of 4 KiB). Reads request bodies to their end
 * and compares every byte with the pattern; whatever is not as it should be is answered by 400, so that the generator
 * counts it. Upgrades to WebSocket and echoes frames.
 */
#define _GNU_SOURCE
#include "http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_LIMIT 131072
#define CHUNK 4096

struct answer {
  char *bytes;
  size_t length;
  size_t size; /* of the body */
  int chunked, canary, status, close;
  struct answer *next;
};

struct connection {
  int open, canary, tunnel, in_body, status, close;
  char *in; /* the beginning of a head or frame that is not all there */
  size_t held;
  struct body body;
  size_t want;
  int chunked;
  const char *out;
  size_t out_left;
  char *own; /* an echo that the socket did not take at once */
};

static struct connection *connections;
static size_t limit;
static struct answer *answers;
static int poller;
static char date[64];
static char input[1 << 18];

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* Answers are made once and kept. */
static const struct answer *answer_of(int canary, int status, size_t size, int chunked, int close) {
  for (struct answer *one = answers; one != NULL; one = one->next) {
    if (one->canary == canary && one->status == status && one->size == size && one->chunked == chunked &&
        one->close == close)
      return one;
  }
  struct answer *made = calloc(1, sizeof *made);
  *made = (struct answer){NULL, 0, size, chunked, canary, status, close, answers};
  made->bytes = malloc(1024 + size + (size / CHUNK + 2) * 16);
  char framing[64];
  if (chunked) strcpy(framing, "Transfer-Encoding: chunked");
  else snprintf(framing, sizeof framing, "Content-Length: %zu", size);
  size_t at = (size_t)sprintf(made->bytes,
                              "HTTP/1.1 %s\r\nServer: origin\r\nDate: %s\r\nContent-Type: application/json\r\n%s\r\n"
                              "Connection: %s\r\nX-Origin: %s\r\nCache-Control: no-store\r\n\r\n",
                              status == 200 ? "200 OK" : "400 Bad Request", date, framing,
                              close ? "close" : "keep-alive", canary ? "canary" : "stable");
  for (size_t sent = 0; sent < size;) {
    size_t piece = chunked && size - sent > CHUNK ? CHUNK : size - sent;
    if (chunked) at += (size_t)sprintf(made->bytes + at, "%zx\r\n", piece);
    memcpy(made->bytes + at, pattern + (sent & 63), piece);
    at += piece;
    sent += piece;
    if (chunked) at += (size_t)sprintf(made->bytes + at, "\r\n");
  }
  if (chunked) at += (size_t)sprintf(made->bytes + at, "0\r\n\r\n");
  made->length = at;
  answers = made;
  return made;
}

static void watch(int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
}

static void drop(int fd) {
  struct connection *one = &connections[fd];
  free(one->in);
  free(one->own);
  *one = (struct connection){0};
  close(fd);
}

/* Writes what is due. 0 when the connection is gone. */
static int flush_out(int fd) {
  struct connection *one = &connections[fd];
  while (one->out_left > 0) {
    ssize_t wrote = send(fd, one->out, one->out_left, MSG_NOSIGNAL);
    if (wrote < 0) {
      if (errno == EAGAIN) return 1;
      drop(fd);
      return 0;
    }
    one->out += wrote;
    one->out_left -= (size_t)wrote;
  }
  return 1;
}

static int answer(int fd) {
  struct connection *one = &connections[fd];
  const struct answer *made = answer_of(one->canary, one->status, one->want, one->chunked, one->close);
  one->out = made->bytes;
  one->out_left = made->length;
  if (!flush_out(fd)) return 0;
  if (one->out_left > 0) watch(fd, EPOLLOUT);
  return 1;
}

static int keep(struct connection *one, const char *bytes, size_t length) {
  if (length > HEAD_LIMIT) return 0;
  if (one->in == NULL) one->in = malloc(HEAD_LIMIT);
  memmove(one->in, bytes, length);
  one->held = length;
  return 1;
}

/* A path that ends in a number asks for so many bytes. */
static void read_path(struct connection *one, const char *path) {
  one->want = 1024;
  one->chunked = 0;
  if (strncmp(path, "/bytes/", 7) == 0) one->want = strtoul(path + 7, NULL, 10);
  if (strncmp(path, "/chunked/", 9) == 0) {
    one->want = strtoul(path + 9, NULL, 10);
    one->chunked = 1;
  }
  if (one->want > SPAN) one->want = SPAN;
}

static int upgrade(int fd, const char *head, size_t end) {
  /* Whoever asks uses the example of RFC 6455, so that its answer can stand here. */
  static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  struct connection *one = &connections[fd];
  if (memmem(head, end, "dGhlIHNhbXBsZSBub25jZQ==", 24) == NULL) {
    one->status = 400;
    return answer(fd);
  }
  one->tunnel = 1;
  one->out = accepted;
  one->out_left = sizeof accepted - 1;
  return flush_out(fd);
}

/* Echoes whole frames; gives how much of the bytes they were, or -1 when the connection is gone. */
static ssize_t echo(int fd, const char *bytes, size_t length) {
  static char reply[sizeof input + 65536];
  struct connection *one = &connections[fd];
  size_t at = 0, out = 0;
  while (length - at >= 6) {
    const unsigned char *frame = (const unsigned char *)bytes + at;
    size_t size = frame[1] & 127, head = 2;
    if (size == 126) {
      if (length - at < 8) break;
      size = (size_t)frame[2] << 8 | frame[3];
      head = 4;
    }
    if ((frame[1] & 128) == 0 || size > 65535 || (frame[0] & 15) == 8) {
      drop(fd);
      return -1;
    }
    if (length - at < head + 4 + size || out + 4 + size > sizeof reply) break;
    const unsigned char *mask = frame + head, *data = mask + 4;
    memcpy(reply + out, frame, head);
    reply[out + 1] &= 127;
    out += head;
    for (size_t index = 0; index < size; index++) reply[out + index] = (char)(data[index] ^ mask[index & 3]);
    out += size;
    at += head + 4 + size;
  }
  if (out == 0) return (ssize_t)at;
  one->out = reply;
  one->out_left = out;
  if (!flush_out(fd)) return -1;
  if (one->out_left > 0) {
    free(one->own);
    one->own = malloc(one->out_left);
    memcpy(one->own, one->out, one->out_left);
    one->out = one->own;
    watch(fd, EPOLLOUT);
  }
  return (ssize_t)at;
}

/* Takes the beginning of a request; gives the length of its head, 0 when it is not all there, -1 when it is refused. */
static ssize_t begin(int fd, const char *bytes, size_t length) {
  struct connection *one = &connections[fd];
  size_t end = head_end(bytes, length);
  if (end == 0) return 0;
  struct fields fields;
  read_fields(bytes, end, &fields);
  const char *path = memchr(bytes, ' ', end);
  if (path == NULL) return -1;
  read_path(one, path + 1);
  one->status = 200;
  if (fields.upgrade) return upgrade(fd, bytes, end) ? (ssize_t)end : -1;
  enum framing framing = fields.chunked ? CHUNKED : fields.length > 0 ? BY_LENGTH : NO_BODY;
  one->close = fields.close;
  body_begin(&one->body, framing, fields.length > 0 ? (uint64_t)fields.length : 0, 1);
  one->in_body = 1;
  return (ssize_t)end;
}

static void take(int fd, const char *bytes, size_t length) {
  struct connection *one = &connections[fd];
  size_t at = 0;
  for (;;) {
    ssize_t used;
    if (one->tunnel) used = echo(fd, bytes + at, length - at);
    else if (one->in_body) used = (ssize_t)body_push(&one->body, bytes + at, length - at);
    else used = begin(fd, bytes + at, length - at);
    if (used < 0) {
      if (one->open) drop(fd);
      return;
    }
    at += (size_t)used;
    if (one->in_body && (one->body.done || one->body.wrong)) {
      if (one->body.wrong) {
        one->status = 400;
        one->close = 1;
      }
      one->in_body = 0;
      if (!answer(fd)) return;
      if (one->close && one->out_left == 0) {
        drop(fd);
        return;
      }
    } else if (used == 0 || at == length) break;
    if (at == length) break;
  }
  one->held = 0;
  if (at < length && !keep(one, bytes + at, length - at)) drop(fd);
}

static void readable(int fd) {
  struct connection *one = &connections[fd];
  size_t held = one->held;
  if (held > 0) memcpy(input, one->in, held);
  ssize_t got = recv(fd, input + held, sizeof input - held, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    drop(fd);
    return;
  }
  take(fd, input, held + (size_t)got);
}

static void accept_all(int listener, int canary) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    if ((size_t)fd >= limit) {
      close(fd);
      continue;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections[fd] = (struct connection){.open = 1, .canary = canary};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  }
}

static int listen_on(const char *port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) die("listen");
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  return fd;
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: origin STABLE_PORT CANARY_PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  make_pattern();
  time_t now = time(NULL);
  strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  limit = files.rlim_cur < 65536 ? files.rlim_cur : 65536;
  connections = calloc(limit, sizeof *connections);
  poller = epoll_create1(0);
  int stable = listen_on(arguments[1]), canary = listen_on(arguments[2]);
  struct epoll_event events[256];
  for (;;) {
    int ready = epoll_wait(poller, events, 256, -1);
    for (int index = 0; index < ready; index++) {
      int fd = events[index].data.fd;
      if (fd == stable || fd == canary) accept_all(fd, fd == canary);
      else if (!connections[fd].open) continue;
      else if (events[index].events & EPOLLOUT) {
        if (!flush_out(fd) || connections[fd].out_left > 0) continue;
        if (connections[fd].close) drop(fd);
        else watch(fd, EPOLLIN);
      } else readable(fd);
    }
  }
}
