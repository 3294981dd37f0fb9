/* SPDX-License-Identifier: MIT */
/*
 * The server's side. A request goes through three states: it is read, it waits for the file's hash,
 * it is answered. No byte of a file is kept: a piece is read from the disk when the stream takes
 * bytes, and what the stream did not take is read again later. So a client that reads slowly costs
 * one struct request, and the disk works no faster than the network.
 */
#include "fetch_folder.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    REQUESTS_MAX = 4096, /* of all clients together */
    EVENTS = 64,
    PIECE_BYTES = 1 << 16,
    SWEEP_US = 1000 * 1000,
    DRAIN_US = 10 * 1000 * 1000,
};

struct request {
    uint64_t stream;          /* 0: a free place */
    uint64_t progress_us;     /* when the client last gave or took a byte, or was told to wait */
    struct folder_file *file; /* NULL: the request is still being read */
    uint64_t position, end;   /* what is still to be sent of the file */
    uint32_t head_len;        /* bytes in head; when answering, how many of them are sent */
    uint8_t head[FETCH_REQUEST_MAX]; /* the request as it comes, later the header that goes out */
};

struct server {
    weir_node *node;
    uint64_t swept_us;
    bool is_draining;
    bool is_drained;
    struct folder folder;
    struct request requests[REQUESTS_MAX];
};

static void forget(struct server *server, struct request *request)
{
    if (request->file != NULL) folder_release(&server->folder, request->file);
    request->file = NULL;
    request->stream = 0;
}

static void refuse(struct server *server, struct request *request, uint32_t code)
{
    weir_stream_stop(server->node, request->stream, code);
    weir_stream_reset(server->node, request->stream, code);
    forget(server, request);
}

/* Both lanes' errors mean that the client went away; there is nobody left to be told. */
static bool went_away(struct server *server, struct request *request, int64_t result)
{
    if (result < 0) refuse(server, request, FETCH_STALLED);
    return result < 0;
}

/* The request of a stream; 0: a free place. */
static struct request *search(struct server *server, uint64_t stream)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        if (server->requests[i].stream == stream) return &server->requests[i];
    }
    return NULL;
}

/* A stream's tag is its request's place plus one; 0 is an event that is older than the tag. */
static struct request *find(struct server *server, const weir_event *event)
{
    if (event->user == 0 || event->user > REQUESTS_MAX) return search(server, event->object);
    struct request *request = &server->requests[event->user - 1];
    return request->stream == event->object ? request : NULL;
}

static void begin(struct server *server, const weir_event *event)
{
    struct request *request = search(server, 0);
    if (request == NULL) {
        weir_stream_stop(server->node, event->object, FETCH_BUSY);
        weir_stream_reset(server->node, event->object, FETCH_BUSY);
        return;
    }
    request->stream = event->object;
    request->progress_us = event->time_us;
    request->head_len = 0;
    weir_stream_set_user(server->node, event->object, (uint64_t)(request - server->requests) + 1);
}

/* Send what the stream takes, at first about `room` bytes. One byte more than it takes is offered:
 * only a write that took less is followed by WEIR_EVENT_WRITABLE. */
static void answer(struct server *server, struct request *request, uint64_t room)
{
    static uint8_t piece[PIECE_BYTES];
    weir_node *node = server->node;
    int64_t taken;
    if (request->head_len < FETCH_HEADER_BYTES) {
        uint32_t len = FETCH_HEADER_BYTES - request->head_len;
        uint32_t flags = request->position == request->end ? WEIR_FIN : 0;
        taken =
            weir_stream_write(node, request->stream, request->head + request->head_len, len, flags);
        if (went_away(server, request, taken)) return;
        request->head_len += (uint32_t)taken;
        if (taken < len) return;
    }
    while (request->position < request->end) {
        uint64_t want = request->end - request->position;
        if (want > room + 1) want = room + 1;
        if (want > sizeof piece) want = sizeof piece;
        ssize_t got = pread(request->file->fd, piece, (size_t)want, (off_t)request->position);
        if (got <= 0) {
            refuse(server, request, got == 0 ? FETCH_CHANGED : FETCH_READ_FAILED);
            return;
        }
        uint32_t flags = request->position + (uint64_t)got == request->end ? WEIR_FIN : 0;
        taken = weir_stream_write(node, request->stream, piece, (uint32_t)got, flags);
        if (went_away(server, request, taken)) return;
        request->position += (uint64_t)taken;
        if (taken < got) return;
        room = sizeof piece;
    }
    forget(server, request);
}

static void begin_answer(struct server *server, struct request *request)
{
    const struct fetch_file *facts = &request->file->facts;
    if (request->file->error != 0) {
        refuse(server, request, request->file->error);
        return;
    }
    if (request->position > facts->size) {
        refuse(server, request, FETCH_BAD_RANGE);
        return;
    }
    if (request->end > facts->size) request->end = facts->size;
    fetch_header_encode(request->head, facts);
    request->head_len = 0;
    answer(server, request, PIECE_BYTES);
}

/* The whole request is here. */
static void accept_request(struct server *server, struct request *request)
{
    struct fetch_request asked;
    enum fetch_code code = fetch_request_decode(&asked, request->head, request->head_len);
    if (code == 0) code = folder_take(&server->folder, asked.name, &request->file);
    if (code != 0) {
        refuse(server, request, code);
        return;
    }
    request->position = asked.offset;
    request->end = asked.offset + asked.length;
    if (request->end < asked.offset) request->end = UINT64_MAX;
    if (request->file->is_hashed) begin_answer(server, request);
}

static void read_request(struct server *server, struct request *request)
{
    uint8_t over; /* room for one byte too many, which is how a longer request is noticed */
    for (;;) {
        uint32_t room = FETCH_REQUEST_MAX - request->head_len;
        void *to = room > 0 ? request->head + request->head_len : &over;
        int64_t got = weir_stream_read(server->node, request->stream, to, room > 0 ? room : 1);
        if (got == WEIR_E_END) {
            accept_request(server, request);
            return;
        }
        if (got == 0 || went_away(server, request, got)) return;
        if (room == 0) {
            refuse(server, request, FETCH_BAD_REQUEST);
            return;
        }
        request->head_len += (uint32_t)got;
    }
}

static void say_connection(struct server *server, const weir_event *event)
{
    weir_connection_info info = {.size = sizeof info};
    char peer[WEIR_PEER_TEXT_MAX];
    if (weir_connection_get_info(server->node, event->object, &info) < 0) return;
    fetch_peer_text(&info.peer, peer);
    if (event->kind == WEIR_EVENT_CONNECTED) {
        printf("client %s at %s\n", peer, info.remote);
        return;
    }
    printf("gone %s: %s; sent %llu bytes, lost %llu of %llu packets, round trip %.2f ms\n", peer,
           weir_reason_name((uint32_t)event->amount), (unsigned long long)info.bytes_sent,
           (unsigned long long)info.packets_lost, (unsigned long long)info.packets_sent,
           (double)info.rtt_us / 1e3);
}

static void act(struct server *server, const weir_event *event)
{
    struct request *request;
    switch (event->kind) {
    case WEIR_EVENT_CONNECTED:
    case WEIR_EVENT_CONNECTION_CLOSED: say_connection(server, event); return;
    case WEIR_EVENT_STREAM: begin(server, event); return;
    case WEIR_EVENT_DRAINED: server->is_drained = true; return;
    case WEIR_EVENT_READABLE:
    case WEIR_EVENT_WRITABLE:
    case WEIR_EVENT_STREAM_RESET:
    case WEIR_EVENT_STREAM_STOPPED:
    case WEIR_EVENT_STREAM_CLOSED: break;
    default: return;
    }
    request = find(server, event);
    if (request == NULL) return;
    request->progress_us = event->time_us;
    if (event->kind == WEIR_EVENT_READABLE && request->file == NULL) {
        read_request(server, request);
    } else if (event->kind == WEIR_EVENT_WRITABLE && request->file != NULL) {
        if (request->file->is_hashed) answer(server, request, event->amount);
    } else if (event->kind == WEIR_EVENT_STREAM_CLOSED) {
        forget(server, request);
    } else if (event->kind != WEIR_EVENT_READABLE && event->kind != WEIR_EVENT_WRITABLE) {
        refuse(server, request, FETCH_STALLED);
    }
}

/* Once a second: who waits for a hash is told so, who did nothing for long is let go. */
static void sweep(struct server *server, uint64_t now_us)
{
    static const uint8_t wait = FETCH_WAIT;
    if (now_us - server->swept_us < SWEEP_US) return;
    server->swept_us = now_us;
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &server->requests[i];
        if (request->stream == 0) continue;
        bool is_waiting = request->file != NULL && !request->file->is_hashed;
        if (is_waiting && weir_stream_write(server->node, request->stream, &wait, 1, 0) == 1) {
            request->progress_us = now_us;
        }
        if (now_us > request->progress_us && now_us - request->progress_us > FETCH_STALL_US) {
            refuse(server, request, FETCH_STALLED);
        }
    }
}

static bool hash_some(struct server *server)
{
    struct folder_file *finished;
    bool is_busy = folder_hash(&server->folder, &finished);
    for (uint32_t i = 0; finished != NULL && i < REQUESTS_MAX; i++) {
        struct request *request = &server->requests[i];
        if (request->stream != 0 && request->file == finished) begin_answer(server, request);
    }
    return is_busy;
}

static int run(struct server *server)
{
    weir_event events[EVENTS];
    bool is_busy = false;
    while (!server->is_drained) {
        int64_t count = weir_node_poll(server->node, events, EVENTS, is_busy ? 0 : FETCH_TICK_US);
        if (count < 0) return fetch_complain_node(server->node, "poll");
        for (int64_t i = 0; i < count; i++) act(server, &events[i]);
        is_busy = hash_some(server);
        sweep(server, weir_node_now(server->node));
        if (fetch_interrupted() && !server->is_draining) {
            server->is_draining = true;
            puts("draining: open requests are finished, at most 10 s; again ends at once");
            weir_node_drain(server->node, WEIR_REASON_DRAINING, DRAIN_US);
        }
    }
    puts("drained");
    return 0;
}

int fetch_serve(const char *path, const struct fetch_options *options)
{
    static struct server server;
    weir_node_options node_options = {.size = sizeof node_options,
                                      .streams_max = FETCH_PARALLEL_MAX};
    char text[WEIR_ADDRESS_TEXT_MAX];
    int status;
    if (!folder_open(&server.folder, path)) return fetch_complain("%s: %s", path, strerror(errno));
    server.node = fetch_node_create(&node_options, options);
    if (server.node == NULL) return 1;
    fetch_catch_signals();
    if (weir_node_serve(server.node, FETCH_PROTOCOL, NULL) < 0) {
        status = fetch_complain_node(server.node, FETCH_PROTOCOL);
    } else if (weir_node_listen(server.node, options->listen) < 0) {
        status = fetch_complain_node(server.node, options->listen);
    } else {
        printf("serving %s\n", path);
        for (uint32_t i = 0; weir_node_invitation(server.node, i, text, sizeof text) > 0; i++) {
            printf("invitation %s\n", text);
        }
        status = run(&server);
    }
    weir_node_free(server.node);
    close(server.folder.root);
    return status;
}
