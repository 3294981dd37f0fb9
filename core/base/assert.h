/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_ASSERT_H
#define WEIR_BASE_ASSERT_H
#include <stdio.h>
#include <stdlib.h>
/** Our own broken invariant, never input from the wire or the API (docs/style.md).
 *
 *  On in every build: a broken invariant in a network core is a vulnerability, and the branch costs
 *  less than a miss. */
#define WEIR_ASSERT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "weir: broken invariant %s at %s:%d; please report this\n",            \
                    #condition, __FILE__, __LINE__);                                               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#endif
