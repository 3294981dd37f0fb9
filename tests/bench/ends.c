/* SPDX-License-Identifier: MIT */
#include "ends.h"
#include <string.h>

enum { CHUNK = 1 << 16 };

int64_t ends_check(weir_node *node, const char *what, int64_t result)
{
    weir_error e = {.size = sizeof e};
    if (result >= 0) return result;
    if (node != NULL) (void)weir_last_error(node, &e);
    bench_die("%s: %s (%s)", what, weir_strerror((int32_t)result), e.detail);
}

weir_node *ends_node(const weir_node_options *options)
{
    weir_node_options o = {.size = sizeof o};
    weir_node *node = NULL;
    weir_error e = {.size = sizeof e};
    if (options != NULL) o = *options;
    o.observed_off = 1;
    int32_t error = weir_node_create(&o, &node, &e);
    if (error != 0) bench_die("create: %s (%s)", weir_strerror(error), e.detail);
    return node;
}

weir_node *ends_listener(const weir_node_options *options, const char *host, char *text)
{
    weir_node *node = ends_node(options);
    ends_check(node, "serve", weir_node_serve(node, ENDS_PROTOCOL, NULL));
    ends_check(node, "listen", weir_node_listen(node, host));
    ends_check(node, "address", weir_node_address(node, 0, text, WEIR_ADDRESS_TEXT_MAX));
    return node;
}

uint64_t ends_connect(weir_node *node, const char *address)
{
    weir_event e;
    int64_t connection = ends_check(node, "dial", weir_node_dial(node, address, NULL));
    for (;;) {
        int64_t n = ends_check(node, "poll", weir_node_poll(node, &e, 1, -1));
        if (n == 1 && e.kind == WEIR_EVENT_CONNECTED) return (uint64_t)connection;
        if (n == 1 && e.kind == WEIR_EVENT_CONNECTION_CLOSED)
            bench_die("the dial failed: %s", weir_strerror(e.error));
    }
}

const char *ends_suite(weir_node *node, uint64_t connection)
{
    weir_connection_info info = {.size = sizeof info};
    ends_check(node, "info", weir_connection_get_info(node, connection, &info));
    return info.cipher == 2 ? "aes" : "chacha20";
}

/* ---- a service */

static void echo(weir_node *node, uint64_t stream)
{
    const void *data;
    int64_t n;
    while ((n = weir_stream_peek(node, stream, &data)) > 0) {
        int64_t took = weir_stream_write(node, stream, data, (uint32_t)n, 0);
        if (took < 0) return;
        (void)weir_stream_consume(node, stream, (uint64_t)took);
        if (took < n) return;
    }
    if (n == WEIR_E_END) (void)weir_stream_finish(node, stream);
}

/* Write what is left of an answer; how much that is, is the stream's user tag. */
static void fill(weir_node *node, uint64_t stream, uint64_t left)
{
    static uint8_t chunk[CHUNK];
    while (left > 0) {
        uint32_t want = left < CHUNK ? (uint32_t)left : CHUNK;
        int64_t n = weir_stream_write(node, stream, chunk, want, want == left ? WEIR_FIN : 0);
        if (n < 0) return;
        left -= (uint64_t)n;
        if (n < want) break;
    }
    (void)weir_stream_set_user(node, stream, left);
}

static void answer(weir_node *node, const weir_event *e)
{
    uint64_t want = 0;
    if (e->kind == WEIR_EVENT_WRITABLE) {
        fill(node, e->object, e->user);
    } else if (weir_stream_read(node, e->object, &want, sizeof want) == sizeof want) {
        fill(node, e->object, want);
    }
}

void ends_serve(int fd, void *context)
{
    const struct ends_service *service = context;
    char address[WEIR_ADDRESS_TEXT_MAX] = {0};
    weir_event events[ENDS_EVENTS];
    bench_pin(1);
    weir_node *node = ends_listener(service->options, "127.0.0.1:0", address);
    bench_tell(fd, address, sizeof address);
    for (;;) {
        int64_t count = ends_check(node, "poll", weir_node_poll(node, events, ENDS_EVENTS, -1));
        for (int64_t i = 0; i < count; i++) {
            if (events[i].kind != WEIR_EVENT_READABLE && events[i].kind != WEIR_EVENT_WRITABLE)
                continue;
            if (service->is_sized) {
                answer(node, &events[i]);
            } else {
                echo(node, events[i].object);
            }
        }
    }
}
