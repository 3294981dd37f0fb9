/* SPDX-License-Identifier: MIT */
#include "sim/world.h"
#include "api/enter.h"
#include "api/node_options.h"
#include "loop/loop.h"
#include "quic/quic.h"
#include <string.h>

/* By fidelity. */
static const struct transport_ops *const packet_transports[] = {&quic_transport};
static const struct transport_ops *const message_transports[] = {&loop_transport};

static struct world *world_of(const weir_world *world)
{
    return (struct world *)(uintptr_t)world;
}

WEIR_API int32_t weir_world_create(const weir_world_options *options, weir_world **world,
                                   weir_error *error)
{
    weir_world_options whole;
    struct world *made = NULL;
    weir_error facts;
    int result = facts_begin(&facts, error);
    if (result != 0) return result;
    if (world == NULL) return facts_end(&facts, error, WEIR_E_NULL);
    *world = NULL;
    result = secret_init();
    if (result == 0) result = options_read(&whole, sizeof whole, options);
    if (result == 0) {
        bool is_message = whole.fidelity == WEIR_FIDELITY_MESSAGE;
        struct world_config config = {
            .mem = mem_system(),
            .seed = whole.seed,
            .start_us = whole.start_us,
            .fidelity = whole.fidelity,
            .transports = is_message ? message_transports : packet_transports,
            .transport_count = 1,
        };
        result = world_open(&config, &made);
    }
    if (result == 0) *world = (weir_world *)made;
    return facts_end(&facts, error, result);
}

WEIR_API int32_t weir_world_free(weir_world *world)
{
    if (world == NULL) return WEIR_E_NULL;
    world_free(world_of(world));
    return 0;
}

WEIR_API int32_t weir_world_add_node(weir_world *world, const weir_node_options *options,
                                     weir_node **node, weir_error *error)
{
    struct node_options taken;
    struct node *made = NULL;
    weir_error facts;
    int result = facts_begin(&facts, error);
    if (result != 0) return result;
    if (world == NULL || node == NULL) return facts_end(&facts, error, WEIR_E_NULL);
    *node = NULL;
    result = node_options_take(&taken, options, &facts);
    if (result == 0) {
        result = world_add_node(world_of(world), &taken.config, &made);
        node_options_wipe(&taken);
    }
    if (result == 0) *node = (weir_node *)made;
    return facts_end(&facts, error, result);
}

WEIR_API int32_t weir_world_link(weir_world *world, uint64_t a, uint64_t b,
                                 const weir_link_options *options)
{
    weir_link_options whole;
    if (world == NULL) return WEIR_E_NULL;
    int error = options_read(&whole, sizeof whole, options);
    return error != 0 ? error : world_link(world_of(world), a, b, &whole);
}

WEIR_API int32_t weir_world_file(weir_world *world, uint64_t node, const char *path,
                                 const void *data, uint64_t len)
{
    if (world == NULL || path == NULL || (data == NULL && len > 0)) return WEIR_E_NULL;
    return world_file(world_of(world), node, path, data, len);
}

WEIR_API int32_t weir_world_run(weir_world *world, uint64_t until_us)
{
    return world == NULL ? WEIR_E_NULL : world_run(world_of(world), until_us);
}

WEIR_API int64_t weir_world_poll(weir_world *world, uint32_t shard, weir_event *events,
                                 uint32_t cap)
{
    if (world == NULL || (events == NULL && cap > 0)) return WEIR_E_NULL;
    return world_poll(world_of(world), shard, events, cap);
}

WEIR_API uint64_t weir_world_now(weir_world *world)
{
    return world == NULL ? 0 : world_now(world_of(world));
}

WEIR_API uint64_t weir_world_hash(weir_world *world)
{
    return world == NULL ? 0 : world_hash(world_of(world));
}
