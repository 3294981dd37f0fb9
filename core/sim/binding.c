/* SPDX-License-Identifier: MIT */
#include "sim/binding.h"
#include "base/hash.h"
#include "base/rng.h"
#include <string.h>

static const void *seen_key(const void *value, size_t *len)
{
    const struct binding *binding = value;

    *len = sizeof binding->seen;
    return &binding->seen;
}

void bindings_init(struct bindings *bindings, const struct mem *mem, const uint8_t *hash_key,
                   uint64_t seed)
{
    memset(bindings, 0, sizeof *bindings);
    bindings->mem = mem;
    bindings->seed = seed;
    map_init(&bindings->by_seen, mem, hash_key, seen_key);
}

void bindings_free(struct bindings *bindings)
{
    map_free(&bindings->by_seen);
}

static struct binding *find(const struct link *link, const struct endpoint *real)
{
    struct binding *binding = link->bindings;

    while (binding != NULL && !endpoint_equal(&binding->real, real)) binding = binding->next;
    return binding;
}

/* When both directions rebind, they do it half an interval apart: two peers that lose each
 * other's address at the same instant could never meet again. */
static void schedule_first(struct binding *binding, const struct link *link, uint64_t now_us)
{
    binding->every_us = link->rule->rebind_every_us;
    binding->rebind_us = now_us + binding->every_us;
    if (link->pair[0] > link->pair[1]) binding->rebind_us -= binding->every_us / 2;
}

static struct binding *add(struct bindings *bindings, struct link *link,
                           const struct endpoint *real, uint64_t now_us)
{
    struct binding *binding = mem_alloc(bindings->mem, sizeof *binding);

    if (binding == NULL) return NULL;
    binding->seen = binding->real = *real;
    schedule_first(binding, link, now_us);
    binding->next = link->bindings;
    link->bindings = binding;
    return binding;
}

/* A free address of 100.64.0.0/10, the carriers' own (RFC 6598), or fd64::/16, with a high port. */
static struct endpoint draw_address(const struct bindings *bindings, const struct link *link,
                                    const struct binding *binding)
{
    uint64_t pair = (uint64_t)link->pair[0] << 32 | link->pair[1];
    struct endpoint seen;
    struct rng rng;

    rng_init(&rng, bindings->seed, "rebind",
             hash_mix(hash_mix(pair, binding->real.port), binding->count));
    do {
        uint8_t bytes[16] = {0xfd, 0x64};
        uint16_t port = (uint16_t)(1024 + rng_below(&rng, 65536 - 1024));
        uint32_t host = (uint32_t)rng_below(&rng, UINT32_C(1) << 22);

        if (binding->real.family == ENDPOINT_IP4) {
            seen = endpoint_ip4(100, (uint8_t)(64 + (host >> 16)), (uint8_t)(host >> 8 & 0xff),
                                (uint8_t)(host & 0xff), port);
        } else {
            bytes[13] = (uint8_t)(host >> 16);
            bytes[14] = (uint8_t)(host >> 8 & 0xff);
            bytes[15] = (uint8_t)(host & 0xff);
            seen = endpoint_ip6(bytes, port, 0);
        }
    } while (map_get(&bindings->by_seen, &seen, sizeof seen) != NULL);
    return seen;
}

static void change(struct bindings *bindings, struct link *link, struct binding *binding,
                   uint64_t now_us)
{
    struct endpoint old = binding->seen;

    map_remove(&bindings->by_seen, &binding->seen, sizeof binding->seen);
    binding->count++;
    binding->seen = draw_address(bindings, link, binding);
    if (!map_add(&bindings->by_seen, binding)) {
        binding->seen = old;
        if (!endpoint_equal(&old, &binding->real)) (void)map_add(&bindings->by_seen, binding);
        return;
    }
    binding->rebind_us +=
        ((now_us - binding->rebind_us) / binding->every_us + 1) * binding->every_us;
}

struct endpoint binding_pass(struct bindings *bindings, struct link *link,
                             const struct endpoint *real, uint64_t now_us)
{
    uint64_t every_us = link->rule->rebind_every_us;
    struct binding *binding = link->bindings == NULL ? NULL : find(link, real);

    /* Numbers of the in-memory transport are no addresses: nothing translates them. */
    if (real->family == ENDPOINT_MEMORY) return *real;
    if (binding == NULL) {
        if (every_us == 0) return *real;
        binding = add(bindings, link, real, now_us);
        if (binding == NULL) return *real;
    }
    if (binding->every_us != every_us) schedule_first(binding, link, now_us);
    if (every_us > 0 && now_us >= binding->rebind_us) change(bindings, link, binding, now_us);
    return binding->seen;
}

const struct endpoint *binding_real(const struct bindings *bindings, const struct endpoint *seen)
{
    const struct binding *binding = map_get(&bindings->by_seen, seen, sizeof *seen);

    return binding == NULL ? NULL : &binding->real;
}

bool binding_hides(const struct link *link, const struct endpoint *real)
{
    const struct binding *binding = find(link, real);

    return binding != NULL && !endpoint_equal(&binding->seen, real);
}

void binding_forget(struct bindings *bindings, struct link *link)
{
    while (link->bindings != NULL) {
        struct binding *binding = link->bindings;

        link->bindings = binding->next;
        map_remove(&bindings->by_seen, &binding->seen, sizeof binding->seen);
        mem_free(bindings->mem, binding, sizeof *binding);
    }
}
