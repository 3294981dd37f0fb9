/* SPDX-License-Identifier: MIT */
/* Goal: nothing flows faster than the far side takes it, nothing grows without a bound, and back-
 * pressure never becomes a deadlock. Method: small windows, applications that push and read in
 * random portions, a reader that does not consume, and attackers that fill everything out of order
 * against a small budget. */
#include "base/rng.h"
#include "sim/rig.h"
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define WINDOW_BYTES UINT64_C(4096)

static weir_node_options small_windows(void)
{
    weir_node_options options = {
        .size = sizeof options,
        .stream_window_bytes = WINDOW_BYTES,
        .connection_window_bytes = WINDOW_BYTES,
        .windows_grow_off = 1,
        .observed_off = 1,
    };
    return options;
}

enum { LANES = 4, SIDES = 2 };

struct pushing {
    struct sim sim;
    struct rng rng;
    uint64_t ends[SIDES];
    uint64_t streams[SIDES][LANES]; /**< by lane, the handle at each side */
    uint64_t written[SIDES][LANES], read[SIDES][LANES];
    uint64_t each_bytes;
    uint32_t over; /**< lanes that were read to the end */
};

static uint8_t byte_at(uint32_t side, uint32_t lane, uint64_t place)
{
    return (uint8_t)(place * 7 + (place >> 8) + side * 101 + lane * 31);
}

static void push(struct pushing *p, uint32_t side, uint32_t lane)
{
    uint8_t chunk[6000];
    uint64_t *written = &p->written[side][lane];

    while (*written < p->each_bytes) {
        uint64_t left = p->each_bytes - *written;
        uint32_t i, len = (uint32_t)rng_below(&p->rng, sizeof chunk) + 1;
        int64_t taken;

        if (len > left) len = (uint32_t)left;
        for (i = 0; i < len; i++) chunk[i] = byte_at(side, lane, *written + i);
        taken = weir_stream_write(p->sim.nodes[side + 1], p->streams[side][lane], chunk, len,
                                  len == left ? WEIR_FIN : 0);
        assert_in_range(taken, 0, len);
        *written += (uint64_t)taken;
        if (taken < len) return;
    }
}

/* Reads some and leaves some: what is left comes back as an event. */
static void pull(struct pushing *p, uint32_t side, uint32_t lane)
{
    uint8_t chunk[3000];
    uint64_t *read = &p->read[side][lane];
    uint32_t cap = (uint32_t)rng_below(&p->rng, sizeof chunk) + 1;
    int64_t i, count = weir_stream_read(p->sim.nodes[side + 1], p->streams[side][lane], chunk, cap);

    if (count == WEIR_E_END) {
        assert_int_equal(*read, p->each_bytes);
        return;
    }
    assert_in_range(count, 0, cap);
    for (i = 0; i < count; i++) {
        assert_int_equal(chunk[i], byte_at(1 - side, lane, *read + (uint64_t)i));
    }
    *read += (uint64_t)count;
    if (count > 0 && *read == p->each_bytes) p->over++;
}

static uint32_t lane_of(const struct pushing *p, uint32_t side, uint64_t stream)
{
    uint32_t lane = 0;

    while (lane < LANES && p->streams[side][lane] != stream) lane++;
    return lane;
}

static void on_pushing_event(struct pushing *p, const weir_event *event)
{
    uint32_t side = (uint32_t)event->node - 1, lane = lane_of(p, side, event->object);

    if (event->kind == WEIR_EVENT_STREAM) {
        /* The order of opening is the order of ids, so of lanes. */
        weir_stream_info info;

        rig_stream_info(&p->sim, side + 1, event->object, &info);
        lane = (uint32_t)(info.id / 4) % LANES;
        p->streams[side][lane] = event->object;
        push(p, side, lane);
    }
    if (lane == LANES) return;
    if (event->kind == WEIR_EVENT_WRITABLE) push(p, side, lane);
    if (event->kind == WEIR_EVENT_READABLE) pull(p, side, lane);
    assert_int_not_equal(event->kind, WEIR_EVENT_STREAM_RESET);
    assert_int_not_equal(event->kind, WEIR_EVENT_CONNECTION_CLOSED);
}

static void push_both_ways(uint64_t seed, uint64_t each_bytes, uint32_t loss_ppm)
{
    weir_link_options link = {
        .size = sizeof link, .delay_us_plus1 = RIG_MS + 1, .loss_ppm = loss_ppm};
    weir_node_options options = small_windows();
    static struct pushing p;
    weir_event event;
    uint64_t until_us;
    uint32_t lane;

    memset(&p, 0, sizeof p);
    rng_init(&p.rng, seed, "pushing", 0);
    p.each_bytes = each_bytes;
    rig_pair(&p.sim, seed, &options, p.ends);
    sim_link(&p.sim, &link);
    /* All names first: they need credit too. */
    for (lane = 0; lane < LANES; lane++)
        p.streams[0][lane] = rig_stream(&p.sim, 1, p.ends[0], SIM_PROTOCOL, 0);
    for (lane = 0; lane < LANES; lane++) push(&p, 0, lane);
    until_us = sim_now(&p.sim) + 600 * SIM_SECOND;
    while (p.over < SIDES * LANES) {
        if (!sim_next(&p.sim, &event, until_us)) {
            fail_msg("seed %llu: stuck, %u of %u lanes are over", (unsigned long long)seed, p.over,
                     SIDES * LANES);
        }
        on_pushing_event(&p, &event);
    }
    sim_close(&p.sim);
}

static void test_two_sides_that_push_through_4_kib_windows_and_read_never_deadlock(void **state)
{
    (void)state;
    push_both_ways(1, MIB / LANES, 0);
    push_both_ways(2, MIB / LANES, 20000);
}

static void test_no_seed_deadlocks(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 10; seed < 40; seed++) push_both_ways(seed, 24000, (uint32_t)(seed % 3) * 20000);
}

static void test_a_reader_that_does_not_consume_stops_the_sender(void **state)
{
    weir_node_options options = small_windows();
    static uint8_t chunk[1000];
    uint64_t ends[2], stream, there, taken = 0;
    weir_stream_info info;
    const weir_event *event;
    struct rig_tap tap;
    struct rig_log log;
    struct sim sim;
    int64_t count;

    (void)state;
    rig_pair(&sim, 50, &options, ends);
    assert_int_equal(weir_peer_list(sim.nodes[1], NULL, 0), 1);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    while ((count = weir_stream_write(sim.nodes[1], stream, chunk, sizeof chunk, 0)) > 0) {
        taken += (uint64_t)count;
    }
    assert_int_equal(count, 0);
    assert_in_range(taken, WINDOW_BYTES - 64, WINDOW_BYTES);
    rig_stream_info(&sim, 1, stream, &info);
    assert_in_range(info.blocked_by, 1, 2);
    assert_int_equal(info.blocked_on, 1);
    assert_int_equal(info.blocked_since_us, sim_now(&sim));
    assert_int_equal(info.bytes_writable, 0);
    assert_int_equal(info.bytes_written, taken);

    /* Delivered and acknowledged, but not consumed: no room, whatever time passes. */
    rig_gather(&sim, &log, 20 * SIM_SECOND);
    assert_int_equal(rig_count(&log, WEIR_EVENT_WRITABLE, 1, 0), 0);
    assert_int_equal(rig_count(&log, WEIR_EVENT_READABLE, 2, 0), 1);
    there = rig_must(&log, WEIR_EVENT_STREAM, 2, 0)->object;
    assert_int_equal(weir_stream_write(sim.nodes[1], stream, chunk, sizeof chunk, 0), 0);
    rig_stream_info(&sim, 2, there, &info);
    assert_int_equal(info.bytes_readable, taken);
    rig_watch(&sim, &tap);
    rig_gather(&sim, &log, 5 * SIM_SECOND);
    assert_true(tap.delivered[1] + tap.delivered[2] <= 2);

    assert_int_equal(rig_drop(&sim, 2, there), taken);
    rig_gather(&sim, &log, 5 * SIM_SECOND);
    assert_int_equal(rig_count(&log, WEIR_EVENT_WRITABLE, 1, stream), 1);
    event = rig_must(&log, WEIR_EVENT_WRITABLE, 1, stream);
    assert_in_range(event->amount, WINDOW_BYTES / 2, WINDOW_BYTES);
    rig_stream_info(&sim, 1, stream, &info);
    assert_int_equal(info.blocked_by, 0);
    assert_int_equal(info.bytes_writable, event->amount);
    rig_write(&sim, 1, stream, chunk, 1000, 0);
    sim_close(&sim);
}

enum { ATTACKERS = 4, VICTIM = 1, PIECE = 1100 };

struct siege {
    struct sim sim;
    struct mem_counter heap; /**< what the victim takes from its allocator */
    uint64_t fixed_bytes;    /**< of that, before anybody came */
    uint64_t charged_max;
    uint64_t taken;   /**< bytes that attackers got rid of */
    uint64_t read;    /**< bytes that the victim read */
    uint32_t streams; /**< that they opened */
};

static void look_at_victim(struct siege *s)
{
    weir_node_statistics statistics = {.size = sizeof statistics};

    assert_int_equal(weir_node_get_statistics(s->sim.nodes[VICTIM], &statistics), 0);
    assert_int_equal(statistics.memory_max_bytes, MIB);
    assert_true(statistics.memory_bytes <= statistics.memory_max_bytes);
    if (statistics.memory_bytes > s->charged_max) s->charged_max = statistics.memory_bytes;
}

static void fill_stream(struct siege *s, uint32_t node, uint64_t stream)
{
    static const uint8_t piece[PIECE];
    int64_t taken;

    while ((taken = weir_stream_write(s->sim.nodes[node], stream, piece, PIECE, 0)) > 0) {
        s->taken += (uint64_t)taken;
    }
}

/* All streams that are allowed, each with a bit first, so that all of them exist at the victim;
 * then as much as they take. */
static void attack(struct siege *s, uint32_t node, uint64_t connection)
{
    uint64_t streams[1024];
    uint32_t i, count = 0, flags = 0;

    while (count < 1024) {
        weir_stream_options options = {.size = sizeof options, .flags = flags};
        int64_t stream = weir_stream_open(s->sim.nodes[node], connection, SIM_PROTOCOL, &options);

        if (stream == WEIR_E_LIMIT && flags == 0) {
            flags = WEIR_ONE_WAY;
            continue;
        }
        if (stream < 0) {
            assert_true(stream == WEIR_E_LIMIT || stream == WEIR_E_BUDGET);
            break;
        }
        streams[count++] = (uint64_t)stream;
        rig_write(&s->sim, node, (uint64_t)stream, "a bit", 5, 0);
    }
    s->streams += count;
    for (i = 0; i < count; i++) fill_stream(s, node, streams[i]);
}

static void run_siege(struct siege *s, bool reads)
{
    uint64_t slice, until_us = sim_now(&s->sim) + 20 * SIM_SECOND;
    weir_event event;

    for (slice = sim_now(&s->sim); slice < until_us; slice += 5 * RIG_MS) {
        while (sim_next(&s->sim, &event, slice)) {
            look_at_victim(s);
            if (event.node == VICTIM) {
                if (reads && event.kind == WEIR_EVENT_READABLE)
                    s->read += rig_drop(&s->sim, VICTIM, event.object);
                continue;
            }
            if (event.kind == WEIR_EVENT_CONNECTED) {
                attack(s, (uint32_t)event.node, event.object);
            }
            if (event.kind == WEIR_EVENT_WRITABLE) {
                fill_stream(s, (uint32_t)event.node, event.object);
            }
        }
        look_at_victim(s);
    }
}

static void besiege(uint64_t seed, bool reads)
{
    weir_link_options link = {.size = sizeof link,
                              .loss_ppm = 50000,
                              .reorder_ppm = 500000,
                              .reorder_us = 50 * RIG_MS,
                              .duplicate_ppm = 50000};
    weir_node_options victim = {.size = sizeof victim, .memory_bytes = MIB};
    weir_node_options attacker = {.size = sizeof attacker};
    static struct siege s;
    uint32_t i;

    memset(&s, 0, sizeof s);
    mem_counter_init(&s.heap, mem_system());
    rig_open(&s.sim, mem_system(), seed, WEIR_FIDELITY_PACKET);
    (void)rig_add(&s.sim, &victim, &s.heap.mem);
    s.fixed_bytes = s.heap.live_bytes;
    sim_link(&s.sim, &link);
    for (i = 0; i < ATTACKERS; i++) {
        (void)rig_add(&s.sim, &attacker, NULL);
        (void)sim_dial(&s.sim, i + 2, VICTIM);
    }
    run_siege(&s, reads);
    print_message(
        "  %u streams, %llu KiB sent; charged at most %llu KiB, heap at most %llu KiB, "
        "of which %llu KiB from the start\n",
        s.streams, (unsigned long long)(s.taken >> 10), (unsigned long long)(s.charged_max >> 10),
        (unsigned long long)(s.heap.peak_bytes >> 10), (unsigned long long)(s.fixed_bytes >> 10));
    print_message("  %llu KiB read\n", (unsigned long long)(s.read >> 10));
    if (reads) assert_true(s.read > s.taken / 2);
    assert_true(s.streams >= 256);
    assert_true(s.charged_max > MIB / 8);
    /* The allocator agrees with the books: what is charged is nearly all that is taken. */
    assert_true(s.heap.peak_bytes - s.fixed_bytes <= MIB + MIB / 4);
    sim_close(&s.sim);
    assert_int_equal(s.heap.live_bytes, 0);
}

static void test_memory_stays_inside_the_budget_when_attackers_fill_every_stream(void **state)
{
    (void)state;
    besiege(60, false);
    besiege(61, false);
}

static void test_memory_stays_inside_the_budget_when_the_victim_reads(void **state)
{
    (void)state;
    besiege(62, true);
}

static void test_an_array_of_one_event_suffices(void **state)
{
    enum { STREAMS = 10, BYTES = 20000 };
    weir_node_options options = small_windows();
    static uint8_t buffer[BYTES];
    uint64_t ends[2], streams[STREAMS], written[STREAMS] = {0}, read = 0, turns = 0;
    weir_event event;
    struct sim sim;
    uint32_t i, ends_seen = 0;

    (void)state;
    rig_pair(&sim, 70, &options, ends);
    for (i = 0; i < STREAMS; i++)
        streams[i] = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, WEIR_ONE_WAY);
    for (i = 0; i < STREAMS; i++) {
        written[i] = (uint64_t)weir_stream_write(sim.nodes[1], streams[i], buffer, BYTES, WEIR_FIN);
    }
    while (ends_seen < STREAMS && turns++ < 100000) {
        assert_int_equal(weir_world_run(sim.world, sim_now(&sim) + 10 * SIM_SECOND), 1);
        if (weir_world_poll(sim.world, 0, &event, 1) == 0) continue;
        for (i = 0; event.kind == WEIR_EVENT_WRITABLE && i < STREAMS; i++) {
            int64_t taken;

            if (streams[i] != event.object) continue;
            taken = weir_stream_write(sim.nodes[1], streams[i], buffer,
                                      (uint32_t)(BYTES - written[i]), WEIR_FIN);
            assert_true(taken >= 0);
            written[i] += (uint64_t)taken;
        }
        if (event.kind == WEIR_EVENT_READABLE) {
            read += rig_drop(&sim, 2, event.object);
            if (event.error == WEIR_E_END) ends_seen++;
        }
    }
    assert_int_equal(ends_seen, STREAMS);
    assert_int_equal(read, STREAMS * BYTES);
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_sides_that_push_through_4_kib_windows_and_read_never_deadlock),
        cmocka_unit_test(test_no_seed_deadlocks),
        cmocka_unit_test(test_a_reader_that_does_not_consume_stops_the_sender),
        cmocka_unit_test(test_memory_stays_inside_the_budget_when_attackers_fill_every_stream),
        cmocka_unit_test(test_memory_stays_inside_the_budget_when_the_victim_reads),
        cmocka_unit_test(test_an_array_of_one_event_suffices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
