/* SPDX-License-Identifier: MIT */
#ifndef WEIR_OBSERVE_METRICS_H
#define WEIR_OBSERVE_METRICS_H
#include <stdint.h>
/** Counters as Prometheus wants them: since start, monotonic; rates are the reader's work. In a
 *  live node they belong to the node, in a world to the world. */
enum metric_kind { METRIC_COUNTER = 1, METRIC_GAUGE };
enum metric {
#define METRIC(id, name, kind, unit, help) METRIC_##id,
#include "observe/metrics.def"
#undef METRIC
    METRIC_COUNT
};
struct metrics {
    uint64_t value[METRIC_COUNT];
};
struct metric_info {
    const char *name, *unit, *help;
    enum metric_kind kind;
};
/** The row of a metric; i below METRIC_COUNT (asserted). */
const struct metric_info *metric_info(unsigned i);
static inline void metric_add(struct metrics *m, enum metric id, uint64_t n) { m->value[id] += n; }
static inline void metric_inc(struct metrics *m, enum metric id) { m->value[id]++; }
/** Gauges only. */
static inline void metric_dec(struct metrics *m, enum metric id) { m->value[id]--; }
#endif
