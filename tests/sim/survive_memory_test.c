/* SPDX-License-Identifier: MIT */
/* Goal: whatever allocation fails, nothing crashes, leaks or lies: a dial has one answer, an end
 * comes once, what is read is what was written. Method: a scenario on a bad way (loss,
 * duplicates, a NAT that forgets) with streams both ways, one of them reset and one stopped, then
 * closes; once with all the memory it wants, and then with each allocation failing once. The short
 * form takes some of them; sim_memory_fail_test has every one of a smaller scenario. */
#include "api/node_options.h"
#include "quic/quic.h"
#include "sim/survive.h"
#include <string.h>

enum { NODES = 2, HANDLES_MAX = 64, BYTES = 40000 };

struct play {
    struct world *world;
    weir_world *abi;
    weir_node *nodes[NODES + 1];
    uint64_t connection[NODES + 1]; /* the newest that is up */
    struct {
        uint64_t stream[HANDLES_MAX], at[HANDLES_MAX];
        uint32_t count;
    } readers[NODES + 1];         /* streams that were read, and how far */
    uint64_t closed[HANDLES_MAX]; /* connections that ended, with their node */
    uint32_t closed_count;
    uint64_t read_bytes, ended;
};

/* Memory may be short; nothing else may be wrong. */
static int64_t may_fail(int64_t result)
{
    if (result == WEIR_E_INTERNAL || result == WEIR_E_KIND || result == WEIR_E_ARGUMENT)
        fail_msg("a call answers %s", weir_error_name((int32_t)result));
    return result;
}

static uint8_t byte_at(uint64_t place)
{
    return (uint8_t)(place * 31 + (place >> 8));
}

static uint64_t *place_of(struct play *p, uint64_t node, uint64_t stream)
{
    uint32_t i, count = p->readers[node].count;

    for (i = 0; i < count; i++) {
        if (p->readers[node].stream[i] == stream) return &p->readers[node].at[i];
    }
    assert_true(count < HANDLES_MAX);
    p->readers[node].count++;
    p->readers[node].stream[count] = stream;
    p->readers[node].at[count] = 0;
    return &p->readers[node].at[count];
}

static void read_all(struct play *p, const weir_event *e)
{
    static uint8_t bytes[4096];
    uint64_t *at = place_of(p, e->node, e->object);
    int64_t i, count;

    while ((count = weir_stream_read(p->nodes[e->node], e->object, bytes, sizeof bytes)) > 0) {
        for (i = 0; i < count; i++) assert_int_equal(bytes[i], byte_at(*at + (uint64_t)i));
        *at += (uint64_t)count;
        p->read_bytes += (uint64_t)count;
    }
    if (count != WEIR_E_END) return;
    p->ended++;
    (void)may_fail(weir_stream_finish(p->nodes[e->node], e->object));
}

static void take(struct play *p, const weir_event *e)
{
    uint64_t key = e->object << 2 | e->node;
    uint32_t i;

    assert_in_range(e->node, 1, NODES);
    if (e->kind == WEIR_EVENT_CONNECTED) p->connection[e->node] = e->object;
    if (e->kind == WEIR_EVENT_READABLE) read_all(p, e);
    if (e->kind != WEIR_EVENT_CONNECTION_CLOSED) return;
    if (p->connection[e->node] == e->object) p->connection[e->node] = 0;
    for (i = 0; i < p->closed_count; i++) assert_true(p->closed[i] != key);
    assert_true(p->closed_count < HANDLES_MAX);
    p->closed[p->closed_count++] = key;
}

static void run(struct play *p, uint64_t span_us)
{
    uint64_t until_us = weir_world_now(p->abi) + span_us;
    weir_event events[8];
    int64_t i, count;

    while (weir_world_run(p->abi, until_us) == 1) {
        count = weir_world_poll(p->abi, 0, events, 8);
        assert_true(count >= 0);
        for (i = 0; i < count; i++) take(p, &events[i]);
    }
}

static bool open_world(struct play *p, const struct mem *mem)
{
    static const struct transport_ops *const transports[] = {&quic_transport};
    struct world_config config = {.mem = mem,
                                  .seed = 1200,
                                  .fidelity = WEIR_FIDELITY_PACKET,
                                  .transports = transports,
                                  .transport_count = 1};
    weir_link_options out = {.size = sizeof out,
                             .loss_ppm = 50000,
                             .one_way = 1,
                             .duplicate_ppm = 100000,
                             .rebind_every_us = 1500 * RIG_MS};
    weir_link_options back = {
        .size = sizeof back, .loss_ppm = 50000, .one_way = 1, .corrupt_ppm = 20000};
    uint32_t i;

    if (world_open(&config, &p->world) != 0) return false;
    p->abi = (weir_world *)p->world;
    for (i = 1; i <= NODES; i++) {
        if (may_fail(weir_world_add_node(p->abi, NULL, &p->nodes[i], NULL)) != 0) return false;
        (void)may_fail(weir_node_serve(p->nodes[i], SIM_PROTOCOL, NULL));
    }
    return weir_world_link(p->abi, 1, 2, &out) == 0 && weir_world_link(p->abi, 2, 1, &back) == 0;
}

static bool is_answered(const struct play *p, uint32_t node, uint64_t handle)
{
    uint32_t i, answers = 0;

    for (i = 0; i < p->closed_count; i++) answers += p->closed[i] == (handle << 2 | node);
    return answers == 1 || p->connection[node] == handle;
}

static void dial(struct play *p)
{
    char address[WEIR_ADDRESS_TEXT_MAX];
    int64_t handle;
    uint32_t i;

    if (weir_node_address(p->nodes[2], 0, address, sizeof address) < 0) return;
    handle = may_fail(weir_node_dial(p->nodes[1], address, NULL));
    if (handle <= 0) return;
    for (i = 0; i < 70 && !is_answered(p, 1, (uint64_t)handle); i++) run(p, SIM_SECOND);
    assert_true(is_answered(p, 1, (uint64_t)handle));
    run(p, 200 * RIG_MS);
}

/* A stream with bytes, which the other side reads and finishes. */
static int64_t send_stream(struct play *p, uint32_t node, uint32_t flags)
{
    static uint8_t bytes[BYTES];
    weir_stream_options options = {.size = sizeof options, .flags = flags};
    int64_t stream;
    uint32_t i;

    for (i = 0; i < BYTES; i++) bytes[i] = byte_at(i);
    if (p->connection[node] == 0) return 0;
    stream =
        may_fail(weir_stream_open(p->nodes[node], p->connection[node], SIM_PROTOCOL, &options));
    if (stream <= 0) return 0;
    (void)may_fail(weir_stream_write(p->nodes[node], (uint64_t)stream, bytes, BYTES, WEIR_FIN));
    return stream;
}

static void use_streams(struct play *p)
{
    int64_t stopped, reset;

    (void)send_stream(p, 1, 0);
    (void)send_stream(p, 2, 0);
    (void)send_stream(p, 1, WEIR_ONE_WAY);
    run(p, SIM_SECOND);
    stopped = send_stream(p, 1, 0);
    reset = send_stream(p, 2, WEIR_ONE_WAY);
    run(p, 15 * RIG_MS);
    if (stopped > 0) (void)may_fail(weir_stream_stop(p->nodes[1], (uint64_t)stopped, 5));
    if (reset > 0) (void)may_fail(weir_stream_reset(p->nodes[2], (uint64_t)reset, 6));
    run(p, 2 * SIM_SECOND);
    /* The NAT has another address for node 1 by now. */
    (void)send_stream(p, 1, 0);
    run(p, SIM_SECOND);
    (void)send_stream(p, 2, 0);
    run(p, 2 * SIM_SECOND);
}

static void play(const struct mem *mem, struct play *p)
{
    memset(p, 0, sizeof *p);
    if (open_world(p, mem)) {
        dial(p);
        use_streams(p);
        if (p->connection[1] != 0)
            (void)may_fail(weir_connection_close(p->nodes[1], p->connection[1], 3, "enough"));
        run(p, SIM_SECOND);
        dial(p);
        (void)send_stream(p, 1, 0);
        run(p, SIM_SECOND);
        (void)may_fail(weir_node_drain(p->nodes[2], 9, SIM_SECOND));
        run(p, 3 * SIM_SECOND);
        assert_int_equal(weir_node_close(p->nodes[1]), 0);
        run(p, SIM_SECOND);
    }
    if (p->abi != NULL) assert_int_equal(weir_world_free(p->abi), 0);
}

static void allocations(void)
{
    struct mem_counter counter;
    uint64_t calls, at, step, tried = 0, ended;
    static struct play p;

    assert_int_equal(secret_init(), 0);
    mem_counter_init(&counter, mem_system());
    play(&counter.mem, &p);
    assert_int_equal(counter.live_bytes, 0);
    /* At least the first three streams were read to their ends. */
    assert_true(p.ended >= 3 && p.read_bytes >= 3 * BYTES);
    calls = counter.calls;
    ended = p.ended;
    step = survive_is_long() ? 1 : 1 + calls / 1000;
    for (at = 1; at <= calls; at += step, tried++) {
        mem_counter_init(&counter, mem_system());
        counter.fail_at = at;
        play(&counter.mem, &p);
        if (counter.live_bytes != 0) {
            fail_msg("allocation %llu fails and %llu bytes are left", (unsigned long long)at,
                     (unsigned long long)counter.live_bytes);
        }
    }
    survive_tried("%llu of %llu allocations of a scenario (%llu streams read to their ends) failed "
                  "in turn",
                  (unsigned long long)tried, (unsigned long long)calls, (unsigned long long)ended);
    survive_worst("nothing left, no end twice, no wrong byte");
}

int main(int argc, char **argv)
{
    static const struct survive_case cases[] = {
        {"allocations", allocations},
    };

    return survive_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
