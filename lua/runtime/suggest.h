/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_SUGGEST_H
#define WEIR_LUA_SUGGEST_H
#include <stdbool.h>
#include <stddef.h>

/** Finds the name that somebody probably meant: the least Damerau-Levenshtein distance (optimal
 *  string alignment), at most a third of the name's length (at least 1, at most 3), the first of
 *  equals. Zero it, set wanted, add the names that exist. */
struct suggest {
    const char *wanted;
    char best[64];             /**< "": nothing is near */
    unsigned distance;
};
void suggest_add(struct suggest *s, const char *name);
/** " (did you mean 'best'?)" or "". @return out */
const char *suggest_text(const struct suggest *s, char *out, size_t cap);
#endif
