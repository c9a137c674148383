/*
 * What the load generator and the origin both need of HTTP/1.1: the pattern that all bodies consist of, heads, and
 * bodies by length or in chunks. It reads what proxies forward between these two programs, so it is strict enough to
 * notice a wrong byte, and no general parser.
 */
#ifndef SERIN_BENCH_HTTP_H
#define SERIN_BENCH_HTTP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SPAN (1u << 20)

/* Bodies are this pattern from its beginning: a byte that is lost, doubled or another user's shows. */
static char pattern[SPAN + 64];

static void make_pattern(void) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (size_t at = 0; at < sizeof pattern; at++) pattern[at] = letters[at & 63];
}

/* Whether these bytes are the pattern from `offset` on. */
static int is_pattern(const char *bytes, size_t length, uint64_t offset) {
  while (length > 0) {
    size_t piece = length < SPAN ? length : SPAN;
    if (memcmp(bytes, pattern + (offset & 63), piece) != 0) return 0;
    bytes += piece;
    length -= piece;
    offset += piece;
  }
  return 1;
}

enum framing { NO_BODY, BY_LENGTH, CHUNKED };
enum chunk_state { SIZE, EXTENSION, DATA, DATA_END, TRAILER_START, TRAILER };

struct body {
  enum framing framing;
  enum chunk_state state;
  uint64_t left;     /* of the body, or of the chunk */
  uint64_t received; /* payload bytes so far */
  int digits;
  int check; /* whether the bytes are compared with the pattern */
  int wrong; /* the framing cannot be read, or the bytes are not the pattern */
  int done;
};

static void body_begin(struct body *body, enum framing framing, uint64_t length, int check) {
  *body = (struct body){.framing = framing, .left = framing == BY_LENGTH ? length : 0, .check = check};
  body->done = framing == NO_BODY || (framing == BY_LENGTH && length == 0);
}

static size_t body_data(struct body *body, const char *bytes, size_t length) {
  size_t take = length < body->left ? length : body->left;
  if (body->check && !is_pattern(bytes, take, body->received)) body->wrong = 1;
  body->received += take;
  body->left -= take;
  return take;
}

/* Reads on; gives how many bytes belonged to the body. */
static size_t body_push(struct body *body, const char *bytes, size_t length) {
  if (body->framing == BY_LENGTH) {
    size_t take = body_data(body, bytes, length);
    body->done = body->left == 0;
    return take;
  }
  size_t at = 0;
  while (at < length && !body->done && !body->wrong) {
    if (body->state == DATA) {
      at += body_data(body, bytes + at, length - at);
      if (body->left == 0) body->state = DATA_END;
      continue;
    }
    char byte = bytes[at++];
    switch (body->state) {
    case SIZE: {
      int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                  : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                  : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                               : -1;
      if (digit >= 0) {
        body->left = body->left * 16 + (uint64_t)digit;
        if (++body->digits > 15) body->wrong = 1;
        break;
      }
      if (body->digits == 0 || (byte != '\r' && byte != ';')) {
        body->wrong = 1;
        break;
      }
      body->state = EXTENSION;
      break;
    }
    case EXTENSION:
      if (byte != '\n') break;
      body->digits = 0;
      body->state = body->left == 0 ? TRAILER_START : DATA;
      break;
    case DATA_END:
      if (byte == '\n') body->state = SIZE;
      else if (byte != '\r') body->wrong = 1;
      break;
    case TRAILER_START:
      if (byte == '\n') body->done = 1;
      else if (byte != '\r') body->state = TRAILER;
      break;
    case TRAILER:
      if (byte == '\n') body->state = TRAILER_START;
      break;
    case DATA:
      break;
    }
  }
  return at;
}

/* The end of the head: the offset after its empty line, or 0 when it is not all there. */
static size_t head_end(const char *bytes, size_t length) {
  const char *end = memmem(bytes, length, "\r\n\r\n", 4);
  return end == NULL ? 0 : (size_t)(end - bytes) + 4;
}

/* What is read of a head's fields. */
struct fields {
  int64_t length; /* -1: none */
  int chunked;
  int close;
  int upgrade;
};

static void read_fields(const char *head, size_t end, struct fields *fields) {
  *fields = (struct fields){.length = -1};
  const char *line = memchr(head, '\n', end);
  for (; line != NULL && line + 3 < head + end; line = memchr(line, '\n', (size_t)(head + end - line))) {
    line++;
    if (strncasecmp(line, "content-length:", 15) == 0) fields->length = strtoll(line + 15, NULL, 10);
    else if (strncasecmp(line, "transfer-encoding:", 18) == 0) fields->chunked = 1;
    else if (strncasecmp(line, "connection: close", 17) == 0) fields->close = 1;
    else if (strncasecmp(line, "upgrade:", 8) == 0) fields->upgrade = 1;
  }
}

#endif
