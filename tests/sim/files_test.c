/* SPDX-License-Identifier: MIT */
/* Goal: in a world a node's files are its own, in memory, behave as files do, take no time and make
 * the same run twice. Method: weir.h alone: put, read, write, read back. */
#include "sim/rig.h"
#include <stdio.h>
#include <string.h>

enum { BIG_BYTES = 5 << 20 };

static uint8_t big[BIG_BYTES], got[BIG_BYTES + 1];

static void fill_big(void)
{
    uint32_t i;

    for (i = 0; i < BIG_BYTES; i++) big[i] = (uint8_t)(i * 7 + i / 509);
}

static uint64_t open_file(struct sim *sim, uint32_t node, const char *path, uint32_t flags,
                          uint64_t offset)
{
    int64_t handle = weir_file_open(sim->nodes[node], path, flags, offset, 77);

    assert_true(handle > 0);
    return (uint64_t)handle;
}

/* The error of a stream's end. Nothing that is done here takes time. */
static int closed(struct sim *sim, uint32_t node, uint64_t stream)
{
    weir_event event;
    uint64_t now_us = sim_now(sim);

    assert_true(sim_wait(sim, WEIR_EVENT_STREAM_CLOSED, node, stream, &event, now_us));
    assert_int_equal(event.parent, 0);
    assert_int_equal(event.user, 77);
    assert_int_equal(sim_now(sim), now_us);
    return event.error;
}

/* Read a file that must have these bytes. */
static void expect_file(struct sim *sim, uint32_t node, const char *path, uint64_t offset,
                        const void *data, size_t len)
{
    uint64_t s = open_file(sim, node, path, WEIR_FILE_READ, offset);
    size_t have = 0;
    int64_t n;

    while ((n = weir_stream_read(sim->nodes[node], s, got + have, (uint32_t)(sizeof got - have))) !=
           WEIR_E_END) {
        weir_event event;

        assert_true(n >= 0);
        have += (size_t)n;
        if (n == 0) assert_true(sim_wait(sim, WEIR_EVENT_READABLE, node, s, &event, sim_now(sim)));
    }
    assert_int_equal(have, len);
    assert_memory_equal(got, data, len);
    assert_int_equal(closed(sim, node, s), 0);
}

static void write_file(struct sim *sim, uint32_t node, const char *path, uint32_t flags,
                       uint64_t offset, const void *data, size_t len)
{
    uint64_t s = open_file(sim, node, path, flags, offset);
    const uint8_t *next = data;

    for (;;) {
        int64_t n = weir_stream_write(sim->nodes[node], s, next, (uint32_t)len, WEIR_FIN);
        weir_event event;

        assert_true(n >= 0);
        next += n;
        len -= (size_t)n;
        if (len == 0) break;
        assert_true(sim_wait(sim, WEIR_EVENT_WRITABLE, node, s, &event, sim_now(sim)));
    }
    assert_int_equal(closed(sim, node, s), 0);
}

static void test_what_was_put_is_read_by_that_node_alone(void **state)
{
    struct sim sim;

    (void)state;
    fill_big();
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, NULL);
    assert_int_equal(weir_world_file(sim.world, 1, "a", big, BIG_BYTES), 0);
    expect_file(&sim, 1, "a", 0, big, BIG_BYTES);
    expect_file(&sim, 1, "a", BIG_BYTES - 3, big + BIG_BYTES - 3, 3);
    expect_file(&sim, 1, "a", BIG_BYTES + 3, "", 0);
    assert_int_equal(closed(&sim, 2, open_file(&sim, 2, "a", WEIR_FILE_READ, 0)), WEIR_E_NOT_FOUND);
    assert_int_equal(weir_world_file(sim.world, 1, "a", "new", 3), 0);
    expect_file(&sim, 1, "a", 0, "new", 3);
    assert_int_equal(weir_world_file(sim.world, 3, "a", "x", 1), WEIR_E_ARGUMENT);
    assert_int_equal(weir_world_file(sim.world, 0, "a", "x", 1), WEIR_E_ARGUMENT);
    assert_int_equal(weir_world_file(sim.world, 1, "a", NULL, 1), WEIR_E_NULL);
    sim_close(&sim);
}

static void test_writing_behaves_as_on_a_disk(void **state)
{
    struct sim sim;

    (void)state;
    fill_big();
    sim_open(&sim, 1, WEIR_FIDELITY_MESSAGE, 1, NULL);
    write_file(&sim, 1, "w", WEIR_FILE_WRITE, 0, big, BIG_BYTES);
    expect_file(&sim, 1, "w", 0, big, BIG_BYTES);
    write_file(&sim, 1, "w", WEIR_FILE_WRITE, 0, "hello", 5);
    write_file(&sim, 1, "w", WEIR_FILE_APPEND, 0, " there", 6);
    write_file(&sim, 1, "w", WEIR_FILE_WRITE, 4, "O", 1);
    expect_file(&sim, 1, "w", 0, "hellO there", 11);
    write_file(&sim, 1, "hole", WEIR_FILE_WRITE, 3, "x", 1);
    expect_file(&sim, 1, "hole", 0, "\0\0\0x", 4);
    assert_int_equal(closed(&sim, 1, open_file(&sim, 1, "w", WEIR_FILE_WRITE | WEIR_FILE_NEW, 0)),
                     WEIR_E_EXISTS);
    write_file(&sim, 1, "fresh", WEIR_FILE_WRITE | WEIR_FILE_NEW, 0, "", 0);
    expect_file(&sim, 1, "fresh", 0, "", 0);
    sim_close(&sim);
}

static void test_a_world_has_no_children_and_no_sockets(void **state)
{
    const char *const arguments[] = {"cat", NULL};
    struct sim sim;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 1, NULL);
    assert_int_equal(weir_child_open(sim.nodes[1], arguments, 0), WEIR_E_UNSUPPORTED);
    assert_int_equal(weir_unix_open(sim.nodes[1], "s", 0), WEIR_E_UNSUPPORTED);
    assert_int_equal(weir_file_open(sim.nodes[1], "", WEIR_FILE_READ, 0, 0), WEIR_E_ARGUMENT);
    assert_int_equal(weir_file_open(sim.nodes[1], "a", 0, 0, 0), WEIR_E_ARGUMENT);
    sim_close(&sim);
}

static void test_a_disk_has_an_end(void **state)
{
    struct sim sim;
    char name[16];
    uint32_t i;
    uint64_t s;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 1, NULL);
    s = open_file(&sim, 1, "far", WEIR_FILE_WRITE, UINT64_C(1) << 30);
    assert_int_equal(weir_stream_write(sim.nodes[1], s, "x", 1, WEIR_FIN), 1);
    assert_int_equal(closed(&sim, 1, s), WEIR_E_IO);
    for (i = 1; i < 1024; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        assert_int_equal(weir_world_file(sim.world, 1, name, "x", 1), 0);
    }
    assert_int_equal(weir_world_file(sim.world, 1, "more", "x", 1), WEIR_E_LIMIT);
    assert_int_equal(closed(&sim, 1, open_file(&sim, 1, "more", WEIR_FILE_WRITE, 0)), WEIR_E_IO);
    sim_close(&sim);
}

static void test_a_node_that_goes_leaves_its_open_files(void **state)
{
    struct sim sim;
    weir_event event;

    (void)state;
    fill_big();
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, NULL);
    assert_int_equal(weir_world_file(sim.world, 1, "a", big, BIG_BYTES), 0);
    (void)open_file(&sim, 1, "a", WEIR_FILE_READ, 0);
    (void)open_file(&sim, 1, "b", WEIR_FILE_WRITE, 0);
    assert_true(sim_next(&sim, &event, sim_now(&sim)));
    assert_int_equal(weir_node_close(sim.nodes[1]), 0);
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    /* And one that the world itself takes along. */
    (void)open_file(&sim, 2, "b", WEIR_FILE_WRITE, 0);
    sim_close(&sim);
}

/* From one node's file over the network into the other's. @return the run's hash */
static uint64_t copy(uint64_t seed)
{
    struct sim sim;
    uint64_t ends[2], from, to = 0, far = 0, over, hash;
    weir_event event;
    bool is_finished = false;

    sim_open(&sim, seed, WEIR_FIDELITY_PACKET, 2, NULL);
    assert_int_equal(weir_world_file(sim.world, 1, "from", big, BIG_BYTES), 0);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    from = open_file(&sim, 1, "from", WEIR_FILE_READ, 0);
    over = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, WEIR_ONE_WAY);
    while (sim_next(&sim, &event, sim_now(&sim) + 60 * SIM_SECOND)) {
        const uint64_t pairs[2][2] = {{from, over}, {far, to}};
        uint32_t i;

        if (event.kind == WEIR_EVENT_STREAM && event.parent != 0) {
            far = event.object;
            to = open_file(&sim, 2, "to", WEIR_FILE_WRITE, 0);
        }
        if (event.kind == WEIR_EVENT_STREAM_CLOSED && event.object == to) is_finished = true;
        if (is_finished) break;
        for (i = 0; i < 2; i++) {
            weir_node *node = sim.nodes[i + 1];
            const void *data;
            int64_t n;

            if (pairs[i][0] == 0 || event.node != i + 1) continue;
            while ((n = weir_stream_peek(node, pairs[i][0], &data)) > 0) {
                n = weir_stream_write(node, pairs[i][1], data, (uint32_t)n, 0);
                if (n <= 0) break;
                assert_int_equal(weir_stream_consume(node, pairs[i][0], (uint64_t)n), 0);
            }
            if (n == WEIR_E_END) (void)weir_stream_finish(node, pairs[i][1]);
        }
    }
    assert_true(is_finished);
    expect_file(&sim, 2, "to", 0, big, BIG_BYTES);
    hash = weir_world_hash(sim.world);
    sim_close(&sim);
    return hash;
}

static void test_a_copy_over_the_network_is_the_same_run_twice(void **state)
{
    uint64_t first;

    (void)state;
    fill_big();
    first = copy(5);
    assert_true(first == copy(5));
    assert_true(first != copy(6));
}

static void test_every_allocation_of_the_disk_may_fail(void **state)
{
    uint64_t n = 0;
    bool has_failed = true;

    (void)state;
    while (has_failed) {
        struct mem_counter heap;
        struct sim sim;
        int64_t s;

        mem_counter_init(&heap, mem_system());
        rig_open(&sim, &heap.mem, 1, WEIR_FIDELITY_MESSAGE);
        (void)rig_add(&sim, NULL, mem_system());
        heap.fail_at = ++n;
        (void)weir_world_file(sim.world, 1, "a", "bytes", 5);
        s = weir_file_open(sim.nodes[1], "b", WEIR_FILE_WRITE, 0, 77);
        if (s > 0) {
            assert_int_equal(weir_stream_write(sim.nodes[1], (uint64_t)s, "x", 1, WEIR_FIN), 1);
            (void)closed(&sim, 1, (uint64_t)s);
        }
        has_failed = heap.fail_at == 0;
        heap.fail_at = 0;
        sim_close(&sim);
        assert_int_equal(heap.live_bytes, 0);
    }
    assert_true(n > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_is_read_by_that_node_alone),
        cmocka_unit_test(test_writing_behaves_as_on_a_disk),
        cmocka_unit_test(test_a_world_has_no_children_and_no_sockets),
        cmocka_unit_test(test_a_disk_has_an_end),
        cmocka_unit_test(test_a_node_that_goes_leaves_its_open_files),
        cmocka_unit_test(test_every_allocation_of_the_disk_may_fail),
        cmocka_unit_test(test_a_copy_over_the_network_is_the_same_run_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
