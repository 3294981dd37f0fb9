/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_SWARM_H
#define WEIR_TESTS_BENCH_SWARM_H
/* Many nodes in one process, which is what many peers of one node need: a peer is a key, and two
 * peers have one connection. */
#include "ends.h"

enum { SWARM_DIALS = 24, SWARM_PING = 32 };

struct swarm {
    unsigned count;            /**< nodes */
    bool is_listening;         /**< they listen and tell their addresses; else they dial */
    uint64_t idle_timeout_us;
    char address[WEIR_ADDRESS_TEXT_MAX]; /**< whom to dial */
};
/** What a swarm that dials tells when it is asked to ping. */
struct swarm_result {
    uint64_t connected, lost;  /**< connections that are up; that ended unasked */
    uint64_t pings, answers;
};

/** Runs as work of bench_fork; context: struct swarm.
 *  It listens: tells count texts of WEIR_ADDRESS_TEXT_MAX and serves until it is killed.
 *  It dials: tells a uint64_t, how many are up, when all dials are answered. Then for each double
 *  that it hears, each node pings once in so many seconds; it tells struct swarm_result, and as
 *  many doubles as there were answers: seconds from the call to the answer. */
void swarm_run(int fd, void *context);
#endif
