/* SPDX-License-Identifier: MIT */
#include "sim/survive.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES_MAX = 16 };

static const struct survive_case *current;
static char tried[256], worst[256];

bool survive_is_long(void)
{
    const char *value = getenv("WEIR_LONG");

    return value != NULL && strcmp(value, "1") == 0;
}

uint32_t survive_pick(uint32_t in_short, uint32_t in_long)
{
    return survive_is_long() ? in_long : in_short;
}

void survive_tried(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(tried, sizeof tried, format, list);
    va_end(list);
}

void survive_worst(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(worst, sizeof worst, format, list);
    va_end(list);
    print_message("survive %s: %s; worst: %s\n", current->name, tried, worst);
}

static void run_case(void **state)
{
    current = *state;
    current->run();
}

static const struct survive_case *find_case(const struct survive_case *cases, size_t count,
                                            const char *name)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (strcmp(cases[i].name, name) == 0) return &cases[i];
    }
    return NULL;
}

static void list_cases(const struct survive_case *cases, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) printf("%s\n", cases[i].name);
}

int survive_main(int argc, char **argv, const struct survive_case *cases, size_t count)
{
    struct CMUnitTest tests[CASES_MAX];
    size_t i, used = 0;
    bool is_named = argc > 1;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_cases(cases, count);
        return 0;
    }
    memset(tests, 0, sizeof tests);
    for (i = 0; i < (is_named ? (size_t)argc - 1 : count) && used < CASES_MAX; i++) {
        const struct survive_case *c = is_named ? find_case(cases, count, argv[i + 1]) : &cases[i];

        if (c == NULL) {
            fprintf(stderr, "there is no case '%s' here\n", argv[i + 1]);
            return 2;
        }
        tests[used].name = c->name;
        tests[used].test_func = run_case;
        tests[used++].initial_state = (void *)(uintptr_t)c;
    }
    return _cmocka_run_group_tests("survive", tests, used, NULL, NULL);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

struct survive_times survive_times(uint64_t *times_us, uint32_t count)
{
    qsort(times_us, count, sizeof *times_us, compare);
    return (struct survive_times){.p50_us = times_us[count / 2],
                                  .p99_us = times_us[(uint64_t)count * 99 / 100],
                                  .longest_us = times_us[count - 1]};
}

void survive_open(struct survive_pair *pair, uint64_t seed, const weir_node_options *options)
{
    weir_node_options o = {.size = sizeof o};

    if (options != NULL) o = *options;
    o.observed_off = 1;
    pair->ends[0] = pair->ends[1] = pair->took_us = 0;
    sim_open(&pair->sim, seed, WEIR_FIDELITY_PACKET, 2, &o);
}

void survive_link(struct survive_pair *pair, uint32_t from, uint32_t to,
                  const weir_link_options *link, const struct rule_extra *extra)
{
    assert_int_equal(world_link_extra(rig_world(&pair->sim), from, to, link, extra), 0);
}

bool survive_connect(struct survive_pair *pair, uint64_t limit_us)
{
    uint64_t start_us = sim_now(&pair->sim);
    bool is_up = sim_connect(&pair->sim, 1, 2, pair->ends, start_us + limit_us);

    pair->took_us = sim_now(&pair->sim) - start_us;
    return is_up;
}

uint64_t survive_move(struct survive_pair *pair, uint32_t from, uint64_t bytes, uint64_t limit_us)
{
    return sim_move(&pair->sim, from, 3 - from, pair->ends[from - 1], bytes,
                    sim_now(&pair->sim) + limit_us);
}

bool survive_exchange(struct survive_pair *pair, uint64_t limit_us)
{
    return survive_move(pair, 1, 100, limit_us) > 0 && survive_move(pair, 2, 100, limit_us) > 0;
}

void survive_close(struct survive_pair *pair)
{
    sim_close(&pair->sim);
}
