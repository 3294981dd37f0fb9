/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_UNREAD_H
#define WEIR_LUA_UNREAD_H
#include <stdbool.h>
#include <stdint.h>

/* Messages for which there was no handler yet: they stay in the core's queue, whose bounds and
 * overflow are the declared ones; here stand their handles, by peer, so that a peer that has its
 * share of handlers, or fills its queue, keeps no other waiting, and taking the next one looks at
 * no more peers than have their share. What the core dropped meanwhile is stale when its turn
 * comes. */

struct unread;

/** @param per_peer  messages of one peer that are remembered; for one more the oldest goes
 *  @return NULL without memory */
struct unread *unread_open(uint32_t per_peer);
/** NULL is allowed. */
void unread_close(struct unread *u);
/** @param displaced  set to the handle that went for it, or 0
 *  @return false: too many wait, or no memory */
bool unread_add(struct unread *u, uint32_t peer, uint64_t handle, uint64_t *displaced);
/** The oldest message of the first peer that may have a handler; that peer then goes to the end.
 *  @return false: there is none */
bool unread_take(struct unread *u, bool (*may)(const void *context, uint32_t peer),
                 const void *context, uint32_t *peer, uint64_t *handle);
/** What it takes; NULL is allowed. */
uint64_t unread_bytes(const struct unread *u);
#endif
