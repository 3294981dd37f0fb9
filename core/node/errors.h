/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_ERRORS_H
#define WEIR_NODE_ERRORS_H
#include "base/budget.h"
#include "identity/peer_id.h"
#include "weir.h"
#include <stdint.h>

struct node;

/** Note why a call failed, with its facts, for weir_last_error.
 *
 *  @param limit  the limit that was reached, or NULL
 *  @param peer   to whom it happened, or NULL
 *  @return       code */
int errors_fail(struct node *node, int code, const struct limit_record *limit,
                const struct peer_id *peer, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/** A call failed; if nobody noted its facts, the number alone is kept. */
void errors_note(struct node *node, int code);
/** Forget the facts. */
void errors_free(struct node *node);
/** A call begins: nothing is noted yet. */
void errors_begin(struct node *node);
/** The name of an error in words, for sentences. */
const char *errors_words(int code);
/** Bytes that a terminal must not get become "?": text of peers and of users ends in sentences. */
void errors_clean(char *text);
#endif
