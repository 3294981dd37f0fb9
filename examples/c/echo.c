/* SPDX-License-Identifier: MIT */
/*
 * The shortest complete weir program: what a peer sends comes back to it. What you will see:
 *
 *     $ echo serve 127.0.0.1:4001
 *     peer 12D3KooWA...                                           who this side is
 *     invitation weir:12D3KooWA...@127.0.0.1:4001    what the other side dials
 *     $ echo dial /ip4/127.0.0.1/udp/4001/weir/p2p/12D3KooWA... hello there
 *     peer 12D3KooWB...
 *     hello there
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <weir.h>

static char text[65536], *unsaid = text;

/* The server consumes only what it wrote back; the rest waits where it is until
 * WEIR_EVENT_WRITABLE. So who sends and never reads is slowed, and costs nothing. */
static void send_back(weir_node *node, uint64_t stream)
{
    const void *data;
    int64_t here, taken;
    do {
        here = weir_stream_peek(node, stream, &data);
        if (here == WEIR_E_END) weir_stream_finish(node, stream);
        if (here <= 0) return;
        taken = weir_stream_write(node, stream, data, (uint32_t)here, 0);
        if (taken > 0) weir_stream_consume(node, stream, (uint64_t)taken);
    } while (taken == here);
}

/* The dialler says its text, as much of it as is taken; the end of the text ends its lane. */
static void say(weir_node *node, uint64_t stream)
{
    int64_t taken = weir_stream_write(node, stream, unsaid, (uint32_t)strlen(unsaid), WEIR_FIN);
    if (taken > 0) unsaid += taken;
}

static void hear(weir_node *node, uint64_t stream)
{
    char piece[4096];
    int64_t got;
    while ((got = weir_stream_read(node, stream, piece, sizeof piece)) > 0) {
        fwrite(piece, 1, (size_t)got, stdout);
    }
}

/* Returns whether the dialler has its answer, or will get none. A server never has. */
static int act(weir_node *node, const weir_event *event, int is_server)
{
    int64_t stream;
    switch (event->kind) {
    case WEIR_EVENT_CONNECTED:
        if (is_server) break;
        stream = weir_stream_open(node, event->object, "echo", NULL);
        if (stream > 0) say(node, (uint64_t)stream);
        return stream < 0;
    case WEIR_EVENT_READABLE: (is_server ? send_back : hear)(node, event->object); break;
    case WEIR_EVENT_WRITABLE: (is_server ? send_back : say)(node, event->object); break;
    case WEIR_EVENT_STREAM_RESET: weir_stream_reset(node, event->object, 1); break;
    case WEIR_EVENT_STREAM_STOPPED: weir_stream_stop(node, event->object, 1); break;
    case WEIR_EVENT_STREAM_CLOSED:
    case WEIR_EVENT_CONNECTION_CLOSED: return !is_server;
    }
    return 0;
}

static int fail(weir_node *node)
{
    weir_error error = {.size = sizeof error};
    weir_last_error(node, &error);
    fprintf(stderr, "echo: %s: %s\n", weir_strerror(error.code), error.detail);
    return 1;
}

int main(int argc, char **argv)
{
    int is_server = argc == 3 && strcmp(argv[1], "serve") == 0, is_done = 0;
    if (!is_server && (argc < 4 || strcmp(argv[1], "dial") != 0)) {
        return fprintf(stderr, "echo serve ADDRESS | echo dial ADDRESS TEXT...\n"), 2;
    }
    weir_node *node;
    weir_peer_id peer;
    weir_event event = {0};
    if (weir_node_create(NULL, &node, NULL) < 0) return 1;
    weir_node_peer(node, &peer);
    weir_peer_format(&peer, text, sizeof text);
    printf("peer %s\n", text);
    if (is_server) {
        if (weir_node_serve(node, "echo", NULL) < 0) return fail(node);
        if (weir_node_listen(node, argv[2]) < 0) return fail(node);
        for (uint32_t i = 0; weir_node_invitation(node, i, text, sizeof text) > 0; i++) {
            printf("invitation %s\n", text);
        }
    } else {
        size_t len = 0;
        for (int i = 3; i < argc && len < sizeof text; i++) {
            len += (size_t)snprintf(text + len, sizeof text - len, i > 3 ? " %s" : "%s", argv[i]);
        }
        if (weir_node_dial(node, argv[2], NULL) < 0) return fail(node);
    }
    fflush(stdout);
    while (!is_done) {
        int64_t count = weir_node_poll(node, &event, 1, -1);
        if (count < 0) return fail(node);
        if (count > 0) is_done = act(node, &event, is_server);
    }
    if (event.kind == WEIR_EVENT_CONNECTED) return fail(node); /* No stream could be opened. */
    bool is_clean = event.kind == WEIR_EVENT_STREAM_CLOSED && event.amount == 0;
    if (weir_connection_report(node, event.object, text, sizeof text) < 0) text[0] = 0;
    weir_node_free(node);
    if (is_clean) return putchar('\n') == EOF;
    fprintf(stderr, "echo: %s (%s)\n%s\n", weir_strerror(event.error),
            weir_reason_name((uint32_t)event.amount), text);
    return 1;
}
