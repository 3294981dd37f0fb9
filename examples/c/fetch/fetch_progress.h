/* SPDX-License-Identifier: MIT */
#ifndef FETCH_PROGRESS_H
#define FETCH_PROGRESS_H
/* What a get says while it runs: on a terminal one line that is rewritten, elsewhere a line a
 * second. It goes to standard error, so that results can be read from standard output. */
#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool is_terminal;
    bool is_shown;       /* there is a line to be rewritten */
    uint64_t said_us;    /* when the last line was said; 0: never */
    uint64_t sample_us;  /* the speed is that since a sample about a second ago */
    uint64_t sample_bytes;
    uint64_t bytes_per_s;
};

void progress_begin(struct progress *progress);
/* Measure the speed. came: bytes that came in this run. */
void progress_measure(struct progress *progress, uint64_t now_us, uint64_t came);
/* Say a line if it is time for one: `here` bytes of `of` are here. */
void progress_say(struct progress *progress, uint64_t now_us, uint64_t here, uint64_t of,
                  uint64_t rtt_us);
/* Clear the line, so that something else can be said. */
void progress_clear(struct progress *progress);

#endif
