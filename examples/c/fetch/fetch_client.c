/* SPDX-License-Identifier: MIT */
/*
 * The client's side. A place (struct slot) is one request under way; there are --parallel of them,
 * and a place that is free is given the next range that is missing. First one place asks for the
 * header alone, which says how many ranges there are. Every later header must say the same.
 *
 * What comes is written to its place in the file as it comes, and only then consumed: if the disk
 * is slow, the server is slowed.
 *
 * A connection that is lost is dialled once more; the ranges under way are asked for again.
 */
#include "fetch_part.h"
#include "fetch_progress.h"
#include <stdio.h>
#include <string.h>

enum {
    EVENTS = 64,
    WAIT_US = 100 * 1000, /* of one poll: the pace of the progress line */
    BUSY_PAUSE_US = 1000 * 1000,
    IDLE_US = 10 * 1000 * 1000, /* a server that is silent for so long is lost */
    DIAL_US = 20 * 1000 * 1000,
    RESTARTS_MAX = 3,
    STATUS_INTERRUPTED = 130,
};

#define NO_RANGE UINT64_MAX /* the slot's request is for the header alone */

/* The client does not want the rest; to the server a reason like any other. */
enum { NOT_WANTED = FETCH_CHANGED };

struct slot {
    uint64_t stream; /* 0: free */
    uint64_t range;
    uint64_t got;   /* bytes of the range that came */
    uint32_t asked; /* bytes of the request that were taken */
    uint32_t head_len;
    uint8_t head[FETCH_HEADER_BYTES];
};

struct client {
    weir_node *node;
    const char *address, *name;
    const struct fetch_options *options;
    uint64_t connection;
    bool is_connected, knows_file, is_done, is_full;
    int status; /* once is_done */
    uint32_t redials, restarts;
    uint64_t now_us, progress_us, pause_until_us;
    uint64_t began_us;    /* when the first range was asked for */
    uint64_t search_from; /* no range before this is missing and free to be asked for */
    uint64_t found;       /* ranges that an earlier run left */
    uint64_t came;        /* bytes of ranges that came in this run */
    uint64_t completed;   /* ranges completed in this run */
    struct fetch_file file;
    struct part part;
    struct progress progress;
    struct slot slots[FETCH_PARALLEL_MAX];
};

static void finish(struct client *client, int status)
{
    client->is_done = true;
    client->status = status;
}

static void fail(struct client *client, const char *sentence)
{
    progress_clear(&client->progress);
    finish(client, fetch_complain("%s: %s", client->name, sentence));
}

static void free_slot(struct client *client, struct slot *slot)
{
    slot->stream = 0;
    client->search_from = 0;
}

static void free_slots(struct client *client)
{
    for (uint32_t i = 0; i < FETCH_PARALLEL_MAX; i++) free_slot(client, &client->slots[i]);
}

static uint32_t slots_busy(const struct client *client)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < FETCH_PARALLEL_MAX; i++) count += client->slots[i].stream != 0;
    return count;
}

static void write_request(struct client *client, struct slot *slot)
{
    uint8_t bytes[FETCH_REQUEST_MAX];
    bool is_head = slot->range == NO_RANGE;
    uint64_t offset = is_head ? 0 : slot->range * FETCH_RANGE_BYTES;
    uint64_t length = is_head ? 0 : part_range_bytes(&client->part, slot->range);
    uint32_t len = fetch_request_encode(bytes, client->name, offset, length);
    if (slot->asked >= len) return;
    int64_t taken = weir_stream_write(client->node, slot->stream, bytes + slot->asked,
                                      len - slot->asked, WEIR_FIN);
    /* A failure is told by an event too, with the reason. */
    if (taken > 0) slot->asked += (uint32_t)taken;
}

/* Returns false if no more can be asked for now. */
static bool ask(struct client *client, struct slot *slot, uint64_t range)
{
    weir_stream_options options = {.size = sizeof options};
    options.user = (uint64_t)(slot - client->slots) + 1;
    int64_t stream = weir_stream_open(client->node, client->connection, FETCH_PROTOCOL, &options);
    if (stream == WEIR_E_LIMIT) {
        client->is_full = true; /* WEIR_EVENT_OPENABLE ends that. */
        return false;
    }
    if (stream < 0) {
        client->pause_until_us = client->now_us + BUSY_PAUSE_US;
        return false;
    }
    memset(slot, 0, sizeof *slot);
    slot->stream = (uint64_t)stream;
    slot->range = range;
    write_request(client, slot);
    return true;
}

static bool is_asked(const struct client *client, uint64_t range)
{
    for (uint32_t i = 0; i < FETCH_PARALLEL_MAX; i++) {
        if (client->slots[i].stream != 0 && client->slots[i].range == range) return true;
    }
    return false;
}

static uint64_t next_range(const struct client *client)
{
    uint64_t range = part_next(&client->part, client->search_from);
    while (range != NO_RANGE && is_asked(client, range)) {
        range = part_next(&client->part, range + 1);
    }
    return range;
}

/* Give every free slot a range. */
static void ask_more(struct client *client)
{
    if (!client->is_connected || client->is_full || client->now_us < client->pause_until_us) return;
    if (!client->knows_file) {
        if (client->slots[0].stream == 0) ask(client, &client->slots[0], NO_RANGE);
        return;
    }
    uint64_t busy = slots_busy(client);
    uint64_t most = client->options->ranges_max;
    for (uint32_t i = 0; i < client->options->parallel; i++) {
        if (client->slots[i].stream != 0) continue;
        if (most > 0 && client->completed + busy >= most) return;
        uint64_t range = next_range(client);
        if (range == NO_RANGE || !ask(client, &client->slots[i], range)) return;
        client->search_from = range + 1;
        busy++;
    }
}

static void start_over(struct client *client)
{
    if (client->restarts++ == RESTARTS_MAX) {
        fail(client, "the file is changed on the server again and again");
        return;
    }
    progress_clear(&client->progress);
    printf("the file was changed on the server: beginning anew\n");
    for (uint32_t i = 0; i < FETCH_PARALLEL_MAX; i++) {
        struct slot *slot = &client->slots[i];
        if (slot->stream != 0) weir_stream_stop(client->node, slot->stream, NOT_WANTED);
    }
    free_slots(client);
    client->knows_file = false;
}

/* A header came. The first says which file it is, the others must agree. */
static void take_header(struct client *client, struct slot *slot)
{
    struct fetch_file file;
    struct part *part = &client->part;
    if (slot->head[0] != FETCH_HEADER) {
        fail(client, "the server does not keep to " FETCH_PROTOCOL);
        return;
    }
    fetch_header_decode(&file, slot->head);
    if (client->knows_file) {
        if (!fetch_file_equal(&file, &client->file)) start_over(client);
        return;
    }
    bool is_other = part->had_map && !fetch_file_equal(&file, &part->file);
    uint64_t lost = part->done;
    if (part_begin(part, &file) != 0) {
        finish(client, 1);
        return;
    }
    client->file = file;
    client->knows_file = true;
    client->search_from = 0;
    client->found = part->done;
    if (client->began_us == 0) client->began_us = client->now_us;
    printf("file %s: %llu bytes, %llu %s, %u at a time\n", client->name,
           (unsigned long long)file.size, (unsigned long long)part->ranges,
           part->ranges == 1 ? "range" : "ranges", client->options->parallel);
    if (is_other && lost > 0) {
        printf("the %llu ranges in %s belong to another file: beginning anew\n",
               (unsigned long long)lost, part->path);
    } else if (part->done > 0) {
        printf("resuming: %llu of %llu ranges are here\n", (unsigned long long)part->done,
               (unsigned long long)part->ranges);
    }
}

/* Deal with bytes of an answer. Afterwards the slot may be free. */
static void take(struct client *client, struct slot *slot, const uint8_t *data, uint64_t len)
{
    while (len > 0 && slot->head_len == 0 && *data == FETCH_WAIT) {
        data++;
        len--;
    }
    if (len > 0 && slot->head_len < FETCH_HEADER_BYTES) {
        uint64_t part = FETCH_HEADER_BYTES - slot->head_len;
        if (part > len) part = len;
        memcpy(slot->head + slot->head_len, data, (size_t)part);
        slot->head_len += (uint32_t)part;
        data += part;
        len -= part;
        if (slot->head_len == FETCH_HEADER_BYTES) take_header(client, slot);
        if (client->is_done || slot->stream == 0) return;
    }
    if (len == 0) return;
    uint64_t most = slot->range == NO_RANGE ? 0 : part_range_bytes(&client->part, slot->range);
    if (len > most - slot->got) {
        fail(client, "the server sent more than it was asked for");
        return;
    }
    uint64_t offset = slot->range * FETCH_RANGE_BYTES + slot->got;
    if (part_write(&client->part, offset, data, len) != 0) {
        finish(client, 1);
        return;
    }
    slot->got += len;
    client->came += len;
}

/* The server finished its lane. */
static void complete(struct client *client, struct slot *slot)
{
    bool is_head = slot->range == NO_RANGE;
    uint64_t most = is_head ? 0 : part_range_bytes(&client->part, slot->range);
    if (slot->head_len < FETCH_HEADER_BYTES || slot->got < most) {
        fail(client, "the server sent less than it was asked for");
        return;
    }
    slot->stream = 0;
    if (is_head) return;
    client->completed++;
    if (part_mark(&client->part, slot->range) != 0) finish(client, 1);
}

static void read_answer(struct client *client, struct slot *slot)
{
    uint64_t stream = slot->stream;
    const void *data;
    int64_t got;
    while ((got = weir_stream_peek(client->node, stream, &data)) > 0) {
        client->progress_us = client->now_us;
        take(client, slot, data, (uint64_t)got);
        weir_stream_consume(client->node, stream, (uint64_t)got);
        if (client->is_done || slot->stream != stream) return;
    }
    if (got == WEIR_E_END) complete(client, slot);
}

/* The server reset its lane, or the stream ended in another way before its answer did. */
static void refused(struct client *client, struct slot *slot, uint32_t code)
{
    free_slot(client, slot);
    switch (code) {
    case FETCH_BUSY:
    case WEIR_REASON_OVERLOAD: client->pause_until_us = client->now_us + BUSY_PAUSE_US; return;
    case FETCH_CHANGED: start_over(client); return;
    case WEIR_REASON_CONNECTION: return; /* The connection's event follows. */
    default: fail(client, fetch_code_text(code));
    }
}

static void dial(struct client *client)
{
    weir_dial_options options = {.size = sizeof options, .timeout_us = DIAL_US};
    int64_t connection = weir_node_dial(client->node, client->address, &options);
    client->connection = connection > 0 ? (uint64_t)connection : 0;
    if (connection < 0) finish(client, fetch_complain_node(client->node, client->address));
}

static void connected(struct client *client)
{
    weir_connection_info info = {.size = sizeof info};
    char peer[WEIR_PEER_TEXT_MAX];
    weir_connection_get_info(client->node, client->connection, &info);
    fetch_peer_text(&info.peer, peer);
    printf("server %s at %s\n", peer, info.remote);
    client->is_connected = true;
    client->progress_us = client->now_us;
}

static void disconnected(struct client *client, const weir_event *event)
{
    char report[2048] = "";
    const char *reason = fetch_code_text((uint32_t)event->amount);
    progress_clear(&client->progress);
    bool was_connected = client->is_connected;
    client->is_connected = client->is_full = false;
    free_slots(client);
    if (was_connected && client->redials++ == 0) {
        printf("the connection was lost (%s): dialling once more\n", reason);
        dial(client);
        return;
    }
    weir_connection_report(client->node, event->object, report, sizeof report);
    finish(client, fetch_complain("%s: %s (%s)%s%s", client->address,
                                  was_connected ? "the connection was lost again"
                                                : weir_strerror(event->error),
                                  reason, *report != 0 ? "\n" : "", report));
}

static void act(struct client *client, const weir_event *event)
{
    if (event->object == client->connection) {
        switch (event->kind) {
        case WEIR_EVENT_CONNECTED: connected(client); return;
        case WEIR_EVENT_CONNECTION_CLOSED: disconnected(client, event); return;
        case WEIR_EVENT_OPENABLE: client->is_full = false; return;
        default: return;
        }
    }
    if (event->user == 0 || event->user > FETCH_PARALLEL_MAX) return;
    struct slot *slot = &client->slots[event->user - 1];
    if (slot->stream != event->object) return;
    switch (event->kind) {
    case WEIR_EVENT_READABLE: read_answer(client, slot); return;
    case WEIR_EVENT_WRITABLE: write_request(client, slot); return;
    case WEIR_EVENT_STREAM_RESET:
    case WEIR_EVENT_STREAM_CLOSED: refused(client, slot, (uint32_t)event->amount); return;
    default: return;
    }
}

static void look_around(struct client *client)
{
    weir_connection_info info = {.size = sizeof info};
    const struct part *part = &client->part;
    if (client->knows_file && part->done == part->ranges) {
        finish(client, 0);
    } else if (client->options->ranges_max > 0 && client->knows_file &&
               client->completed >= client->options->ranges_max) {
        finish(client, 0);
    } else if (fetch_interrupted()) {
        finish(client, STATUS_INTERRUPTED);
    } else if (client->is_connected && client->now_us - client->progress_us > FETCH_STALL_US) {
        fail(client, "no byte came for 30 s; what is here is kept, the same command goes on");
    }
    if (client->is_done || !client->knows_file || !client->is_connected) return;
    progress_measure(&client->progress, client->now_us, client->came);
    if (client->completed == 0) return;
    if (weir_connection_get_info(client->node, client->connection, &info) < 0) return;
    uint64_t here = client->found * FETCH_RANGE_BYTES + client->came;
    if (here > part->file.size) here = part->file.size;
    progress_say(&client->progress, client->now_us, here, part->file.size, info.rtt_us);
}

static void run(struct client *client)
{
    weir_event events[EVENTS];
    dial(client);
    while (!client->is_done) {
        int64_t count = weir_node_poll(client->node, events, EVENTS, WAIT_US);
        if (count < 0) {
            finish(client, fetch_complain_node(client->node, "poll"));
            return;
        }
        client->now_us = weir_node_now(client->node);
        for (int64_t i = 0; i < count && !client->is_done; i++) act(client, &events[i]);
        if (!client->is_done) look_around(client);
        if (!client->is_done) ask_more(client);
    }
}

static double speed(uint64_t bytes, uint64_t passed_us)
{
    return (double)bytes / (1 << 20) / ((double)passed_us / 1e6);
}

static void say_connection(struct client *client)
{
    weir_connection_info info = {.size = sizeof info};
    if (weir_connection_get_info(client->node, client->connection, &info) < 0) return;
    printf("round trip %.3f ms, smallest %.3f ms\n", (double)info.rtt_us / 1e3,
           (double)info.rtt_min_us / 1e3);
    printf("lost %llu of %llu packets that this side sent\n", (unsigned long long)info.packets_lost,
           (unsigned long long)info.packets_sent);
}

/* Every range is here, or the run ended early without a failure. */
static int conclude(struct client *client)
{
    char hex[2 * WEIR_HASH_BYTES + 1];
    struct part *part = &client->part;
    uint64_t passed_us = client->now_us - client->began_us + 1;
    if (!client->knows_file) return fetch_complain("interrupted before the server answered");
    if (part->done < part->ranges) {
        printf("%s: %llu of %llu ranges are in %s; the same command goes on from there\n",
               client->status == 0 ? "stopped" : "interrupted", (unsigned long long)part->done,
               (unsigned long long)part->ranges, part->path);
        return client->status;
    }
    if (part_finish(part) != 0) return 1;
    fetch_hex(part->file.digest, hex);
    printf("hash %s BLAKE2b-256, as the server said\n", hex);
    printf("fetched %llu bytes in %.3f s, %.1f MiB/s: %s\n", (unsigned long long)client->came,
           (double)passed_us / 1e6, speed(client->came, passed_us), part->out);
    return 0;
}

/* Whoever asked for holiday/film.mkv gets film.mkv. */
static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash != NULL ? slash + 1 : name;
}

int fetch_get(const char *address, const char *name, const struct fetch_options *options)
{
    static struct client client;
    weir_node_options node_options = {.size = sizeof node_options, .idle_timeout_us = IDLE_US};
    uint8_t request[FETCH_REQUEST_MAX];
    const char *out = options->out != NULL ? options->out : last_part(name);
    if (fetch_request_encode(request, name, 0, 0) == 0 || *out == 0) {
        return fetch_complain("\"%s\" cannot be a file's name", name);
    }
    client.address = address;
    client.name = name;
    client.options = options;
    progress_begin(&client.progress);
    client.node = fetch_node_create(&node_options, options);
    if (client.node == NULL) return 1;
    fetch_catch_signals();
    int status = part_open(&client.part, out);
    if (status == 0) {
        run(&client);
        progress_clear(&client.progress);
        status = client.status;
        if (client.is_connected) {
            if (client.knows_file) say_connection(&client);
            weir_connection_close(client.node, client.connection, 0, "thank you");
        }
    }
    /* Checking a big file takes a while; the server need not wait for that. */
    weir_node_free(client.node);
    if (status == 0 || status == STATUS_INTERRUPTED) status = conclude(&client);
    part_close(&client.part);
    return status;
}
