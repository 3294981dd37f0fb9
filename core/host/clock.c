/* SPDX-License-Identifier: MIT */
#include "host/clock.h"
#include "base/assert.h"
#include <time.h>

uint64_t clock_now_us(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);

    WEIR_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t clock_after(uint64_t when_us, uint64_t span_us)
{
    return span_us > UINT64_MAX - when_us ? UINT64_MAX : when_us + span_us;
}
