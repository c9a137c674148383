/* Times in nanoseconds, all of them kept, and their exact quantiles in microseconds. */
#ifndef SERIN_BENCH_SAMPLES_H
#define SERIN_BENCH_SAMPLES_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define SAMPLES (1u << 23)

struct samples {
  uint32_t *times;
  uint32_t count;
};

static void samples_add(struct samples *samples, uint64_t took) {
  if (samples->times == NULL) samples->times = malloc(SAMPLES * sizeof *samples->times);
  if (samples->count < SAMPLES) samples->times[samples->count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static int ascending(const void *a, const void *b) {
  uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
  return first < second ? -1 : first > second;
}

static void samples_sort(struct samples *samples) {
  if (samples->count > 0) qsort(samples->times, samples->count, sizeof *samples->times, ascending);
}

/* Of sorted samples; 0 of none. */
static double quantile(const struct samples *samples, double share) {
  if (samples->count == 0) return 0;
  uint32_t at = (uint32_t)ceil(share * samples->count);
  return samples->times[at == 0 ? 0 : at - 1] / 1000.0;
}

#endif
