/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_SIM_SURVIVE_H
#define WEIR_TEST_SIM_SURVIVE_H
/* The survival list: what weir must live through, each entry a named case with a short form, which
 * ctest runs, and a full one, which `sh tests/long.sh` runs (WEIR_LONG=1). A case says what it
 * tried and its worst figure in one line, and names the seed of what failed. */
#include "sim/rig.h"

/** One entry of the list. */
struct survive_case {
    const char *name;          /**< as tests/long.sh takes it */
    void (*run)(void);         /**< fails by cmocka's means; says survive_tried, survive_worst */
};

/** The main of a program of cases. Without arguments all of them are run, else those that are
 *  named; `--list` prints the names. A case that is expected to pass later (survive.c) is skipped
 *  unless it is named.
 *  @return the exit status */
int survive_main(int argc, char **argv, const struct survive_case *cases, size_t count);

/** Whether the full form was asked for. */
bool survive_is_long(void);
/** The count for this form. */
uint32_t survive_pick(uint32_t in_short, uint32_t in_long);
/** What was tried, and then the worst of it, as text: together the case's one line. Said before the
 *  figures are judged. */
void survive_tried(const char *format, ...) __attribute__((format(printf, 1, 2)));
void survive_worst(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The 50th and 99th percentile and the longest. @param times_us  is sorted */
struct survive_times {
    uint64_t p50_us, p99_us, longest_us;
};
struct survive_times survive_times(uint64_t *times_us, uint32_t count);

/** Two nodes of which the first dials the second over links that are set before. */
struct survive_pair {
    struct sim sim;
    uint64_t ends[2];          /**< the connection's handles at node 1 and node 2 */
    uint64_t took_us;          /**< from the dial until both ends were up */
};
/** Make the world and the nodes. @param options  NULL: defaults, but nobody asks how it is seen */
void survive_open(struct survive_pair *pair, uint64_t seed, const weir_node_options *options);
/** Set the links. @param extra  NULL: none */
void survive_link(struct survive_pair *pair, uint32_t from, uint32_t to,
                  const weir_link_options *link, const struct rule_extra *extra);
/** Dial, and wait until both ends are up. @return false when that failed or limit_us was over */
bool survive_connect(struct survive_pair *pair, uint64_t limit_us);
/** Move checked bytes from a node to the other one. @return the time taken; 0: it broke or
 *  limit_us was over */
uint64_t survive_move(struct survive_pair *pair, uint32_t from, uint64_t bytes, uint64_t limit_us);
/** One message there and its answer, each checked. */
bool survive_exchange(struct survive_pair *pair, uint64_t limit_us);
void survive_close(struct survive_pair *pair);

#define SURVIVE_MIB (UINT64_C(1) << 20)
#define SURVIVE_RTT_US (2 * RIG_DELAY_US) /**< where no delay was set */
#endif
