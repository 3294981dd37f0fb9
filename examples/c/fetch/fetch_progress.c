/* SPDX-License-Identifier: MIT */
#include "fetch_progress.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 30, TERMINAL_US = 100 * 1000, PLAIN_US = 1000 * 1000, SAMPLE_US = 500 * 1000 };

void progress_begin(struct progress *progress)
{
    memset(progress, 0, sizeof *progress);
    progress->is_terminal = isatty(STDERR_FILENO) == 1;
}

void progress_measure(struct progress *progress, uint64_t now_us, uint64_t came)
{
    if (progress->sample_us == 0) {
        progress->sample_us = now_us;
        progress->sample_bytes = came;
    }
    uint64_t passed_us = now_us - progress->sample_us;
    if (passed_us < SAMPLE_US && (progress->bytes_per_s > 0 || passed_us < 1000)) return;
    progress->bytes_per_s = (came - progress->sample_bytes) * 1000 / (passed_us / 1000 + 1);
    if (passed_us < SAMPLE_US) return;
    progress->sample_us = now_us;
    progress->sample_bytes = came;
}

void progress_say(struct progress *progress, uint64_t now_us, uint64_t here, uint64_t of,
                  uint64_t rtt_us)
{
    char bar[BAR + 1];
    const double mib = 1 << 20;
    uint64_t pause_us = progress->is_terminal ? TERMINAL_US : PLAIN_US;
    if (progress->said_us != 0 && now_us - progress->said_us < pause_us) return;
    progress->said_us = now_us;
    /* In double: 16 TiB times 100 fits, but a percentage needs no exact number. */
    double part = of > 0 ? (double)here / (double)of : 1;
    for (int i = 0; i < BAR; i++) {
        double place = part * BAR - i;
        bar[i] = place >= 1 ? '=' : place > 0 ? '>' : ' ';
    }
    bar[BAR] = 0;
    if (progress->is_terminal) fprintf(stderr, "\r[%s] ", bar);
    fprintf(stderr, "%3d %%   %.0f of %.0f MiB   %.1f MiB/s   round trip %.2f ms",
            (int)(part * 100), (double)here / mib, (double)of / mib,
            (double)progress->bytes_per_s / mib, (double)rtt_us / 1e3);
    fputs(progress->is_terminal ? "\033[K" : "\n", stderr);
    progress->is_shown = progress->is_terminal;
}

void progress_clear(struct progress *progress)
{
    if (progress->is_shown) fputs("\r\033[K", stderr);
    progress->is_shown = false;
}
