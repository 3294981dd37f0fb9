/* SPDX-License-Identifier: MIT */
#include "node/protocols.h"
#include "base/assert.h"
#include "node/errors.h"
#include "node/stream_head.h"
#include <string.h>

enum { URGENCY_DEFAULT = 3, NUMBERS_FIRST = 4 };

struct protocols {
    struct map by_name;
    struct protocol **numbers; /**< [number - 1]; NULL: free */
    uint32_t capacity, served;
};

static const void *name_key(const void *value, size_t *len)
{
    const struct protocol *p = value;
    *len = p->len;
    return p->name;
}

static struct protocol *find(const struct node *node, const char *name, size_t len)
{
    return node->protocols == NULL ? NULL : map_get(&node->protocols->by_name, name, len);
}

struct protocol *protocols_served(const struct node *node, const char *name, size_t len)
{
    struct protocol *p = find(node, name, len);
    return p != NULL && p->served ? p : NULL;
}

static int table_open(struct node *node)
{
    int error = 0;
    if (node->protocols != NULL) return 0;
    node->protocols = state_alloc(node, sizeof *node->protocols, &error);
    if (node->protocols != NULL)
        map_init(&node->protocols->by_name, node->env.mem, node->hash_key, name_key);
    return error;
}

/* A free number. @return 0 without memory */
static uint32_t number_take(struct node *node, struct protocol *p, int *error)
{
    struct protocols *t = node->protocols;
    uint32_t i = 0;
    while (i < t->capacity && t->numbers[i] != NULL) i++;
    if (i == t->capacity) {
        uint32_t capacity = t->capacity == 0 ? NUMBERS_FIRST : t->capacity * 2;
        struct protocol **numbers = state_alloc(node, capacity * sizeof *numbers, error);
        if (numbers == NULL) return 0;
        if (i > 0) memcpy(numbers, t->numbers, i * sizeof *numbers);
        state_release(node, t->numbers, t->capacity * sizeof *numbers);
        t->numbers = numbers;
        t->capacity = capacity;
    }
    t->numbers[i] = p;
    return i + 1;
}

struct protocol *protocols_intern(struct node *node, const char *name, size_t len, int *error)
{
    struct protocol *p = find(node, name, len);
    if (p != NULL) return p;
    WEIR_ASSERT(len <= STREAM_HEAD_NAME_MAX);
    *error = table_open(node);
    if (*error != 0) return NULL;
    p = state_alloc(node, sizeof *p + len, error);
    if (p == NULL) return NULL;
    p->len = (uint8_t)len;
    p->urgency = URGENCY_DEFAULT;
    memcpy(p->name, name, len);
    p->number = number_take(node, p, error);
    if (p->number != 0) {
        if (map_add(&node->protocols->by_name, p)) return p;
        node->protocols->numbers[p->number - 1] = NULL;
        *error = WEIR_E_MEMORY;
    }
    state_release(node, p, sizeof *p + len);
    return NULL;
}

uint32_t protocols_hold(struct protocol *p)
{
    p->refs++;
    return p->number;
}

void protocols_sweep(struct node *node, struct protocol *p)
{
    if (p->served || p->refs > 0) return;
    WEIR_ASSERT(map_remove(&node->protocols->by_name, p->name, p->len) == p);
    node->protocols->numbers[p->number - 1] = NULL;
    state_release(node, p, sizeof *p + p->len);
}

void protocols_release(struct node *node, uint32_t number)
{
    if (number == 0) return;
    struct protocol *p = node->protocols->numbers[number - 1];
    WEIR_ASSERT(p->refs > 0);
    p->refs--;
    protocols_sweep(node, p);
}

const struct protocol *protocols_at(const struct node *node, uint32_t number)
{
    return number == 0 ? NULL : node->protocols->numbers[number - 1];
}

void protocols_free(struct node *node)
{
    struct protocols *t = node->protocols;
    if (t == NULL) return;
    for (uint32_t i = 0; i < t->capacity; i++) {
        if (t->numbers[i] != NULL)
            state_release(node, t->numbers[i], sizeof *t->numbers[i] + t->numbers[i]->len);
    }
    state_release(node, t->numbers, t->capacity * sizeof *t->numbers);
    map_free(&t->by_name);
    state_release(node, t, sizeof *t);
    node->protocols = NULL;
}

static int check_name(struct node *node, const char *name, size_t len)
{
    uint64_t max = node->env.limits->value[LIMIT_PROTOCOL_NAME];
    if (!stream_head_is_name(name, len, max))
        return errors_fail(
            node, WEIR_E_NAME, NULL, NULL,
            "a protocol's name has 1 to %llu printable ASCII characters and no space",
            (unsigned long long)max);
    if (len >= 5 && memcmp(name, "weir/", 5) == 0)
        return errors_fail(node, WEIR_E_NAME, NULL, NULL,
                           "names that begin with weir/ are weir's own: choose another");
    return 0;
}

int64_t protocols_on_serve(struct node *node, const struct node_call *call)
{
    const weir_serve_options *options = call->options;
    uint64_t max = node->env.limits->value[LIMIT_PROTOCOLS];
    const char *name = call->data;
    int error = check_name(node, name, call->len);
    if (error != 0) return error;
    uint32_t urgency = options == NULL || options->urgency_plus1 == 0 ? URGENCY_DEFAULT
                                                                      : options->urgency_plus1 - 1;
    if (urgency >= SCHED_URGENCIES) return WEIR_E_ARGUMENT;
    if (protocols_served(node, name, call->len) != NULL)
        return errors_fail(node, WEIR_E_EXISTS, NULL, NULL, "%.*s is served already",
                           (int)call->len, name);
    if (node->protocols != NULL && node->protocols->served >= max) {
        const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                           .name = LIMIT_PROTOCOLS,
                                           .side = LIMIT_SIDE_LOCAL,
                                           .used = node->protocols->served,
                                           .max = max};
        return errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                           "the node serves as many protocols as its limit allows");
    }
    struct protocol *p = protocols_intern(node, name, call->len, &error);
    if (p == NULL) return error;
    p->served = true;
    p->urgency = (uint8_t)urgency;
    p->user = options == NULL ? 0 : options->user;
    node->protocols->served++;
    return 0;
}

int64_t protocols_on_unserve(struct node *node, const struct node_call *call)
{
    struct protocol *p = protocols_served(node, call->data, call->len);
    if (p == NULL)
        return errors_fail(node, WEIR_E_NOT_FOUND, NULL, NULL, "that protocol is not served");
    p->served = false;
    node->protocols->served--;
    protocols_sweep(node, p);
    return 0;
}
