/* SPDX-License-Identifier: MIT */
/* The table of local streams of a host, and what all kinds have in common. */
#include "host/local.h"
#include "base/assert.h"
#include "host/local_item.h"
#include <string.h>

static const void *token_of(const void *value, size_t *len)
{
    const struct local *l = value;

    *len = sizeof l->token;
    return &l->token;
}

void locals_init(struct locals *locals, uv_loop_t *loop, const struct mem *mem)
{
    /* Tokens are the node's own numbers: nobody chooses them, so the key needs no secret. */
    static const uint8_t hash_key[16];

    memset(locals, 0, sizeof *locals);
    locals->mem = mem;
    locals->loop = loop;
    map_init(&locals->by_token, mem, hash_key, token_of);
    list_init(&locals->all);
    list_init(&locals->ready);
}

int local_error(int64_t uv_error)
{
    switch (uv_error) {
    case 0: return 0;
    case UV_ENOENT:
    case UV_ENOTDIR: return WEIR_E_NOT_FOUND;
    case UV_EACCES:
    case UV_EPERM:
    case UV_EROFS: return WEIR_E_PERMISSION;
    case UV_EEXIST: return WEIR_E_EXISTS;
    case UV_ENOMEM: return WEIR_E_MEMORY;
    case UV_ENAMETOOLONG: return WEIR_E_ARGUMENT;
    case UV_ECONNREFUSED: return WEIR_E_REFUSED;
    case UV_ECONNRESET:
    case UV_EPIPE: return WEIR_E_PEER_CLOSED;
    default: return WEIR_E_IO;
    }
}

void local_queue(struct local *l)
{
    if (l->is_told || list_is_linked(&l->ready_link)) return;
    list_push_back(&l->locals->ready, &l->ready_link);
}

int locals_open(struct locals *locals, uint32_t kind, uint32_t flags, const char *what, size_t len,
                uint64_t offset, uint64_t token)
{
    struct local *l = mem_alloc(locals->mem, sizeof *l);

    WEIR_ASSERT(!locals->is_closed);
    if (l == NULL) return WEIR_E_MEMORY;
    l->locals = locals;
    l->token = token;
    l->kind = kind;
    l->flags = flags;
    l->len = len;
    l->fd = l->in.fd = l->out.fd = -1;
    l->position = offset > INT64_MAX ? INT64_MAX : (int64_t)offset;
    l->what = mem_alloc(locals->mem, len + 1);
    if (locals->buffer == NULL && kind != NODE_LOCAL_FILE)
        locals->buffer = mem_alloc(locals->mem, LOCAL_PIECE_BYTES);
    if (l->what == NULL || (locals->buffer == NULL && kind != NODE_LOCAL_FILE) ||
        !map_add(&locals->by_token, l)) {
        mem_free(locals->mem, l->what, len + 1);
        mem_free(locals->mem, l, sizeof *l);
        return WEIR_E_MEMORY;
    }
    memcpy(l->what, what, len);
    list_push_back(&locals->all, &l->link);
    local_queue(l);
    return 0;
}

void locals_wants(struct locals *locals, uint64_t token)
{
    struct local *l = map_get(&locals->by_token, &token, sizeof token);

    if (l != NULL) local_queue(l);
}

void locals_end(struct locals *locals, uint64_t token, bool kill)
{
    struct local *l = map_get(&locals->by_token, &token, sizeof token);

    if (l == NULL) return;
    l->is_given_up = true;
    if (kill) l->is_to_kill = true;
    local_queue(l);
}

int64_t local_tell(const struct local *l, struct node *node, uint32_t fact, uint64_t amount,
                   const void *data, size_t len, uint64_t now_us)
{
    struct node_input in = {.kind = NODE_INPUT_LOCAL, .now_us = now_us};

    in.local.fact = fact;
    in.local.token = l->token;
    in.local.error = fact == NODE_LOCAL_CLOSED ? l->error : 0;
    in.local.amount = amount;
    in.local.data = data;
    in.local.len = len;
    return node_input(node, &in);
}

static void forget(struct local *l)
{
    const void *removed = map_remove(&l->locals->by_token, &l->token, sizeof l->token);

    WEIR_ASSERT(removed == l);
    l->is_told = true;
    list_remove(&l->ready_link);
}

void local_finish(struct local *l, struct node *node, uint64_t now_us)
{
    forget(l);
    (void)local_tell(l, node, NODE_LOCAL_CLOSED, l->exit_code, NULL, 0, now_us);
    local_release(l);
}

void local_release(struct local *l)
{
    const struct mem *mem = l->locals->mem;

    if (!l->is_told || l->handles > 0 || l->op != LOCAL_IDLE) return;
    WEIR_ASSERT(l->fd < 0 && l->in.fd < 0 && l->out.fd < 0);
    WEIR_ASSERT(!l->is_running);
    list_remove(&l->link);
    mem_free(mem, l->bytes, LOCAL_PIECE_BYTES);
    mem_free(mem, l->what, l->len + 1);
    mem_free(mem, l, sizeof *l);
}

static void kill_late(struct locals *locals, uint64_t now_us)
{
    struct list *link;

    if (locals->dying == 0) return;
    for (link = locals->all.next; link != &locals->all; link = link->next)
        local_child_on_time(list_entry(link, struct local, link), now_us);
}

static void run_one(struct local *l, struct node *node, uint64_t now_us)
{
    if (local_is_pipe(l))
        local_pipe_run(l, node, now_us);
    else
        local_file_run(l, node, now_us);
}

void locals_run(struct locals *locals, struct node *node, uint64_t now_us)
{
    struct list todo;
    struct local *l;

    kill_late(locals, now_us);
    /* Those that become ready meanwhile wait for the next turn. */
    list_init(&todo);
    while ((l = list_first(&locals->ready, struct local, ready_link)) != NULL) {
        list_remove(&l->ready_link);
        list_push_back(&todo, &l->ready_link);
    }
    while ((l = list_first(&todo, struct local, ready_link)) != NULL) {
        list_remove(&l->ready_link);
        run_one(l, node, now_us);
    }
}

void locals_flush(struct locals *locals, struct node *node, uint64_t now_us)
{
    struct list *link, *next;

    for (link = locals->ready.next; link != &locals->ready; link = next) {
        struct local *l = list_entry(link, struct local, ready_link);

        next = link->next;
        if (local_is_pipe(l)) local_pipe_write(l, node, now_us);
    }
}

uint64_t locals_deadline(const struct locals *locals)
{
    const struct list *link;
    uint64_t at_us = UINT64_MAX;

    if (!list_is_empty(&locals->ready)) return 0;
    if (locals->dying == 0) return UINT64_MAX;
    for (link = locals->all.next; link != &locals->all; link = link->next) {
        const struct local *l = list_entry(link, struct local, link);

        if (l->kill_us != 0 && l->kill_us < at_us) at_us = l->kill_us;
    }
    return at_us;
}

void locals_close(struct locals *locals)
{
    struct list *link = locals->all.next;

    locals->is_closed = true;
    while (link != &locals->all) {
        struct local *l = list_entry(link, struct local, link);

        link = link->next;
        if (!l->is_told) forget(l);
        local_end_close(&l->in);
        local_end_close(&l->out);
        local_child_drop(l);
        local_file_drop(l);
        local_release(l);
    }
}

void locals_free(struct locals *locals)
{
    WEIR_ASSERT(list_is_empty(&locals->all));
    WEIR_ASSERT(locals->busy == 0);
    map_free(&locals->by_token);
    mem_free(locals->mem, locals->buffer, LOCAL_PIECE_BYTES);
}
