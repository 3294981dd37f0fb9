/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_BENCH_H
#define WEIR_TESTS_BENCH_BENCH_H
/* What all benchmarks share: medians of rounds, one line per figure for people or for programs
 * (--json). A figure is a ratio against something measured in the same run: absolute numbers drift
 * with the machine. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BENCH_ROUNDS_MAX = 64 };
struct bench_series {
    double value[BENCH_ROUNDS_MAX];
    unsigned count;
};

static inline double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void bench_add(struct bench_series *s, double v)
{
    if (s->count < BENCH_ROUNDS_MAX) s->value[s->count++] = v;
}

/* Sorts the series. */
static inline double bench_median(struct bench_series *s)
{
    if (s->count == 0) return 0;
    qsort(s->value, s->count, sizeof s->value[0], bench_compare);
    return s->value[s->count / 2];
}

/* One figure. against: what it is divided by (0: nothing); must and aim 0: none. */
static inline void bench_report(bool json, const char *figure, struct bench_series *s,
                                const char *unit, const char *against_name, double against,
                                double must, double aim,
                                const char *better) { double median = bench_median(s),
                                ratio = against > 0 ? median / against : 0;
    double low = s->count > 0 ? s->value[0] : 0, high = s->count > 0 ? s->value[s->count - 1] : 0;
    if (json) {
        printf("{\"figure\":\"%s\",\"value\":%.4f,\"unit\":\"%s\",\"against\":\"%s\","
               "\"ratio\":%.4f,"
               "\"must\":%.3f,\"aim\":%.3f,\"better\":\"%s\",\"n\":%u,\"min\":%.4f,\"max\":%.4f}\n",
               figure, median, unit, against_name, ratio, must, aim, better, s->count, low, high);
        return;
    }
    printf("%-34s %9.3f %-8s (min %.3f, max %.3f, n %u)", figure, median, unit, low, high,
           s->count);
    if (against > 0) printf("  = %.2f of %s (must %.2f, aim %.2f)", ratio, against_name, must, aim);
    printf("\n");
}
#endif
