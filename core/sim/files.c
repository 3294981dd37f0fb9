/* SPDX-License-Identifier: MIT */
#include "sim/files.h"
#include "base/assert.h"
#include <string.h>

enum { FILE_FIRST_BYTES = 4096 };

struct disk_file {
    char *path;
    size_t path_len;
    uint8_t *bytes;
    uint64_t size, capacity;
};

/* One open file: a local stream of the node. */
struct open_file {
    struct happening happening; /* always in the agenda, at the end of time when nothing is due */
    struct list link;
    struct world_node *node;
    struct disk_file *file; /* NULL until it was opened */
    uint64_t token, position;
    uint32_t flags;
    bool is_given_up;
    size_t path_len;
    char path[];
};

struct files {
    struct map by_path;
    struct list open;
};

static const void *path_of(const void *value, size_t *len)
{
    const struct disk_file *file = value;

    *len = file->path_len;
    return file->path;
}

static struct files *files_of(struct world_node *n)
{
    struct world *w = n->world;

    if (n->files != NULL) return n->files;
    n->files = mem_alloc(w->mem, sizeof *n->files);
    if (n->files == NULL) return NULL;
    map_init(&n->files->by_path, w->mem, w->network.hash_key, path_of);
    list_init(&n->files->open);
    return n->files;
}

/* Make room for so many bytes; what is new is zero. @return 0, WEIR_E_IO the disk is full, or
 * WEIR_E_MEMORY */
static int grow(const struct mem *mem, struct disk_file *file, uint64_t size)
{
    uint64_t capacity = file->capacity > 0 ? file->capacity : FILE_FIRST_BYTES;
    uint8_t *bytes;

    if (size > FILE_BYTES_MAX) return WEIR_E_IO;
    if (size > file->capacity) {
        while (capacity < size) capacity *= 2;
        bytes = mem_resize(mem, file->bytes, (size_t)file->capacity, (size_t)capacity);
        if (bytes == NULL) return WEIR_E_MEMORY;
        memset(bytes + file->capacity, 0, (size_t)(capacity - file->capacity));
        file->bytes = bytes;
        file->capacity = capacity;
    }
    if (size > file->size) file->size = size;
    return 0;
}

static void cut(struct disk_file *file)
{
    if (file->size > 0) memset(file->bytes, 0, (size_t)file->size);
    file->size = 0;
}

static int store(const struct mem *mem, struct disk_file *file, uint64_t at, const void *data,
                 uint64_t len)
{
    int error = at > FILE_BYTES_MAX ? WEIR_E_IO : grow(mem, file, at + len);

    if (error == 0 && len > 0) memcpy(file->bytes + at, data, (size_t)len);
    return error;
}

static void drop_file(const struct mem *mem, struct disk_file *file)
{
    mem_free(mem, file->bytes, (size_t)file->capacity);
    mem_free(mem, file->path, file->path_len);
    mem_free(mem, file, sizeof *file);
}

static int make(struct world_node *n, const char *path, size_t len, struct disk_file **out)
{
    const struct mem *mem = n->world->mem;
    struct disk_file *file;

    if (n->files->by_path.count >= FILES_MAX) return WEIR_E_LIMIT;
    file = mem_alloc(mem, sizeof *file);
    if (file == NULL) return WEIR_E_MEMORY;
    file->path_len = len;
    file->path = mem_alloc(mem, len);
    if (file->path != NULL) memcpy(file->path, path, len);
    if (file->path == NULL || !map_add(&n->files->by_path, file)) {
        drop_file(mem, file);
        return WEIR_E_MEMORY;
    }
    *out = file;
    return 0;
}

int files_put(struct world_node *n, const char *path, size_t path_len, const void *data,
              uint64_t len)
{
    struct files *files = files_of(n);
    struct disk_file *file;
    int error = 0;

    if (files == NULL) return WEIR_E_MEMORY;
    if (path_len == 0 || len > FILE_BYTES_MAX) return WEIR_E_ARGUMENT;
    file = map_get(&files->by_path, path, path_len);
    if (file == NULL) error = make(n, path, path_len, &file);
    if (error != 0) return error;
    cut(file);
    return store(n->world->mem, file, 0, data, len);
}

static void due(struct open_file *o, uint64_t when_us)
{
    /* It is inside already, so there is room for it. */
    bool is_set = heap_set(&o->node->world->agenda, &o->happening.heap, when_us);

    WEIR_ASSERT(is_set);
}

int files_open(struct world_node *n, uint32_t kind, uint32_t flags, const char *path, size_t len,
               uint64_t offset, uint64_t token)
{
    struct world *w = n->world;
    struct files *files = files_of(n);
    struct open_file *o;

    if (kind != NODE_LOCAL_FILE) return WEIR_E_UNSUPPORTED;
    o = files != NULL ? mem_alloc(w->mem, sizeof *o + len) : NULL;
    if (o == NULL) return WEIR_E_MEMORY;
    o->happening.kind = HAPPENING_FILE;
    o->happening.heap.order = network_order(&w->network, n->number);
    o->node = n;
    o->token = token;
    o->flags = flags;
    o->position = offset;
    o->path_len = len;
    memcpy(o->path, path, len);
    if (!heap_set(&w->agenda, &o->happening.heap, w->now_us)) {
        mem_free(w->mem, o, sizeof *o + len);
        return WEIR_E_MEMORY;
    }
    list_push_back(&files->open, &o->link);
    return 0;
}

static struct open_file *find(const struct world_node *n, uint64_t token)
{
    struct list *link;

    if (n->files == NULL) return NULL;
    for (link = n->files->open.next; link != &n->files->open; link = link->next) {
        struct open_file *o = list_entry(link, struct open_file, link);

        if (o->token == token) return o;
    }
    return NULL;
}

void files_wants(struct world_node *n, uint64_t token)
{
    struct open_file *o = find(n, token);

    if (o != NULL) due(o, n->world->now_us);
}

void files_end(struct world_node *n, uint64_t token)
{
    struct open_file *o = find(n, token);

    if (o == NULL) return;
    o->is_given_up = true;
    due(o, n->world->now_us);
}

static void drop_open(struct open_file *o)
{
    struct world *w = o->node->world;

    heap_remove(&w->agenda, &o->happening.heap);
    list_remove(&o->link);
    mem_free(w->mem, o, sizeof *o + o->path_len);
}

static int64_t tell(const struct open_file *o, uint32_t fact, uint64_t amount, const void *data,
                    size_t len)
{
    struct node_input in = {.kind = NODE_INPUT_LOCAL};

    in.local.fact = fact;
    in.local.token = o->token;
    in.local.amount = amount;
    in.local.data = data;
    in.local.len = len;
    return world_give(o->node, &in);
}

static void end(struct open_file *o, int error)
{
    struct node_input in = {.kind = NODE_INPUT_LOCAL};
    struct world_node *n = o->node;

    in.local.fact = NODE_LOCAL_CLOSED;
    in.local.token = o->token;
    in.local.error = error;
    drop_open(o);
    (void)world_give(n, &in);
}

/* As open() would. @return 0 or WEIR_E_* */
static int look_up(struct open_file *o)
{
    struct map *by_path = &o->node->files->by_path;
    int error = 0;

    o->file = map_get(by_path, o->path, o->path_len);
    if ((o->flags & WEIR_FILE_READ) != 0) return o->file == NULL ? WEIR_E_NOT_FOUND : 0;
    if (o->file != NULL && (o->flags & WEIR_FILE_NEW) != 0) return WEIR_E_EXISTS;
    if (o->file == NULL) error = make(o->node, o->path, o->path_len, &o->file);
    if (error != 0) return error == WEIR_E_LIMIT ? WEIR_E_IO : error;
    bool keeps = o->position != 0 || (o->flags & WEIR_FILE_KEEP) != 0;
    if ((o->flags & WEIR_FILE_WRITE) != 0 && !keeps) cut(o->file);
    return 0;
}

static void read_piece(struct open_file *o)
{
    int64_t credit = node_local_credit(o->node->node, o->token);
    uint64_t len = o->position < o->file->size ? o->file->size - o->position : 0;

    if (credit < 0 || (credit > 0 && len == 0)) {
        end(o, 0);
        return;
    }
    if (credit == 0) return;
    if (len > (uint64_t)credit) len = (uint64_t)credit;
    if (len > FILE_PIECE_BYTES) len = FILE_PIECE_BYTES;
    due(o, o->node->world->now_us);
    o->position += len;
    (void)tell(o, NODE_LOCAL_DATA, 0, o->file->bytes + o->position - len, (size_t)len);
}

static void write_piece(struct open_file *o)
{
    const uint8_t *data;
    bool fin;
    int64_t waiting = node_local_peek(o->node->node, o->token, &data, &fin);
    uint64_t len = waiting > FILE_PIECE_BYTES ? FILE_PIECE_BYTES : (uint64_t)waiting;
    int error;

    if (waiting < 0 || (waiting == 0 && fin)) {
        end(o, 0);
        return;
    }
    if (waiting == 0) return;
    if ((o->flags & WEIR_FILE_APPEND) != 0) o->position = o->file->size;
    error = store(o->node->world->mem, o->file, o->position, data, len);
    if (error != 0) {
        end(o, error);
        return;
    }
    due(o, o->node->world->now_us);
    o->position += len;
    (void)tell(o, NODE_LOCAL_WROTE, len, NULL, 0);
}

void files_happen(struct happening *happening)
{
    struct open_file *o = list_entry(happening, struct open_file, happening);
    int error;

    due(o, UINT64_MAX);
    if (o->is_given_up) {
        end(o, 0);
        return;
    }
    if (o->file == NULL) {
        error = look_up(o);
        if (error != 0) {
            end(o, error);
            return;
        }
        due(o, o->node->world->now_us);
        (void)tell(o, NODE_LOCAL_OPENED, o->file->size, NULL, 0);
    } else if ((o->flags & WEIR_FILE_READ) != 0) {
        read_piece(o);
    } else {
        write_piece(o);
    }
}

void files_leave(struct world_node *n)
{
    struct open_file *o;

    if (n->files == NULL) return;
    while ((o = list_first(&n->files->open, struct open_file, link)) != NULL) drop_open(o);
}

void files_free(struct world_node *n)
{
    struct files *files = n->files;
    struct disk_file *file;
    uint32_t cursor = 0;

    if (files == NULL) return;
    files_leave(n);
    while ((file = map_next(&files->by_path, &cursor)) != NULL) drop_file(n->world->mem, file);
    map_free(&files->by_path);
    mem_free(n->world->mem, files, sizeof *files);
    n->files = NULL;
}
