/* SPDX-License-Identifier: MIT */
#include "observe/metrics.h"
#include "base/assert.h"

static const struct metric_info infos[METRIC_COUNT] = {
#define METRIC(id, name, kind, unit, help) {name, unit, help, METRIC_##kind},
#include "observe/metrics.def"
#undef METRIC
};

const struct metric_info *metric_info(unsigned i)
{
    WEIR_ASSERT(i < METRIC_COUNT);
    return &infos[i];
}
