/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>
/** A bounded ring of log lines that the application drains; the engine prints nothing.
 *
 *  At most lines_max lines are kept, the oldest is dropped and counted when it overflows. Lines are
 *  at most LOG_TEXT_MAX bytes, cut with an ellipsis; control bytes that came from a peer are
 *  escaped (log injection). */
enum log_level { LOG_ERROR = 1, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum { LOG_TEXT_MAX = 223 };
struct log_line {
    uint64_t time_us;
    uint64_t sequence;         /**< counts every line that passed the level, dropped ones
                                    included */
    uint8_t level;
    char text[LOG_TEXT_MAX + 1];
};
struct log {
    const struct mem *mem;
    struct log_line *lines;    /**< allocated at the first line */
    uint32_t lines_max, first, count;
    uint64_t sequence, dropped;
    enum log_level level;
};
void log_init(struct log *log, const struct mem *mem, uint32_t lines_max, enum log_level level);
void log_free(struct log *log);
bool log_wants(const struct log *log, enum log_level level);
void log_write(struct log *log, uint64_t time_us, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** @return false when empty */
bool log_pop(struct log *log, struct log_line *line);
#endif
