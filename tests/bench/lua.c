/* SPDX-License-Identifier: MIT */
/* Scripts against C on the same engine: small requests, bulk, an endless loop beside others, and
 * what a waiting handler costs. The asking side of the requests is the same C program for both. */
#include "ends.h"
#include "weir_lua.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY = 128, PARALLEL = 100, CHUNK = 65536, SAMPLES_MAX = 1 << 18, WAITING = 1000 };

static const char echo_script[] =
    "local P = protocol 'bench/1' { serve = 4096, per_peer = 4096,\n"
    "    echo = request { bytes = 256, answer = 256, within = 30*sec } }\n"
    "function P:echo(from, body) return body end\n"
    "return P\n";
static const char loop_script[] =
    "local P = protocol 'loop/1' { serve = 64, per_peer = 64,\n"
    "    spin = request { bytes = 16, answer = 16, within = 30*sec } }\n"
    "function P:spin() while true do end end\n"
    "return P\n";
static const char source_script[] =
    "local P = protocol 'bulk/1' { serve = 8, pour = stream { idle = 30*sec } }\n"
    "local piece = string.rep('x', 65536)\n"
    "function P:pour(from, s)\n"
    "    local count = tonumber(s:read_line())\n"
    "    for _ = 1, count do if not s:write(piece) then return end end\n"
    "end\n"
    "function P:start(address, count)\n"
    "    if not address then return end\n"
    "    local peer = connect(address)\n"
    "    local s = open(peer, P.pour)\n"
    "    s:write(count .. '\\n')\n"
    "    s:finish()\n"
    "    local first = s:read(65536)\n"
    "    local got, begun = #first, now()\n"
    "    for bytes in s:chunks(65536) do got = got + #bytes end\n"
    "    print(got, now() - begun)\n"
    "    quit(0)\n"
    "end\n"
    "return P\n";
static const char wait_script[] =
    "local P = protocol 'wait/1' { serve = 4096, per_peer = 4096,\n"
    "    hold = request { bytes = 16, answer = 16, within = 60*sec },\n"
    "    never = request { bytes = 16, answer = 16, within = 60*sec } }\n"
    "function P:hold(from) return ask(from, P.never) end\n"
    "function P:never() end\n"
    "return P\n";

/* ---- servers, each in a process of its own */

static void say_address(int fd, weir_node *node)
{
    char text[WEIR_ADDRESS_TEXT_MAX];
    ends_check(node, "listen", weir_node_listen(node, "127.0.0.1:0"));
    ends_check(node, "address", weir_node_address(node, 0, text, sizeof text));
    bench_tell(fd, text, sizeof text);
}

static weir_lua *open_scripts(const weir_lua_options *options, weir_node *node,
                              const char *const *texts, unsigned count,
                              const char *const *arguments, uint32_t argument_count)
{
    weir_lua *lua;
    weir_error error = {.size = sizeof error};
    if (weir_lua_create(options, &lua, &error) != 0) bench_die("no runtime: %s", error.detail);
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "script%u.lua", i);
        int64_t number = weir_lua_load(lua, name, texts[i], strlen(texts[i]), &error);
        if (number < 0) bench_die("%s", error.detail);
        if (weir_lua_attach(lua, node, number, arguments, argument_count, &error) != 0)
            bench_die("%s", error.detail);
    }
    return lua;
}

struct script_service {
    const char *texts[2];
    unsigned count;
};

static void serve_scripts(int fd, void *context)
{
    const struct script_service *service = context;
    weir_event events[ENDS_EVENTS];
    bench_pin(1);
    weir_node *node = ends_node(NULL);
    weir_lua *lua = open_scripts(NULL, node, service->texts, service->count, NULL, 0);
    say_address(fd, node);
    for (;;) ends_check(node, "poll", weir_lua_poll(lua, node, events, ENDS_EVENTS, -1));
}

static void answer(weir_node *node, const weir_event *e)
{
    uint8_t body[256];
    int64_t len = weir_message_read(node, e->object, body, sizeof body);
    /* What comes is ["echo", bytes]: the answer is the bytes, as a script's would be. */
    if (len >= 6)
        ends_check(node, "respond",
                   weir_request_respond(node, e->object, body + 6, (uint32_t)len - 6, 0));
}

static void serve_requests(int fd, void *context)
{
    const weir_serve_options options = {.size = sizeof options,
                                        .kinds = WEIR_KIND_REQUEST,
                                        .queue_per_peer = 4096,
                                        .queue_max = 4096};
    weir_event events[ENDS_EVENTS];
    (void)context;
    bench_pin(1);
    weir_node *node = ends_node(NULL);
    ends_check(node, "serve", weir_node_serve(node, "bench/1", &options));
    say_address(fd, node);
    for (;;) {
        int64_t n = ends_check(node, "poll", weir_node_poll(node, events, ENDS_EVENTS, -1));
        for (int64_t i = 0; i < n; i++) {
            if (events[i].kind == WEIR_EVENT_REQUEST) answer(node, &events[i]);
        }
    }
}

/* ---- the asking side */

struct client {
    struct bench_child server;
    weir_node *node;
    uint64_t connection;
};

static void open_client(struct client *c, void (*work)(int, void *), void *context)
{
    char address[WEIR_ADDRESS_TEXT_MAX];
    c->server = bench_fork(work, context);
    bench_pin(0);
    bench_hear(c->server.fd, address, sizeof address);
    c->node = ends_node(NULL);
    c->connection = ends_connect(c->node, address);
}

static void close_client(struct client *c)
{
    (void)weir_node_free(c->node);
    bench_reap(&c->server);
}

/* ["echo", 128 bytes], or [name] alone. */
static uint64_t ask(struct client *c, const char *protocol, const char *name, uint64_t user)
{
    uint8_t body[BODY + 16] = {0x82};
    size_t name_len = strlen(name), len = 2 + name_len;
    weir_request_options options = {.size = sizeof options, .user = user};
    body[1] = (uint8_t)(0x60 + name_len);
    memcpy(body + 2, name, name_len);
    if (strcmp(name, "echo") == 0) {
        body[len++] = 0x58;
        body[len++] = BODY;
        memset(body + len, 0xff, BODY);
        len += BODY;
    } else {
        body[0] = 0x81;
    }
    int64_t request =
        weir_request_send(c->node, c->connection, protocol, body, (uint32_t)len, &options);
    return (uint64_t)ends_check(c->node, "ask", request);
}

/* @return answers to echo; *failed counts others */
static unsigned take(struct client *c, uint64_t *failed)
{
    weir_event events[ENDS_EVENTS];
    uint8_t body[256];
    unsigned answers = 0;
    int64_t n = ends_check(c->node, "poll", weir_node_poll(c->node, events, ENDS_EVENTS, 5000000));
    if (n == 0) bench_die("no answer for 5 s");
    for (int64_t i = 0; i < n; i++) {
        const weir_event *e = &events[i];
        if (e->kind == WEIR_EVENT_CONNECTION_CLOSED) bench_die("the connection ended");
        if (e->kind != WEIR_EVENT_RESPONSE) continue;
        if (e->user == 1) {
            (*failed)++;
            continue;
        }
        if (e->error != 0) bench_die("a request failed: %s", weir_strerror(e->error));
        if (weir_message_read(c->node, e->object, body, sizeof body) != BODY + 2)
            bench_die("an answer of another length");
        answers++;
    }
    return answers;
}

static double echo_rate(void (*work)(int, void *), void *context, double seconds)
{
    struct client c;
    uint64_t failed = 0, count = 0;
    open_client(&c, work, context);
    for (int i = 0; i < PARALLEL; i++) (void)ask(&c, "bench/1", "echo", 0);
    double warm = bench_now() + seconds / 4;
    while (bench_now() < warm) {
        for (unsigned n = take(&c, &failed); n > 0; n--) (void)ask(&c, "bench/1", "echo", 0);
    }
    double start = bench_now(), now = start;
    while (now < start + seconds) {
        unsigned n = take(&c, &failed);
        count += n;
        for (; n > 0; n--) (void)ask(&c, "bench/1", "echo", 0);
        now = bench_now();
    }
    close_client(&c);
    return (double)count / (now - start);
}

static void echo(double seconds)
{
    struct bench_series in_c = {.count = 0}, in_lua = {.count = 0};
    struct script_service service = {.texts = {echo_script}, .count = 1};
    for (unsigned i = 0; i < bench.rounds; i++) {
        bench_add(&in_c, echo_rate(serve_requests, NULL, seconds));
        bench_add(&in_lua, echo_rate(serve_scripts, &service, seconds));
    }
    bench_report(&(struct bench_figure){.figure = "C echo, 100 in parallel", .unit = "1/s"}, &in_c,
                 NULL);
    bench_report(&(struct bench_figure){.figure = "lua: echo, 100 in parallel",
                                        .unit = "1/s",
                                        .against = "C echo, 100 in parallel",
                                        .must = 0.6,
                                        .aim = 0.8},
                 &in_lua, &in_c);
}

/* ---- an endless loop beside others */

static double echo_p99_ms(bool with_loop, double seconds)
{
    struct client c;
    struct script_service service = {.texts = {echo_script, loop_script}, .count = 2};
    double *samples = malloc(SAMPLES_MAX * sizeof *samples);
    size_t count = 0;
    uint64_t loops = 0, stopped = 0;
    if (samples == NULL) bench_die("no memory");
    open_client(&c, serve_scripts, &service);
    double start = bench_now(), now = start;
    while (now < start + seconds && count < SAMPLES_MAX) {
        double before = now;
        if (with_loop && loops == stopped) {
            (void)ask(&c, "loop/1", "spin", 1);
            loops++;
        }
        (void)ask(&c, "bench/1", "echo", 0);
        while (take(&c, &stopped) == 0) continue;
        now = bench_now();
        samples[count++] = (now - before) * 1e3;
    }
    if (with_loop && stopped == 0) bench_die("no endless loop was stopped");
    double p99 = bench_percentile(samples, count, 0.99);
    close_client(&c);
    free(samples);
    return p99;
}

static void loop(double seconds)
{
    struct bench_series added = {.count = 0};
    for (unsigned i = 0; i < bench.rounds; i++) {
        double without = echo_p99_ms(false, seconds);
        bench_add(&added, echo_p99_ms(true, seconds) - without);
    }
    bench_report(&(struct bench_figure){.figure = "lua: p99 added by an endless loop",
                                        .unit = "ms",
                                        .must = 5,
                                        .aim = 1,
                                        .is_lower_better = true},
                 &added, NULL);
}

/* ---- bulk */

/* Source and sink are scripts. */
static double bulk_lua(uint64_t chunks)
{
    static struct script_service service = {.texts = {source_script}, .count = 1};
    char address[WEIR_ADDRESS_TEXT_MAX], number[24];
    const char *texts[] = {source_script}, *arguments[] = {address, number};
    static weir_lua_line line;
    weir_event events[ENDS_EVENTS];
    struct bench_child server = bench_fork(serve_scripts, &service);
    bench_pin(0);
    bench_hear(server.fd, address, sizeof address);
    snprintf(number, sizeof number, "%llu", (unsigned long long)chunks);
    weir_node *node = ends_node(NULL);
    weir_lua *lua = open_scripts(NULL, node, texts, 1, arguments, 2);
    weir_lua_info info = {.size = sizeof info};
    do {
        ends_check(node, "poll", weir_lua_poll(lua, node, events, ENDS_EVENTS, 5000000));
        (void)weir_lua_get_info(lua, &info);
    } while (info.is_over == 0);
    unsigned long long bytes = 0, us = 0;
    if (weir_lua_next_line(lua, &line) != 1 || sscanf(line.text, "%llu\t%llu", &bytes, &us) != 2)
        bench_die("the sink said nothing");
    if (bytes != chunks * CHUNK) bench_die("the sink got %llu bytes", bytes);
    (void)weir_lua_free(lua);
    (void)weir_node_free(node);
    bench_reap(&server);
    return (double)bytes * 8 / (double)us / 1e3;
}

/* The same in C: chunks are written and read as the script's are. */
static double bulk_c(uint64_t chunks)
{
    static struct ends_service service = {.is_sized = true};
    static uint8_t chunk[CHUNK];
    char address[WEIR_ADDRESS_TEXT_MAX];
    weir_event events[ENDS_EVENTS];
    uint64_t bytes = chunks * CHUNK, got = 0;
    double start = 0;
    struct bench_child server = bench_fork(ends_serve, &service);
    bench_pin(0);
    bench_hear(server.fd, address, sizeof address);
    weir_node *node = ends_node(NULL);
    uint64_t connection = ends_connect(node, address);
    int64_t stream =
        ends_check(node, "open", weir_stream_open(node, connection, ENDS_PROTOCOL, NULL));
    ends_check(node, "write",
               weir_stream_write(node, (uint64_t)stream, &bytes, sizeof bytes, WEIR_FIN));
    while (got < bytes) {
        int64_t n = ends_check(node, "poll", weir_node_poll(node, events, ENDS_EVENTS, 5000000));
        if (n == 0) bench_die("nothing arrives for 5 s");
        for (int64_t i = 0; i < n; i++) {
            int64_t took;
            if (events[i].kind != WEIR_EVENT_READABLE) continue;
            if (got == 0) start = bench_now();
            while ((took = weir_stream_read(node, events[i].object, chunk, sizeof chunk)) > 0)
                got += (uint64_t)took;
        }
    }
    double took = bench_now() - start;
    (void)weir_node_free(node);
    bench_reap(&server);
    return (double)bytes * 8 / took / 1e9;
}

static void bulk(uint64_t mib)
{
    struct bench_series in_c = {.count = 0}, in_lua = {.count = 0};
    for (unsigned i = 0; i < bench.rounds; i++) {
        bench_add(&in_c, bulk_c(mib * 16));
        bench_add(&in_lua, bulk_lua(mib * 16));
    }
    bench_report(&(struct bench_figure){.figure = "C bulk, 64 KiB reads", .unit = "Gbit/s"}, &in_c,
                 NULL);
    bench_report(&(struct bench_figure){.figure = "lua: bulk source and sink, 64 KiB",
                                        .unit = "Gbit/s",
                                        .against = "C bulk, 64 KiB reads",
                                        .must = 0.8,
                                        .aim = 0.95},
                 &in_lua, &in_c);
}

/* ---- a waiting handler */

static int64_t step(weir_lua *lua, weir_world *world)
{
    weir_event events[ENDS_EVENTS];
    (void)weir_world_run(world, weir_world_now(world) + 10000);
    int64_t n = weir_world_poll(world, 0, events, ENDS_EVENTS);
    return weir_lua_events(lua, events, (uint32_t)n);
}

/* A thousand handlers wait for an answer that the asker, a plain node, never gives. */
static void waiting(void)
{
    weir_world *world;
    weir_node *server, *client;
    char address[WEIR_ADDRESS_TEXT_MAX];
    const char *texts[] = {wait_script};
    const weir_world_options options = {.size = sizeof options, .fidelity = WEIR_FIDELITY_MESSAGE};
    /* Of its own accord an instance in a world has 64 KiB. */
    const weir_lua_options lua_options = {
        .size = sizeof lua_options, .memory_bytes = 64 << 20, .instance_bytes = 16 << 20};
    const weir_serve_options serve = {.size = sizeof serve,
                                      .kinds = WEIR_KIND_REQUEST,
                                      .queue_per_peer = 4096,
                                      .queue_max = 4096};
    static const uint8_t body[] = {0x81, 0x64, 'h', 'o', 'l', 'd'};
    weir_lua_info before = {.size = sizeof before}, after = before;
    struct bench_series bytes = {.count = 0};
    if (weir_world_create(&options, &world, NULL) != 0) bench_die("no world");
    const weir_node_options wide = {.size = sizeof wide, .streams_max = 4096};
    (void)weir_world_add_node(world, &wide, &server, NULL);
    (void)weir_world_add_node(world, &wide, &client, NULL);
    ends_check(client, "serve", weir_node_serve(client, "wait/1", &serve));
    weir_lua *lua = open_scripts(&lua_options, server, texts, 1, NULL, 0);
    (void)weir_node_address(server, 0, address, sizeof address);
    uint64_t connection =
        (uint64_t)ends_check(client, "dial", weir_node_dial(client, address, NULL));
    for (int i = 0; i < 50; i++) (void)step(lua, world);
    (void)weir_lua_get_info(lua, &before);
    for (unsigned i = 0; i < WAITING; i++) {
        ends_check(client, "ask",
                   weir_request_send(client, connection, "wait/1", body, sizeof body, NULL));
        if (i % 32 == 31) (void)step(lua, world);
    }
    for (int i = 0; i < 50; i++) (void)step(lua, world);
    (void)weir_lua_get_info(lua, &after);
    if (after.tasks - before.tasks != WAITING)
        bench_die("%llu handlers wait", (unsigned long long)(after.tasks - before.tasks));
    bench_add(&bytes, (double)(after.memory_bytes - before.memory_bytes +
                               (after.native_bytes - before.native_bytes)) /
                          WAITING);
    bench_report(&(struct bench_figure){.figure = "lua: a suspended request handler",
                                        .unit = "bytes",
                                        .must = 2048,
                                        .aim = 1331,
                                        .is_lower_better = true},
                 &bytes, NULL);
    (void)weir_lua_free(lua);
    (void)weir_world_free(world);
}

int main(int argc, char **argv)
{
    uint64_t mib = 256, ms = 700;
    bool only_echo = false, only_bulk = false, only_loop = false, only_waiting = false;
    const struct bench_option options[] = {
        {.name = "--echo", .help = "only requests", .flag = &only_echo},
        {.name = "--bulk", .help = "only bulk", .flag = &only_bulk},
        {.name = "--loop", .help = "only the endless loop", .flag = &only_loop},
        {.name = "--waiting", .help = "only what a waiting handler costs", .flag = &only_waiting},
        {.name = "--mib", .help = "N: length of the bulk transfer; 256", .number = &mib},
        {.name = "--ms", .help = "N: length of each measurement; 700", .number = &ms},
        {.name = NULL}};
    bench_begin(argc, argv,
                "Scripts against C on the same engine, across two cores: requests of 128 bytes,\n"
                "100 at a time; bulk in pieces of 64 KiB; the latency of one script's requests\n"
                "while another loops for ever; and what a waiting handler costs.",
                options, NULL);
    bool all = !only_echo && !only_bulk && !only_loop && !only_waiting;
    if (bench.quick) {
        ms = 40;
        mib = 4;
    }
    if (all || only_echo) echo((double)ms / 1000);
    if (all || only_bulk) bulk(mib);
    if (all || only_loop) loop((double)ms / 1000);
    if (all || only_waiting) waiting();
    return 0;
}
