/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_HOST_LOCAL_RIG_H
#define WEIR_TESTS_UNIT_HOST_LOCAL_RIG_H
/* What the tests of local streams share: a real node over a host, without transports, a temporary
 * folder, and the calls. All waiting is done by the host's poll. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/secret.h"
#include "host/clock.h"
#include "host/host.h"
#include "node/node.h"
#include "watchdog.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { QUIET_US = 50000, PIPE_BYTES = 65536, BIG_BYTES = 64 << 20 };

static struct {
    const struct mem *mem; /* the host's; NULL: the system's */
    struct host *host;
    struct node *node;
    struct key_pair key;
    struct limits limits;
    char folder[64], path[256];
    weir_event last[16];
    uint32_t count;
} rig;
static uint8_t bytes[1 << 20];

static inline void fill(void *context, void *out, size_t len)
{
    (void)context;
    entropy_system_fill(NULL, out, len);
}

static inline void rig_open(void)
{
    const struct host_options options = {.mem = rig.mem};
    const uint8_t seed[32] = {1};
    struct node_config config = {.mem = mem_system(),
                                 .entropy = {fill, NULL},
                                 .key = &rig.key,
                                 .network = "",
                                 .driver = &host_driver};

    key_pair_from_seed(&rig.key, seed);
    limits_derive(&rig.limits, 1 << 24, 0);
    config.limits = rig.limits;
    assert_int_equal(host_open(&options, &rig.host, NULL), 0);
    config.driver_context = rig.host;
    assert_int_equal(node_open(&config, &rig.node), 0);
    host_attach(rig.host, rig.node);
}

static inline void rig_close(void)
{
    if (rig.node == NULL) return;
    node_close(rig.node);
    host_driver.close(rig.host);
    host_driver.release(rig.host);
    node_free(rig.node);
    rig.node = NULL;
}

static inline int set_up(void **state)
{
    (void)watchdog_start(state);
    memset(&rig, 0, sizeof rig);
    (void)snprintf(rig.folder, sizeof rig.folder, "/tmp/weir_local_XXXXXX");
    assert_non_null(mkdtemp(rig.folder));
    rig_open();
    return 0;
}

static inline int tear_down(void **state)
{
    char command[128];

    (void)state;
    rig_close();
    (void)snprintf(command, sizeof command, "rm -rf %s", rig.folder);
    return system(command);
}

/* The path of a name in the folder; one at a time. */
static inline const char *at(const char *name)
{
    (void)snprintf(rig.path, sizeof rig.path, "%s/%s", rig.folder, name);
    return rig.path;
}

static inline void put_file(const char *name, const void *data, size_t len)
{
    FILE *f = fopen(at(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static inline size_t get_file(const char *name, void *out, size_t cap)
{
    FILE *f = fopen(at(name), "rb");
    size_t len;

    assert_non_null(f);
    len = fread(out, 1, cap, f);
    (void)fclose(f);
    return len;
}

static inline int64_t call(struct node_call *c)
{
    struct node_input in = {.kind = NODE_INPUT_CALL, .now_us = clock_now_us(), .call = c};

    return node_input(rig.node, &in);
}

static inline int64_t try_open(uint32_t flags, const char *what, size_t len, uint64_t offset)
{
    struct node_call c = {.kind = NODE_CALL_LOCAL_OPEN,
                          .flags = flags,
                          .data = what,
                          .len = len,
                          .number_out = &offset};

    return call(&c);
}

static inline uint64_t open_file(const char *path, uint32_t mode, uint64_t offset)
{
    int64_t handle = try_open(NODE_LOCAL_FILE | mode << 8, path, strlen(path), offset);

    assert_true(handle > 0);
    return (uint64_t)handle;
}

static inline uint64_t open_unix(const char *path)
{
    int64_t handle = try_open(NODE_LOCAL_UNIX, path, strlen(path), 0);

    assert_true(handle > 0);
    return (uint64_t)handle;
}

static inline uint64_t open_shell(const char *script)
{
    char what[512];
    int len = snprintf(what, sizeof what, "sh%c-c%c%s", 0, 0, script);
    int64_t handle = try_open(NODE_LOCAL_CHILD, what, (size_t)len + 1, 0);

    assert_true(handle > 0);
    return (uint64_t)handle;
}

static inline int64_t write_to(uint64_t s, const void *data, size_t len, uint32_t flags)
{
    struct node_call c = {
        .kind = NODE_CALL_STREAM_WRITE, .object = s, .flags = flags, .data = data, .len = len};

    return call(&c);
}

static inline int64_t read_from(uint64_t s, void *out, size_t cap)
{
    struct node_call c = {.kind = NODE_CALL_STREAM_READ, .object = s, .out = out, .cap = cap};

    return call(&c);
}

static inline void give_up(uint64_t s, uint32_t kind)
{
    struct node_call c = {.kind = kind, .object = s, .flags = 5};

    assert_int_equal(call(&c), 0);
}

static inline uint32_t poll_for(int64_t timeout_us)
{
    int64_t n = host_driver.poll(rig.host, rig.last, 16, timeout_us);

    assert_true(n >= 0);
    rig.count = (uint32_t)n;
    return rig.count;
}

/* The first event of that kind about that stream: it may be long in coming. Others are dropped. */
static inline weir_event wait_event(uint64_t s, uint32_t kind)
{
    uint32_t i;

    for (;;) {
        for (i = 0; i < rig.count; i++) {
            weir_event e = rig.last[i];

            if (e.object != s || e.kind != kind) continue;
            rig.last[i].kind = WEIR_EVENT_NONE;
            return e;
        }
        (void)poll_for(-1);
    }
}

/* Read to the end. @return the bytes that came */
static inline size_t read_all(uint64_t s, uint8_t *out, size_t cap)
{
    size_t len = 0;
    int64_t n;

    while ((n = read_from(s, out + len, cap - len)) != WEIR_E_END) {
        assert_true(n >= 0);
        len += (size_t)n;
        if (n == 0) (void)poll_for(-1);
    }
    return len;
}

static inline void write_all(uint64_t s, const uint8_t *data, size_t len, uint32_t flags)
{
    while (len > 0) {
        int64_t n = write_to(s, data, len, flags);

        assert_true(n >= 0);
        data += n;
        len -= (size_t)n;
        if (len > 0) (void)poll_for(-1);
    }
}

static inline uint64_t window(void)
{
    return rig.limits.value[LIMIT_STREAM_WINDOW_FIRST];
}

static inline void pattern(uint8_t *out, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) out[i] = (uint8_t)(i * 31 + i / 251);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#endif
