/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_CLOCK_H
#define WEIR_HOST_CLOCK_H
#include <stdint.h>

/** CLOCK_MONOTONIC in microseconds: it never goes back and no one can set it. */
uint64_t clock_now_us(void);
/** when + span_us, or UINT64_MAX (never) where that would pass the end. */
uint64_t clock_after(uint64_t when_us, uint64_t span_us);
#endif
