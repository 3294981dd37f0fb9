/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_SIM_SPIN_H
#define WEIR_TEST_SIM_SPIN_H
/* The model behind spin_test.c: which objects each application was told of, and what may happen to
 * them. spin_model.c keeps it, spin_test.c and spin_built.c call at random. */
#include "sim/rig.h"
#include "base/rng.h"
#include <string.h>

enum { NODES = 3, CALLS = 20000, THINGS_MAX = 4096, OLD_MAX = 64, PEERS = 6, BYTES_MAX = 20000 };

enum thing_kind { CONNECTION, STREAM, MESSAGE, REQUEST, FEED, SUBSCRIPTION, FETCH, THING_KINDS };

/* An object that the application was told of, or got as an answer. */
struct thing {
    uint64_t handle, parent;
    enum thing_kind kind;
    bool is_over, is_down;
    bool is_opened;  /* a local stream of which it was told */
    bool is_local;   /* a request of ours */
    bool is_chunked; /* its response is */
    bool has_answer; /* it waits to be read whole, and outlives its connection */
};
struct spinner {
    struct sim sim;
    struct rng rng;
    struct mem_counter heaps[NODES + 1];
    struct thing things[NODES + 1][THINGS_MAX];
    uint32_t count[NODES + 1];
    uint64_t old[OLD_MAX]; /* handles that were valid once, of any node */
    uint32_t old_count;
    weir_peer_id peers[PEERS]; /* the nodes', two strangers', one that is none */
    char addresses[8][WEIR_ADDRESS_TEXT_MAX];
    uint64_t refused, events, seen[WEIR_EVENT_FETCH_CLOSED + 1];
    bool is_short; /* now and then an allocation fails */
};

/* What every call with a handle may answer. */
#define GONE WEIR_E_STALE, WEIR_E_KIND
#define ALLOW(call, ...) spin_allow(s, #call, (int64_t)(call), (const int32_t[]){__VA_ARGS__, 0})

uint32_t below(struct spinner *s, uint32_t bound);
/** A result, or one of these errors; the test fails for others. */
int64_t spin_allow(struct spinner *s, const char *name, int64_t result, const int32_t *errors);
/** A handle of this kind, or something that is none. */
uint64_t some_handle(struct spinner *s, uint32_t node, enum thing_kind kind);
uint32_t some_reason(struct spinner *s);

struct thing *thing_find(struct spinner *s, uint64_t node, uint64_t handle);
/** A call answered with a handle, or with none. @return what it is now, or NULL */
struct thing *thing_note(struct spinner *s, uint32_t node, int64_t handle, enum thing_kind kind,
                         uint64_t parent);
/** The application gave it up: it is stale at once. */
void thing_drop(struct spinner *s, uint32_t node, uint64_t handle);
/** Let time pass; the array of events has any size. */
void spin_turn(struct spinner *s, uint64_t span_us);

/* spin_built.c: messages, requests, feeds, fetches, files. */
void built_open(struct spinner *s);
void built_call(struct spinner *s, uint32_t node);
/** Give up whatever a node has of them. */
void built_quieten(struct spinner *s, uint32_t node);
#endif
