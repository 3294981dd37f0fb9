/* SPDX-License-Identifier: MIT */
/* Goal: two peers connect whatever is lost. Method: a fresh world for each handshake; random loss,
 * then patterns of the first datagrams, bit by bit. */
#include "sim/survive.h"
#include <stdlib.h>

#define LIMIT_US (120 * SIM_SECOND)

static const weir_node_options patient = {.size = sizeof patient, .dial_timeout_us = LIMIT_US};

static void handshakes(void)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 500000, .loss_burst_max = 8};
    uint32_t i, count = survive_pick(300, 10000), failed = 0, without_room = 0;
    uint64_t *took_us = calloc(count, sizeof *took_us);
    struct survive_times times;
    struct survive_pair pair;

    assert_non_null(took_us);
    for (i = 0; i < count; i++) {
        survive_open(&pair, 10000 + i, &patient);
        sim_link(&pair.sim, &link);
        if (!survive_connect(&pair, LIMIT_US)) {
            print_error("seed %u: no connection after %llu ms\n", 10000 + i,
                        (unsigned long long)(pair.took_us / 1000));
            failed++;
        }
        took_us[i] = pair.took_us;
        without_room += pair.took_us > 30 * SIM_SECOND;
        survive_close(&pair);
    }
    times = survive_times(took_us, count);
    free(took_us);
    survive_tried("%u handshakes, 50 %% loss, at most 8 in a row", count);
    survive_worst("%u failed; p50 %.1f s, p99 %.1f s, longest %.1f s, %u over 30 s", failed,
                  (double)times.p50_us / 1e6, (double)times.p99_us / 1e6,
                  (double)times.longest_us / 1e6, without_room);
    if (failed > 0) fail_msg("%u of %u handshakes failed", failed, count);
    assert_in_range(times.p99_us, SIM_SECOND, 30 * SIM_SECOND);
}

/* What a pattern of 16 bits is held against. */
enum split { DIALLER_16, LISTENER_16, BOTH_8, SPLITS };
static const char *const split_names[SPLITS] = {"dialler's 16", "listener's 16", "8 of each"};

/* @return how long it took to connect; 0: that failed, or the message after it, and was told */
static uint64_t connect_through(enum split split, uint32_t pattern)
{
    weir_link_options there = {.size = sizeof there, .one_way = 1}, back = there;
    struct survive_pair pair;
    bool is_up, is_told;

    there.drop_pattern = split == DIALLER_16 ? pattern : split == BOTH_8 ? pattern & 0xff : 0;
    back.drop_pattern = split == LISTENER_16 ? pattern : split == BOTH_8 ? pattern >> 8 : 0;
    survive_open(&pair, 70000 + pattern, &patient);
    survive_link(&pair, 1, 2, &there, NULL);
    survive_link(&pair, 2, 1, &back, NULL);
    is_up = survive_connect(&pair, LIMIT_US);
    is_told = is_up && survive_exchange(&pair, LIMIT_US);
    if (!is_told) {
        print_error("%s, pattern %#x: no %s\n", split_names[split], pattern,
                    is_up ? "message" : "connection");
    }
    survive_close(&pair);
    return is_told ? pair.took_us : 0;
}

static uint32_t count_bits(uint32_t pattern)
{
    uint32_t count = 0;

    for (; pattern != 0; pattern &= pattern - 1) count++;
    return count;
}

/* The short form takes those with one or two bits, runs from the first datagram on, and a share of
 * the others. */
static bool is_chosen(uint32_t pattern)
{
    if (survive_is_long() || count_bits(pattern) <= 2) return true;
    return (pattern & (pattern + 1)) == 0 || pattern % 37 == 0;
}

static void drop_patterns(void)
{
    uint32_t pattern, worst = 0, tried = 0, failed = 0;
    enum split split, worst_split = DIALLER_16;
    uint64_t longest_us = 0;

    for (split = DIALLER_16; split < SPLITS; split++) {
        for (pattern = 0; pattern < 1u << 16; pattern++) {
            uint64_t took_us;

            if (!is_chosen(pattern)) continue;
            took_us = connect_through(split, pattern);
            tried++;
            failed += took_us == 0;
            if (took_us <= longest_us) continue;
            longest_us = took_us;
            worst = pattern;
            worst_split = split;
        }
    }
    survive_tried("%u patterns of lost first datagrams (16 of the dialler's, 16 of the listener's, "
                  "8 of each), then a message each way",
                  tried);
    survive_worst("%u failed; %.1f s to connect (%s, %#x)", failed, (double)longest_us / 1e6,
                  split_names[worst_split], worst);
    if (failed > 0) fail_msg("%u of %u patterns", failed, tried);
}

int main(int argc, char **argv)
{
    static const struct survive_case cases[] = {
        {"handshakes", handshakes},
        {"drop_patterns", drop_patterns},
    };

    return survive_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
