/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "base/assert.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char ellipsis[] = "...";
enum { ELLIPSIS_LEN = sizeof ellipsis - 1, ESCAPE_LEN = 4 };

void log_init(struct log *log, const struct mem *mem, uint32_t lines_max, enum log_level level)
{
    memset(log, 0, sizeof *log);
    log->mem = mem;
    log->lines_max = lines_max;
    log->level = level;
}

void log_free(struct log *log)
{
    mem_free(log->mem, log->lines, log->lines_max * sizeof *log->lines);
    log->lines = NULL;
    log->first = log->count = 0;
}

bool log_wants(const struct log *log, enum log_level level)
{
    return level <= log->level;
}

static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

static void escape(char *out, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
}

/* End the text at len or up to three bytes before, so that no UTF-8 character and no escape is
 * cut in two. */
static void cut(char text[LOG_TEXT_MAX + 1], size_t len)
{
    unsigned back;

    for (back = 0; back < 3 && len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80; back++) len--;
    memcpy(text + len, ellipsis, sizeof ellipsis);
    len += sizeof ellipsis;
    memset(text + len, 0, LOG_TEXT_MAX + 1 - len);
}

/* Copy raw to text with control bytes escaped; is_cut says that raw lacks its end already. */
static void copy_escaped(char text[LOG_TEXT_MAX + 1], const char *raw, bool is_cut)
{
    size_t len = 0, last_cut = 0;

    memset(text, 0, LOG_TEXT_MAX + 1);
    for (; *raw != '\0'; raw++) {
        uint8_t byte = (uint8_t)*raw;
        size_t need = is_control(byte) ? ESCAPE_LEN : 1;

        if (len + need > LOG_TEXT_MAX) {
            is_cut = true;
            break;
        }
        if (need == 1) {
            text[len] = *raw;
        } else {
            escape(text + len, byte);
        }
        len += need;
        if (len <= LOG_TEXT_MAX - ELLIPSIS_LEN) last_cut = len;
    }
    if (is_cut) cut(text, last_cut);
}

/* The slot for a new line, or NULL. Whatever is lost for it is counted. */
static struct log_line *line_take(struct log *log)
{
    if (log->lines == NULL && log->lines_max > 0) {
        log->lines = mem_alloc(log->mem, log->lines_max * sizeof *log->lines);
    }
    if (log->lines == NULL) {
        log->dropped++;
        return NULL;
    }
    if (log->count == log->lines_max) {
        log->first = (log->first + 1) % log->lines_max;
        log->count--;
        log->dropped++;
    }
    log->count++;
    return &log->lines[((uint64_t)log->first + log->count - 1) % log->lines_max];
}

void log_write(struct log *log, uint64_t time_us, enum log_level level, const char *format, ...)
{
    char raw[LOG_TEXT_MAX + 1] = "";
    struct log_line *line;
    va_list arguments;
    int len;

    if (!log_wants(log, level)) return;
    log->sequence++;
    line = line_take(log);
    if (line == NULL) return;
    va_start(arguments, format);
    len = vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    line->time_us = time_us;
    line->sequence = log->sequence;
    line->level = (uint8_t)level;
    copy_escaped(line->text, raw, len > LOG_TEXT_MAX);
}

bool log_pop(struct log *log, struct log_line *line)
{
    if (log->count == 0) return false;
    WEIR_ASSERT(log->first < log->lines_max);
    *line = log->lines[log->first];
    log->first = (log->first + 1) % log->lines_max;
    log->count--;
    return true;
}
