/* SPDX-License-Identifier: MIT */
/* A store on the disk. It is written whole, into two files by turns, each with a sequence number
 * and a hash at its end: a crash in the middle of a write damages the older one of two, and what is
 * read is the newest that is whole. At most one write in a second.
 *
 * A file: "weirst1\n", the sequence number and the count of values (8 bytes each, the first byte
 * is the highest), for each the length of its name (1 byte), its name, the length of the value
 * (4 bytes), the value; then the BLAKE2b-256 of all of it. */
#include "store_state.h"
#include "stream_state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 24, SAVE_GAP_US = 1000000, SAVE_LEAST_US = 1000, RETRIES_US = 10000000 };
static const char magic[] = "weirst1\n";

static weir_node *node_of(const struct store *s)
{
    return s->in->place->node;
}

static bool path_of(const struct store *s, int which, char *out)
{
    char name[160];
    const char *why;

    snprintf(name, sizeof name, "%s.%s.store.%c", s->in->script->protocol, s->entry->name,
             which ? 'b' : 'a');
    for (char *at = name; *at; at++)
        if (*at == '/') *at = '_';
    return local_path(s->in->script->lua, name, out, &why) == NULL;
}

/* ---- the image */

static uint8_t *put_number(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

static uint64_t get_number(const uint8_t *data, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++) value = value << 8 | data[i];
    return value;
}

static void hash_of(const uint8_t *data, size_t len, uint8_t digest[WEIR_HASH_BYTES])
{
    weir_hash hash;

    weir_hash_init(&hash);
    weir_hash_update(&hash, data, len);
    weir_hash_final(&hash, digest);
}

static uint8_t *make_image(const struct store *s, uint64_t sequence, uint32_t *len_out)
{
    size_t len = HEAD_BYTES + WEIR_HASH_BYTES;
    uint8_t *image, *at;

    for (uint32_t i = 0; i < s->count; i++) len += 5u + s->items[i]->key_len + s->items[i]->len;
    image = malloc(len);
    if (!image) return NULL;
    memcpy(image, magic, 8);
    at = put_number(image + 8, sequence, 8);
    at = put_number(at, s->count, 8);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct store_item *item = s->items[i];
        *at++ = (uint8_t)item->key_len;
        memcpy(at, item->bytes, item->key_len);
        at = put_number(at + item->key_len, item->len, 4);
        memcpy(at, item->bytes + item->key_len, item->len);
        at += item->len;
    }
    hash_of(image, (size_t)(at - image), at);
    *len_out = (uint32_t)len;
    return image;
}

/* The sequence number of an image that is whole; 0: it is not. */
static uint64_t check_image(const uint8_t *image, size_t len)
{
    uint8_t digest[WEIR_HASH_BYTES];

    if (len < HEAD_BYTES + WEIR_HASH_BYTES || memcmp(image, magic, 8) != 0) return 0;
    hash_of(image, len - WEIR_HASH_BYTES, digest);
    if (memcmp(digest, image + len - WEIR_HASH_BYTES, WEIR_HASH_BYTES) != 0) return 0;
    return get_number(image + 8, 8);
}

/* Its hash was right, so it is ours, but perhaps of a declaration with more room. */
static void read_image(struct store *s, const uint8_t *image, size_t len)
{
    const uint8_t *at = image + HEAD_BYTES, *end = image + len - WEIR_HASH_BYTES;
    uint64_t count = get_number(image + 16, 8);

    for (; count > 0 && end - at >= 5; count--) {
        uint32_t key_len = *at++, value_len;
        const char *key = (const char *)at;
        if (key_len == 0 || key_len > STORE_KEY_MAX || end - at < (ptrdiff_t)key_len + 4) return;
        value_len = (uint32_t)get_number(at + key_len, 4);
        at += key_len + 4;
        if ((uint64_t)(end - at) < value_len) return;
        if (store_put(s, key, key_len, at, value_len) < 0) {
            runtime_logf(s->in->script->lua, s->in->place, s->in->script, 2,
                         "the store '%s' has no room for all that was kept", s->entry->name);
            return;
        }
        at += value_len;
    }
}

/* ---- reading */

static void close_file(struct store_file *f)
{
    f->handle = 0;
    free(f->bytes);
    f->bytes = NULL;
    f->len = f->went = 0;
}

static void loaded(struct store *s)
{
    struct store_file *newest = &s->files[0];
    struct store_wait *w;

    if (s->files[1].sequence > newest->sequence) newest = &s->files[1];
    if (newest->sequence > 0) read_image(s, newest->bytes, newest->len);
    s->sequence = newest->sequence;
    close_file(&s->files[0]);
    close_file(&s->files[1]);
    s->is_loading = false;
    while ((w = list_first(&s->waits, struct store_wait, link)) != NULL) {
        struct task *t = w->task;
        list_remove(&w->link);
        free(w);
        t->wait = NULL;
        t->on_cancel = NULL;
        task_resume(t, 0);
    }
}

static bool append(struct store_file *f, const void *data, size_t len)
{
    /* As long as the largest image of this declaration, at most. */
    uint64_t most = HEAD_BYTES + WEIR_HASH_BYTES + entry_get(f->store->entry, "bytes");
    uint8_t *bytes;

    if (f->len + len > most) return false;
    bytes = realloc(f->bytes, f->len + len);
    if (!bytes) return false;
    memcpy(bytes + f->len, data, len);
    f->bytes = bytes;
    f->len += (uint32_t)len;
    return true;
}

static void read_more(struct store_file *f, const weir_event *event)
{
    weir_node *node = node_of(f->store);
    const void *data;
    int64_t len = 0;

    if (event->kind != WEIR_EVENT_STREAM_CLOSED) {
        while ((len = weir_stream_peek(node, f->handle, &data)) > 0) {
            if (!append(f, data, (size_t)len)) {
                weir_stream_stop(node, f->handle, 0);
                close_file(f);
                len = WEIR_E_END;
                break;
            }
            weir_stream_consume(node, f->handle, (uint64_t)len);
        }
        if (len >= 0) return;
    }
    f->handle = 0;
    f->sequence = f->bytes ? check_image(f->bytes, f->len) : 0;
    if (--f->store->loading == 0) loaded(f->store);
}

/* ---- writing */

static void save(struct store *s);

static void set_timer(struct store *s, uint64_t after_us)
{
    timer_set(&s->timer, s->in->place, place_now(s->in->place) + after_us);
}

static void saved(struct store_file *f, int32_t error)
{
    struct store *s = f->store;
    bool is_fine = error == 0 && f->went == f->len;

    if (is_fine)
        f->sequence = s->sequence;
    else if (!s->was_told)
        runtime_logf(s->in->script->lua, s->in->place, s->in->script, 2,
                     "the store '%s' cannot be kept: %s", s->entry->name,
                     weir_strerror(error ? error : WEIR_E_IO));
    s->was_told = !is_fine;
    close_file(f);
    s->is_saving = false;
    if (!is_fine) {
        s->is_dirty = true;
        set_timer(s, RETRIES_US);
    } else if (s->is_dirty)
        set_timer(s, SAVE_GAP_US);
}

static void write_more(struct store_file *f)
{
    int64_t taken;

    if (f->went == f->len) return;
    taken = weir_stream_write(node_of(f->store), f->handle, f->bytes + f->went, f->len - f->went,
                              WEIR_FIN);
    if (taken > 0) f->went += (uint32_t)taken;
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct store_file *f = list_entry(w, struct store_file, waiter);

    if (f->handle == 0 || event->object != f->handle) return;
    if (f->store->is_loading)
        read_more(f, event);
    else if (event->kind == WEIR_EVENT_STREAM_CLOSED)
        saved(f, event->error);
    else
        write_more(f);
}

/* Into the file that has the older one. */
static void save(struct store *s)
{
    int which = s->files[1].sequence < s->files[0].sequence;
    struct store_file *f = &s->files[which];
    char path[LOCAL_PATH_MAX];
    int64_t handle = WEIR_E_IO;

    s->saved_us = place_now(s->in->place);
    f->bytes = make_image(s, s->sequence + 1, &f->len);
    f->went = 0;
    if (f->bytes && path_of(s, which, path))
        handle = weir_file_open(node_of(s), path, WEIR_FILE_WRITE, 0, f->waiter.tag);
    s->is_dirty = false;
    s->is_saving = true;
    if (handle < 0) {
        saved(f, (int32_t)handle);
        return;
    }
    s->sequence++;
    f->sequence = 0;
    f->handle = (uint64_t)handle;
    write_more(f);
}

static void on_time(struct timer *timer)
{
    struct store *s = list_entry(timer, struct store, timer);

    if (s->is_dirty && !s->is_saving) save(s);
}

void store_changed(struct store *s)
{
    uint64_t now = place_now(s->in->place), wait = SAVE_LEAST_US;

    if (!s->is_kept || s->is_dirty) return;
    s->is_dirty = true;
    if (s->is_saving) return;
    if (s->saved_us != 0 && now < s->saved_us + SAVE_GAP_US) wait = s->saved_us + SAVE_GAP_US - now;
    set_timer(s, wait);
}

void store_load(struct store *s)
{
    weir_lua *lua = s->in->script->lua;
    char path[LOCAL_PATH_MAX];

    s->timer.on_time = on_time;
    if (!lua->files) return;
    s->is_kept = true;
    for (int i = 0; i < 2; i++) {
        struct store_file *f = &s->files[i];
        int64_t handle;
        f->store = s;
        f->waiter.on_event = on_event;
        if (waiter_add(lua, &f->waiter) == 0 || !path_of(s, i, path)) {
            s->is_kept = false;
            continue;
        }
        handle = weir_file_open(node_of(s), path, WEIR_FILE_READ, 0, f->waiter.tag);
        if (handle < 0) continue;
        f->handle = (uint64_t)handle;
        s->loading++;
    }
    s->is_loading = s->loading > 0;
}

void store_save_last(struct store *s)
{
    weir_lua *lua = s->in->script->lua;
    bool is_dirty = s->is_kept && s->is_dirty && !s->is_saving && !s->is_loading;

    if (is_dirty) save(s);
    timer_unset(lua, &s->timer);
    for (int i = 0; i < 2; i++) {
        struct store_file *f = &s->files[i];
        /* What was taken is written to the end; what was not leaves the other file the newest. */
        if (f->handle && f->went < f->len) weir_stream_reset(node_of(s), f->handle, 0);
        if (f->handle && s->is_loading) weir_stream_stop(node_of(s), f->handle, 0);
        waiter_remove(lua, &f->waiter);
        close_file(f);
    }
}
