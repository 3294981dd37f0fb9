/* SPDX-License-Identifier: MIT */
#include "runtime/suggest.h"
#include <stdio.h>
#include <string.h>

enum { DISTANCE_MAX = 3, BEST_MAX = sizeof((struct suggest *)0)->best - 1 };

static size_t length(const char *s, size_t most)
{
    size_t len = 0;

    while (len < most && s[len] != '\0') len++;
    return len;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The optimal string alignment distance: insert, delete, replace, swap two neighbours. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][BEST_MAX + DISTANCE_MAX + 2];
    unsigned *last = rows[0], *row = rows[1], *before_last = rows[2], *spare;

    for (size_t j = 0; j <= b_len; j++) row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        spare = before_last, before_last = last, last = row, row = spare;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(row[j], least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], before_last[j - 2] + 1);
            }
        }
    }
    return row[b_len];
}

void suggest_add(struct suggest *s, const char *name)
{
    size_t wanted_len = length(s->wanted, BEST_MAX + DISTANCE_MAX + 1);
    size_t name_len = length(name, BEST_MAX + 1);
    unsigned limit = least((unsigned)wanted_len / 3, DISTANCE_MAX), found;

    if (limit == 0) limit = 1;
    if (name_len > BEST_MAX || name_len > wanted_len + limit || wanted_len > name_len + limit) {
        return;
    }
    found = distance(s->wanted, wanted_len, name, name_len);
    if (found > limit || (s->best[0] != '\0' && found >= s->distance)) return;
    memcpy(s->best, name, name_len + 1);
    s->distance = found;
}

const char *suggest_text(const struct suggest *s, char *out, size_t cap)
{
    if (cap == 0) return out;
    out[0] = '\0';
    if (s->best[0] != '\0') snprintf(out, cap, " (did you mean '%s'?)", s->best);
    return out;
}
