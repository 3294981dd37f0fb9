/* SPDX-License-Identifier: MIT */
#include "transport/reason.h"
#include <stddef.h>

struct reason_row {
    uint32_t code;
    const char *name, *sentence;
};
static const struct reason_row rows[] = {
#define REASON(code, name, sentence) {code, name, sentence},
#include "transport/reasons.def"
#undef REASON
};

static const struct reason_row *find(uint32_t reason)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == reason) return &rows[i];
    }
    return NULL;
}

const char *reason_name(uint32_t reason)
{
    const struct reason_row *row = find(reason);
    if (row != NULL) return row->name;
    return reason < 0x10000000u ? "application" : "unknown";
}

const char *reason_sentence(uint32_t reason)
{
    const struct reason_row *row = find(reason);
    if (row != NULL) return row->sentence;
    return reason < 0x10000000u ? "the application gave this reason"
                                : "a reason that this version does not know";
}
