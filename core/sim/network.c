/* SPDX-License-Identifier: MIT */
/* Where datagrams are between two nodes.
 *
 * A datagram's way is decided when it is sent: its link, its fate, its time of arrival. Its
 * address is looked up twice, when it is sent (to know the link) and when it arrives, because
 * the receiver may have gone meanwhile. All arrivals are in one heap by (time, receiving node,
 * sequence), so that what happens at one instant has one order. */
#include "sim/network.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/rng.h"
#include <string.h>

#define ORDER_SHIFT 40
#define ORDER_MAX ((UINT64_C(1) << ORDER_SHIFT) - 1)

static const void *place_key(const void *value, size_t *len)
{
    const struct place *place = value;

    *len = sizeof place->endpoint;
    return &place->endpoint;
}

static const void *link_key(const void *value, size_t *len)
{
    const struct link *link = value;

    *len = sizeof link->pair;
    return link->pair;
}

void network_init(struct network *network, const struct mem *mem, uint64_t seed, bool is_reliable)
{
    struct rng rng;

    memset(network, 0, sizeof *network);
    network->mem = mem;
    network->seed = seed;
    network->is_reliable = is_reliable;
    rng_init(&rng, seed, "network maps", 0);
    rng_fill(&rng, network->hash_key, sizeof network->hash_key);
    rules_init(&network->rules, mem, network->hash_key);
    bindings_init(&network->bindings, mem, network->hash_key, seed);
    map_init(&network->places, mem, network->hash_key, place_key);
    map_init(&network->links, mem, network->hash_key, link_key);
    heap_init(&network->flights, mem);
}

static void free_flight(struct network *network, struct flight *flight)
{
    mem_free(network->mem, flight, sizeof *flight + flight->len);
}

void network_free(struct network *network)
{
    struct heap_item *item;
    struct place *place;
    struct link *link;
    uint32_t cursor;

    if (network->current != NULL) free_flight(network, network->current);
    network->current = NULL;
    while ((item = heap_first(&network->flights)) != NULL) {
        heap_remove(&network->flights, item);
        free_flight(network, list_entry(item, struct flight, heap));
    }
    heap_free(&network->flights);
    for (cursor = 0; (link = map_next(&network->links, &cursor)) != NULL;) {
        binding_forget(&network->bindings, link);
        mem_free(network->mem, link, sizeof *link);
    }
    map_free(&network->links);
    for (cursor = 0; (place = map_next(&network->places, &cursor)) != NULL;) {
        mem_free(network->mem, place, sizeof *place);
    }
    map_free(&network->places);
    bindings_free(&network->bindings);
    rules_free(&network->rules);
}

bool network_is_free(const struct network *network, const struct endpoint *endpoint)
{
    return map_get(&network->places, endpoint, sizeof *endpoint) == NULL &&
           binding_real(&network->bindings, endpoint) == NULL;
}

int network_attach(struct network *network, const struct endpoint *endpoint, uint32_t number,
                   uint32_t socket, struct place **place)
{
    struct place *added;

    WEIR_ASSERT(number >= 1 && number <= RULE_NODES_MAX);
    if (!network_is_free(network, endpoint)) return WEIR_E_ADDRESS_IN_USE;
    added = mem_alloc(network->mem, sizeof *added);
    if (added == NULL) return WEIR_E_MEMORY;
    added->endpoint = *endpoint;
    added->number = number;
    added->socket = socket;
    if (!map_add(&network->places, added)) {
        mem_free(network->mem, added, sizeof *added);
        return WEIR_E_MEMORY;
    }
    *place = added;
    return 0;
}

void network_detach(struct network *network, struct place *place)
{
    void *removed = map_remove(&network->places, &place->endpoint, sizeof place->endpoint);

    WEIR_ASSERT(removed == place);
    mem_free(network->mem, place, sizeof *place);
}

uint64_t network_order(struct network *network, uint32_t number)
{
    WEIR_ASSERT(network->sequence < ORDER_MAX);
    return (uint64_t)number << ORDER_SHIFT | network->sequence++;
}

uint64_t network_order_last(uint32_t number)
{
    return (uint64_t)number << ORDER_SHIFT | ORDER_MAX;
}

/* One datagram is over: count it, fold it into the trace, show it. */
static void trace(struct network *network, const struct network_record *record)
{
    uint64_t hash = hash_mix(network->hash, record->time_us);

    hash = hash_mix(hash_mix(hash, record->from), record->to);
    hash = hash_mix_bytes(hash_mix(hash, record->len), record->data, record->len);
    network->hash = hash_mix(hash, (uint64_t)record->verdict);
    network->count[record->verdict]++;
    if (network->tap != NULL) network->tap(network->tap_context, record);
}

static struct link *find_link(const struct network *network, uint32_t from, uint32_t to)
{
    uint32_t pair[2] = {from, to};

    return map_get(&network->links, pair, sizeof pair);
}

static struct link *get_link(struct network *network, uint32_t from, uint32_t to)
{
    struct link *link = find_link(network, from, to);

    if (link == NULL) {
        link = mem_alloc(network->mem, sizeof *link);
        if (link == NULL) return NULL;
        link->pair[0] = from;
        link->pair[1] = to;
        if (!map_add(&network->links, link)) {
            mem_free(network->mem, link, sizeof *link);
            return NULL;
        }
    }
    link_refresh(link, &network->rules);
    return link;
}

/* Who answers at this address when `from` writes to it; NULL: nobody. */
static struct place *route(const struct network *network, uint32_t from,
                           const struct endpoint *destination)
{
    struct place *place = map_get(&network->places, destination, sizeof *destination);
    const struct endpoint *real;
    const struct link *back;

    /* Without a binding that changed, which is the rule, nothing can be hidden or renamed. */
    if (network->bindings.by_seen.count == 0) return place;
    if (place == NULL) {
        real = binding_real(&network->bindings, destination);
        return real == NULL ? NULL : map_get(&network->places, real, sizeof *real);
    }
    back = find_link(network, place->number, from);
    return back != NULL && binding_hides(back, destination) ? NULL : place;
}

/* What stays the same while one datagram is sent. */
struct sending {
    struct link *link;
    struct endpoint source;
    const struct endpoint *destination;
    uint8_t ecn;
    const uint8_t *data;
    size_t len;
};

enum launch { LAUNCH_ORIGINAL, LAUNCH_DUPLICATE, LAUNCH_REPLAY };

static bool launch(struct network *network, const struct sending *s, const struct link_fate *fate,
                   enum launch copy)
{
    const uint64_t arrivals_us[] = {fate->arrival_us, fate->copy_arrival_us,
                                    fate->replay_arrival_us};
    struct flight *flight = mem_alloc(network->mem, sizeof *flight + s->len);

    if (flight == NULL) return false;
    flight->link = s->link;
    flight->source = s->source;
    flight->destination = *s->destination;
    flight->ecn = link_ecn(s->link, fate, s->ecn);
    flight->len = (uint32_t)s->len;
    memcpy(flight->data, s->data, s->len);
    /* What is replayed is what the sender sent. */
    if (!network->is_reliable && copy != LAUNCH_REPLAY &&
        link_corrupt(s->link, network->seed, fate->index, copy, s->data, flight->data, s->len)) {
        network->corrupted++;
    }
    flight->heap.order = network_order(network, s->link->pair[1]);
    if (!heap_set(&network->flights, &flight->heap, arrivals_us[copy])) {
        free_flight(network, flight);
        return false;
    }
    s->link->flight_bytes += s->len;
    return true;
}

static enum verdict send_on_link(struct network *network, uint32_t from,
                                 const struct endpoint *source, struct sending *s, uint32_t *to,
                                 uint64_t now_us)
{
    const struct place *place = route(network, from, s->destination);
    struct link_fate fate;

    if (place == NULL) return VERDICT_NO_ROUTE;
    *to = place->number;
    s->link = get_link(network, from, place->number);
    if (s->link == NULL) return VERDICT_NO_MEMORY;
    s->source = binding_pass(&network->bindings, s->link, source, now_us);
    if (network->is_reliable) {
        link_pass_reliably(s->link, network->seed, s->len, now_us, &fate);
    } else {
        link_pass(s->link, network->seed, s->len, now_us, &fate);
    }
    if (fate.verdict != VERDICT_DELIVERED) return fate.verdict;
    if (!launch(network, s, &fate, LAUNCH_ORIGINAL)) return VERDICT_NO_MEMORY;
    if (fate.is_duplicated && launch(network, s, &fate, LAUNCH_DUPLICATE)) network->duplicated++;
    if (fate.is_replayed && launch(network, s, &fate, LAUNCH_REPLAY)) network->replayed++;
    return VERDICT_DELIVERED;
}

static void send_one(struct network *network, uint32_t from, const struct endpoint *source,
                     const struct datagram_out *out, size_t at, size_t len, uint64_t now_us)
{
    struct sending s = {.source = *source,
                        .destination = &out->remote,
                        .ecn = out->ecn,
                        .data = out->data + at,
                        .len = len};
    uint32_t to = 0;
    enum verdict verdict = send_on_link(network, from, source, &s, &to, now_us);

    if (verdict == VERDICT_DELIVERED) return; /* It is traced when it arrives. */
    trace(network, &(struct network_record){.time_us = now_us,
                                            .from = from,
                                            .to = to,
                                            .verdict = verdict,
                                            .source = s.source,
                                            .destination = out->remote,
                                            .data = s.data,
                                            .len = len});
}

void network_send(struct network *network, uint32_t from, const struct endpoint *source,
                  const struct datagram_out *out, uint64_t now_us)
{
    size_t at = 0, step = out->segment > 0 && out->segment < out->len ? out->segment : out->len;

    WEIR_ASSERT(out->len <= UINT32_MAX);
    do {
        size_t left = out->len - at;

        send_one(network, from, source, out, at, left < step ? left : step, now_us);
        at += step;
    } while (at < out->len);
}

const struct heap_item *network_first(const struct network *network)
{
    return heap_first(&network->flights);
}

bool network_next(struct network *network, uint64_t now_us, struct datagram_in *in,
                  uint32_t *number)
{
    struct heap_item *item = heap_first(&network->flights);
    struct network_record record = {.time_us = now_us, .verdict = VERDICT_DELIVERED};
    struct flight *flight;
    struct place *place;

    if (item == NULL || item->when > now_us) return false;
    heap_remove(&network->flights, item);
    if (network->current != NULL) free_flight(network, network->current);
    flight = network->current = list_entry(item, struct flight, heap);
    flight->link->flight_bytes -= flight->len;
    record.from = flight->link->pair[0];
    record.to = flight->link->pair[1];
    record.source = flight->source;
    record.destination = flight->destination;
    record.data = flight->data;
    record.len = flight->len;
    place = route(network, record.from, &flight->destination);
    /* The address may have changed hands on the way: then it is not the same receiver. */
    if (place == NULL || place->number != record.to) record.verdict = VERDICT_NO_ROUTE;
    trace(network, &record);
    if (record.verdict != VERDICT_DELIVERED) return false;
    *in = (struct datagram_in){.local = place->endpoint,
                               .remote = flight->source,
                               .socket = place->socket,
                               .ecn = flight->ecn,
                               .data = flight->data,
                               .len = flight->len};
    *number = place->number;
    return true;
}
