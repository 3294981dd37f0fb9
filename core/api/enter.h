/* SPDX-License-Identifier: MIT */
#ifndef WEIR_API_ENTER_H
#define WEIR_API_ENTER_H
#include "api/options.h"
#include "identity/peer_id.h"
#include "node/node.h"

/* What the exported functions share: the way from a weir_node to the one way into the engine. */

/** The highest reason code that is the application's own. */
enum { ENTER_REASON_MAX = 0x0fffffff };

/** @return 0 and *out; WEIR_E_NULL; WEIR_E_CLOSED (*out is the tombstone) */
int enter_node(const weir_node *handle, struct node **out);
/** Make a call of the ABI an input of the node, now.
 *  @return what the node answers; on failure weir_last_error has its facts */
int64_t enter_call(struct node *node, const struct node_call *call);
/** Record a failure that api found, for weir_last_error.
 *  @param sentence  what is wrong and what to do; NULL: the fixed sentence of the code
 *  @return          code */
int enter_fail(struct node *node, int code, const char *sentence);
/** A reason that an application gives. @return 0, or WEIR_E_ARGUMENT with facts */
int enter_reason(struct node *node, uint32_t reason);
/** The same, where some of weir's own may be given too: they say what the other side should know of
 *  a failure. */
int enter_failure_reason(struct node *node, uint32_t reason);
/** A peer id of the caller, checked and canonical. @return 0; WEIR_E_NULL; WEIR_E_PEER_ID */
int enter_peer(const weir_peer_id *given, struct peer_id *id);
/** Out of the engine. */
void enter_peer_out(const struct peer_id *id, weir_peer_id *out);
/** A call whose only arguments are a handle and two numbers. */
int32_t enter_simple(weir_node *handle, uint32_t kind, uint64_t object, uint32_t flags,
                     uint64_t number);
/** A call with a text (NULL: WEIR_E_NULL) and a small number. */
int32_t enter_text(weir_node *handle, uint32_t kind, const char *text, uint32_t flags);
/** A text goes out: @return its length, or WEIR_E_SPACE ("" is written then, if cap > 0) */
int32_t enter_text_out(const char *text, size_t len, char *out, uint32_t cap);
#endif
