/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_DIAL_TABLE_H
#define WEIR_NODE_DIAL_TABLE_H
#include "address/multiaddr.h"
#include "address/special.h"
#include "base/heap.h"
#include "node/dial.h"

/** What dial.c, dial_call.c, dial_names.c and dial_report.c share. */
enum target_state { TARGET_WAITING, TARGET_TRYING, TARGET_FAILED, TARGET_WON };
enum { DIAL_SAID_MAX = 192 };

/** One address. */
struct dial_target {
    struct endpoint endpoint;
    struct transport_conn *conn; /**< while trying */
    uint64_t start_us, end_us; /**< of its latest attempt */
    int error;
    uint32_t reason;
    uint32_t round; /**< of the dial, in which it was tried last; 0: not yet */
    uint8_t state, provenance;
    char said[DIAL_SAID_MAX]; /**< what became of it, for people */
};

/** One name to look up. */
struct dial_name {
    char name[MULTIADDR_NAME_MAX + 1];
    uint8_t host; /**< enum multiaddr_host */
    uint8_t provenance;
    uint16_t port;
    bool is_pending;
    int error;
};

struct dial {
    struct heap_item timer;
    struct list link; /**< in active, failed or gone */
    uint64_t handle, user, deadline_us, next_start_us;
    uint64_t round_us; /**< when this round began */
    uint32_t round;    /**< from 1; another one begins when all were silent (dial.c) */
    struct peer_id expected; /**< len 0: anyone */
    struct dial_target *targets;
    struct dial_name *names;
    uint32_t target_count, target_capacity, name_count, names_pending, trying;
    uint8_t last_family; /**< of the last attempt; 0: none yet */
    bool ip6_first, is_over;
    int error; /**< the answer, once is_over */
    uint32_t reason;
};

struct dialer {
    struct heap timers;
    struct list active, failed, gone;
    uint32_t count;
    uint64_t sequence;
};

/** A new dial without addresses. @return NULL with *error */
struct dial *dial_make(struct node *node, const weir_dial_options *options, int *error);
/** Add an address or a name. @return 0, WEIR_E_ADDRESS, WEIR_E_PEER_ID, WEIR_E_LIMIT,
 * WEIR_E_BUDGET, WEIR_E_MEMORY */
int dial_add(struct node *node, struct dial *dial, const struct multiaddr *address,
             uint8_t provenance);
/** Give it its handle, look names up, begin. @return 0 or an error: then the dial is as it was */
int dial_begin(struct node *node, struct dial *dial);
/** Forget it and its attempts. */
void dial_destroy(struct node *node, struct dial *dial);

/** Start what may start, then set the timer or give up. */
void dial_step(struct node *node, struct dial *dial);
/** Add an address, once. @return 0, WEIR_E_LIMIT, WEIR_E_BUDGET, WEIR_E_MEMORY */
int dial_target_add(struct node *node, struct dial *dial, const struct endpoint *endpoint,
                    uint8_t provenance);

/* dial_names.c */
/** @return 0, WEIR_E_LIMIT, WEIR_E_BUDGET, WEIR_E_MEMORY */
int dial_name_add(struct node *node, struct dial *dial, const struct multiaddr *address,
                  uint8_t provenance);
/** Look all names up. */
void dial_names_begin(struct node *node, struct dial *dial);
void dial_names_cancel(struct node *node, struct dial *dial);

/** Write why an attempt ended. */
void dial_report_end(const struct dial *dial, struct dial_target *target,
                     const struct transport_conn *c);
/** Keep the report of a dial that succeeded with the connection. */
void dial_report_keep(struct node *node, const struct dial *dial, struct transport_conn *c);
/** The most telling error of its attempts. @param said  where and what, for people */
enum { DIAL_ANSWER_MAX = 256 };
int dial_report_answer(const struct dial *dial, uint32_t *reason, char said[DIAL_ANSWER_MAX]);
#endif
