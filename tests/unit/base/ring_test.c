/* SPDX-License-Identifier: MIT */
/* Goal: every byte of the window is found at its offset through wrapping, dropping and growing,
 * and the budget is charged for the capacity and nothing else. Method: random operations
 * compared with a flat array that holds the whole stream; refusals and failed allocations one by
 * one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/ring.h"
#include "base/rng.h"
#include "weir.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether the call ends in WEIR_ASSERT: it runs in a child, whose standard error is closed. */
static int dies(void (*call)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        close(2);
        call();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_new_ring_holds_nothing(void **state)
{
    struct ring ring;
    const uint8_t *data = (const uint8_t *)"x";
    uint8_t byte;

    (void)state;
    ring_init(&ring, 77);
    assert_int_equal(ring.capacity, 0);
    assert_int_equal(ring.base, 77);
    assert_int_equal(ring_view(&ring, 77, 0, &data), 0);
    ring_write(&ring, 77, NULL, 0);
    ring_read(&ring, 77, &byte, 0);
    assert_int_equal(ring_reserve(&ring, 77, mem_system(), NULL, NULL), 0);
    assert_int_equal(ring_reserve(&ring, 5, mem_system(), NULL, NULL), 0);
    assert_int_equal(ring.capacity, 0);
    ring_free(&ring, mem_system(), NULL);
}

static void test_capacity_is_the_next_power_of_two_and_charged(void **state)
{
    static const struct {
        uint64_t end, capacity;
    } steps[] = {{1001, 512},  {1512, 512},  {1513, 1024},
                 {1100, 1024}, {4000, 4096}, {66537, 131072}};
    struct mem_counter counter;
    struct budget budget;
    struct ring ring;
    unsigned i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    budget_init(&budget, NULL, LIMIT_SCOPE_STREAM, 1, UINT64_MAX, NULL);
    ring_init(&ring, 1000);
    for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(ring_reserve(&ring, steps[i].end, &counter.mem, &budget, NULL), 0);
        assert_int_equal(ring.capacity, steps[i].capacity);
        assert_int_equal(budget.used, steps[i].capacity);
        assert_int_equal(counter.live_bytes, steps[i].capacity);
    }
    ring_release(&ring, &counter.mem, &budget);
    assert_int_equal(ring.capacity, 0);
    assert_int_equal(ring.base, 1000);
    assert_int_equal(budget.used, 0);
    assert_int_equal(counter.live_bytes, 0);
    ring_release(&ring, &counter.mem, &budget);
    ring_free(&ring, &counter.mem, &budget);
    budget_end(&budget);
}

static void test_refused_growth_changes_nothing(void **state)
{
    struct mem_counter counter;
    struct budget budget;
    struct limit_record limit;
    struct ring ring, before;
    char text[5];

    (void)state;
    mem_counter_init(&counter, mem_system());
    budget_init(&budget, NULL, LIMIT_SCOPE_STREAM, 9, 1023, NULL);
    ring_init(&ring, 0);
    assert_int_equal(ring_reserve(&ring, 512, &counter.mem, &budget, &limit), 0);
    ring_write(&ring, 0, "hello", 5);
    before = ring;
    assert_int_equal(ring_reserve(&ring, 513, &counter.mem, &budget, &limit), WEIR_E_BUDGET);
    assert_int_equal(limit.name, 9);
    assert_int_equal(limit.used, 512);
    assert_int_equal(limit.max, 1023);
    assert_memory_equal(&ring, &before, sizeof ring);
    /* 1024 are just enough: the charge is for the growth, not for the whole again. */
    budget.max = 1024;
    counter.fail_at = 1;
    assert_int_equal(ring_reserve(&ring, 513, &counter.mem, &budget, &limit), WEIR_E_MEMORY);
    assert_memory_equal(&ring, &before, sizeof ring);
    assert_int_equal(budget.used, 512);
    assert_int_equal(ring_reserve(&ring, 513, &counter.mem, &budget, &limit), 0);
    ring_read(&ring, 0, text, 5);
    assert_memory_equal(text, "hello", 5);
    ring_free(&ring, &counter.mem, &budget);
    assert_int_equal(counter.live_bytes, 0);
    budget_end(&budget);
}

static void test_more_than_a_gibibyte_is_not_tried(void **state)
{
    struct mem_counter counter;
    struct budget budget;
    const uint64_t ends[] = {5 + (1u << 30) + 1, UINT64_MAX};
    struct ring ring;
    unsigned i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    budget_init(&budget, NULL, LIMIT_SCOPE_STREAM, 9, UINT64_MAX, NULL);
    ring_init(&ring, 5);
    for (i = 0; i < 2; i++) {
        assert_int_equal(ring_reserve(&ring, ends[i], &counter.mem, &budget, NULL), WEIR_E_MEMORY);
    }
    assert_int_equal(counter.calls, 0);
    assert_int_equal(budget.used, 0);
    budget_end(&budget);
}

static void test_view_stops_at_the_wrap(void **state)
{
    struct ring ring;
    const uint8_t *data;
    uint8_t bytes[512];

    (void)state;
    memset(bytes, 'a', 100);
    memset(bytes + 100, 'b', 412);
    ring_init(&ring, 412);
    assert_int_equal(ring_reserve(&ring, 924, mem_system(), NULL, NULL), 0);
    assert_int_equal(ring.capacity, 512);
    ring_write(&ring, 412, bytes, 512);
    assert_int_equal(ring_view(&ring, 412, 512, &data), 100);
    assert_memory_equal(data, bytes, 100);
    assert_int_equal(ring_view(&ring, 512, 412, &data), 412);
    assert_memory_equal(data, bytes + 100, 412);
    assert_int_equal(ring_view(&ring, 411 + 100, 3, &data), 1);
    assert_int_equal(ring_view(&ring, 600, 3, &data), 3);
    ring_free(&ring, mem_system(), NULL);
}

static void test_offsets_near_the_end_of_the_number_range_work(void **state)
{
    uint64_t base = UINT64_C(0x3fffffffffffffff) - 600;
    struct ring ring;
    char text[6];

    (void)state;
    ring_init(&ring, base);
    assert_int_equal(ring_reserve(&ring, base + 600, mem_system(), NULL, NULL), 0);
    ring_write(&ring, base + 594, "ending", 6);
    ring_read(&ring, base + 594, text, 6);
    assert_memory_equal(text, "ending", 6);
    ring_free(&ring, mem_system(), NULL);
}

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * 131 + offset / 251) & 0xff);
}

/* The stream is byte_at everywhere; `written` is how far it was written without a gap. */
struct model {
    struct ring ring;
    struct budget budget;
    uint64_t written;
};

static void model_write(struct model *m, struct rng *rng)
{
    uint8_t bytes[3000];
    size_t len = (size_t)rng_below(rng, sizeof bytes), i;

    if (m->written + len > m->ring.base + 20000) return;
    assert_int_equal(ring_reserve(&m->ring, m->written + len, mem_system(), &m->budget, NULL), 0);
    for (i = 0; i < len; i++) bytes[i] = byte_at(m->written + i);
    ring_write(&m->ring, m->written, bytes, len);
    m->written += len;
}

static void model_check(struct model *m, struct rng *rng)
{
    uint64_t offset = m->ring.base + rng_below(rng, m->written - m->ring.base + 1);
    size_t len = (size_t)rng_below(rng, m->written - offset + 1), got, i;
    static uint8_t bytes[20000];
    const uint8_t *view;

    ring_read(&m->ring, offset, bytes, len);
    for (i = 0; i < len; i++) assert_int_equal(bytes[i], byte_at(offset + i));
    got = ring_view(&m->ring, offset, len, &view);
    assert_int_equal(got == 0, len == 0);
    if (got > 0) assert_memory_equal(view, bytes, got);
    if (got < len) {
        size_t rest = ring_view(&m->ring, offset + got, len - got, &view);

        assert_int_equal(rest, len - got);
        assert_memory_equal(view, bytes + got, rest);
    }
}

static void test_random_operations_agree_with_a_flat_stream(void **state)
{
    enum { WORLDS = 20, STEPS = 400 };
    struct rng rng;
    unsigned world, step;

    (void)state;
    for (world = 0; world < WORLDS; world++) {
        struct model m;

        rng_init(&rng, 3, "ring_test", world);
        budget_init(&m.budget, NULL, LIMIT_SCOPE_STREAM, 1, UINT64_MAX, NULL);
        m.written = rng_below(&rng, UINT64_C(1) << 40);
        ring_init(&m.ring, m.written);
        for (step = 0; step < STEPS; step++) {
            uint64_t held = m.written - m.ring.base;

            switch (rng_below(&rng, 4)) {
            case 0: ring_drop(&m.ring, m.ring.base + rng_below(&rng, held + 1)); break;
            case 1: model_check(&m, &rng); break;
            default: model_write(&m, &rng); break;
            }
            if (rng_below(&rng, 60) == 0) {
                ring_drop(&m.ring, m.written);
                ring_release(&m.ring, mem_system(), &m.budget);
            }
            assert_int_equal(m.budget.used, m.ring.capacity);
            assert_true(m.written - m.ring.base <= m.ring.capacity);
        }
        ring_free(&m.ring, mem_system(), &m.budget);
        budget_end(&m.budget);
    }
}

static void test_growth_keeps_bytes_that_were_written_out_of_order(void **state)
{
    struct ring ring;
    uint8_t bytes[600], out[600];
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof bytes; i++) bytes[i] = byte_at(i);
    ring_init(&ring, 1000);
    assert_int_equal(ring_reserve(&ring, 1500, mem_system(), NULL, NULL), 0);
    /* The last bytes of the window first; the hole in front is filled after growing twice. */
    ring_write(&ring, 1400, bytes + 400, 112);
    assert_int_equal(ring_reserve(&ring, 1600, mem_system(), NULL, NULL), 0);
    ring_write(&ring, 1512, bytes + 512, 88);
    assert_int_equal(ring_reserve(&ring, 1000 + 3000, mem_system(), NULL, NULL), 0);
    ring_write(&ring, 1000, bytes, 400);
    ring_read(&ring, 1000, out, 600);
    assert_memory_equal(out, bytes, 600);
    ring_free(&ring, mem_system(), NULL);
}

static struct ring small;

static void small_init(void)
{
    ring_init(&small, 100);
    (void)ring_reserve(&small, 612, mem_system(), NULL, NULL);
}

static void write_below(void)
{
    ring_write(&small, 99, "x", 1);
}

static void write_beyond(void)
{
    ring_write(&small, 611, "xy", 2);
}

static void read_beyond(void)
{
    char byte;

    ring_read(&small, UINT64_MAX, &byte, 1);
}

static void drop_backwards(void)
{
    ring_drop(&small, 99);
}

static void test_leaving_the_window_is_our_bug(void **state)
{
    (void)state;
    small_init();
    ring_write(&small, 611, "x", 1);
    assert_true(dies(write_below));
    assert_true(dies(write_beyond));
    assert_true(dies(read_beyond));
    assert_true(dies(drop_backwards));
    ring_free(&small, mem_system(), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_ring_holds_nothing),
        cmocka_unit_test(test_capacity_is_the_next_power_of_two_and_charged),
        cmocka_unit_test(test_refused_growth_changes_nothing),
        cmocka_unit_test(test_more_than_a_gibibyte_is_not_tried),
        cmocka_unit_test(test_view_stops_at_the_wrap),
        cmocka_unit_test(test_offsets_near_the_end_of_the_number_range_work),
        cmocka_unit_test(test_random_operations_agree_with_a_flat_stream),
        cmocka_unit_test(test_growth_keeps_bytes_that_were_written_out_of_order),
        cmocka_unit_test(test_leaving_the_window_is_our_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
