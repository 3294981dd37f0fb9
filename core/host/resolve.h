/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_RESOLVE_H
#define WEIR_HOST_RESOLVE_H
#include "address/endpoint.h"
#include "base/mem.h"
#include "host/calls.h"
#include <stdbool.h>

/* Names to addresses, on libuv's threads, so that nothing here ever waits.
 *
 * Each name is looked up twice at once, AAAA and A, as RFC 8305 section 3 wants, because a resolver
 * that is slow or broken for one of them must not hold up the other. The engine takes one answer
 * per name. So the first family that has addresses waits for the second at most RESOLVE_WAIT_US,
 * and then goes alone. (RFC 8305 waits 50 ms because it can add late addresses; here they would be
 * lost, so the wait is the delay between two attempts of a dial, 250 ms: no attempt of the second
 * family would have begun before.) A family without addresses makes nobody wait less.
 *
 * "localhost" and the names below it are this machine and no one is asked (RFC 6761 section 6.3):
 * a name server, or a thread that is busy with a dead one, has no say in them.
 *
 * No answer is kept for later, so none outlives the network that it is of. */

enum {
    RESOLVE_NAMES_MAX = 16,      /**< in flight; one more is refused with WEIR_E_LIMIT */
    RESOLVE_ADDRESSES_MAX = 16,  /**< kept of each family */
    RESOLVE_WAIT_US = 250000,
};

struct resolve_request;
struct resolve {
    const struct mem *mem;
    const struct host_calls *calls;
    uv_loop_t *loop;
    struct resolve_request *requests[RESOLVE_NAMES_MAX];
    uint32_t count;            /**< of requests */
    bool has_news;             /**< a lookup ended; who waits for that clears it */
    uint32_t lookups;          /**< that libuv still has: their memory cannot go */
};
struct resolve_answer {
    uint64_t token;
    int error;                 /**< 0, WEIR_E_HOST_UNKNOWN, _MEMORY, _TIMEOUT: servers are silent */
    bool ip6_first;            /**< the first addresses to come were IPv6 */
    uint32_t count;
    /** IPv6 first; each family in the system's order; port 0. */
    struct endpoint addresses[2 * RESOLVE_ADDRESSES_MAX];
};
/** @param loop, mem, calls  outlive it */
void resolve_init(struct resolve *r, uv_loop_t *loop, const struct mem *mem,
                  const struct host_calls *calls);
/** Start looking a name up; it is copied. @return 0, WEIR_E_LIMIT, WEIR_E_MEMORY,
 *  WEIR_E_HOST_UNKNOWN */
int resolve_start(struct resolve *r, const char *name, uint64_t token);
/** The answer will not come. A token that is not looked up is no error. */
void resolve_cancel(struct resolve *r, uint64_t token);
/** Take one answer that is ready. @return false when there is none */
bool resolve_next(struct resolve *r, uint64_t now_us, struct resolve_answer *out);
/** When resolve_next may give something without any lookup ending; UINT64_MAX: never. */
uint64_t resolve_deadline(const struct resolve *r);
/** Cancel everything. Lookups that a thread is at go on; run the loop until r->lookups is 0 to be
 * rid of them. */
void resolve_close(struct resolve *r);
#endif
