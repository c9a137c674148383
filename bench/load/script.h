/*
 * The generator's script: what is sent, and what must come back. `bench/load/script.ts` writes it and has its format.
 */
#ifndef SERIN_BENCH_SCRIPT_H
#define SERIN_BENCH_SCRIPT_H

#include "http.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HEAD_LIMIT 131072
#define MARK "@@@@@@@@@@@@" /* becomes a number that was never sent before */
#define MARK_LENGTH 12
#define MARKS 8

struct entry {
  const char *bytes, *reply;
  uint32_t length, reply_length;
  int32_t status;
  int64_t body;
  uint32_t marks[MARKS];
  int mark_count;
};

static struct entry *entries;
static uint32_t entry_count;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void load_script(const char *file) {
  int fd = open(file, O_RDONLY);
  struct stat about;
  if (fd < 0 || fstat(fd, &about) != 0) die(file);
  const char *at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) die(file);
  memcpy(&entry_count, at, 4);
  at += 8;
  entries = calloc(entry_count, sizeof *entries);
  for (uint32_t index = 0; index < entry_count; index++) {
    struct entry *entry = &entries[index];
    memcpy(&entry->length, at, 4);
    memcpy(&entry->status, at + 4, 4);
    memcpy(&entry->body, at + 8, 8);
    memcpy(&entry->reply_length, at + 16, 4);
    entry->bytes = at + 24;
    entry->reply = entry->bytes + entry->length;
    at = entry->reply + entry->reply_length;
    if (entry->length > HEAD_LIMIT) continue;
    const char *mark = entry->bytes;
    while (entry->mark_count < MARKS &&
           (mark = memmem(mark, entry->length - (size_t)(mark - entry->bytes), MARK, MARK_LENGTH)) != NULL) {
      entry->marks[entry->mark_count++] = (uint32_t)(mark - entry->bytes);
      mark += MARK_LENGTH;
    }
  }
}

#endif
