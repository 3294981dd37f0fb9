/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_LOCAL_STATE_H
#define WEIR_NODE_LOCAL_STATE_H
#include "node/state.h"

/* What local streams hold. Private to local.c and local_driver.c. */

struct local {
    struct transport base;
    struct transport_conn conn; /**< up, to nobody */
    struct list all;           /**< records, by link */
    uint32_t open, children, starved;
};
/** stream.node_data. */
struct local_stream {
    struct list link;
    struct stream *stream;
    uint8_t kind;              /**< enum node_local_kind */
    bool is_over;              /**< the driver said NODE_LOCAL_CLOSED */
    bool is_given_up;          /**< the driver was told to close it */
    bool is_starved;           /**< what it reads finds no room in the budget */
    int error;                 /**< of the end */
    uint32_t exit_code;        /**< of a child: or 256 + the signal */
    uint64_t room_bytes;       /**< that a starved one waits for */
    uint64_t size;             /**< of the file when it was opened */
};

static inline struct local_stream *local_record(const struct stream *s) { return s->node_data; }
static inline uint64_t local_window(const struct node *node)
{
    return node->env.limits->value[LIMIT_STREAM_WINDOW_FIRST];
}
/** One more is open, or one less. */
void local_count(struct node *node, uint32_t kind, bool opens);
/** Tell the driver, once, to close it. */
void local_give_up(struct node *node, struct stream *s, bool kill);
#endif
