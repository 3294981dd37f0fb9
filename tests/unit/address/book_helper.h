/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_ADDRESS_BOOK_HELPER_H
#define WEIR_TESTS_ADDRESS_BOOK_HELPER_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "address/book.h"
#include "base/rng.h"
#include "weir.h"
#include <stdio.h>
#include <string.h>

/** Peers and places by number, and a book whose memory and budget are watched at each step. */
static const uint8_t hash_key[16] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};
enum { NOW = 1000, LATER = 5000, SOURCE = 77 };

/* A book that counts its memory and has a budget. */
struct shelf {
    struct mem_counter counter;
    struct budget budget;
    struct book book;
};

static inline void open_shelf(struct shelf *s, uint32_t addresses, uint32_t heard, uint32_t peers)
{
    struct book_limits limits = {addresses, heard, peers};
    mem_counter_init(&s->counter, mem_system());
    budget_init(&s->budget, NULL, LIMIT_SCOPE_NODE, 5, UINT64_MAX, NULL);
    book_init(&s->book, &s->counter.mem, &s->budget, hash_key, &limits);
}

static inline void close_shelf(struct shelf *s)
{
    book_free(&s->book);
    assert_int_equal(s->counter.live_bytes, 0);
    budget_end(&s->budget);
}

static inline struct peer_id peer_number(uint32_t n)
{
    uint8_t key[32] = {0};
    struct peer_id id;
    memcpy(key, &n, sizeof n);
    peer_id_from_public_key(&id, key);
    return id;
}

static inline struct multiaddr place_number(uint32_t n)
{
    struct endpoint e = endpoint_ip4(8, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 7777);
    return multiaddr_of(&e);
}

static inline int add(struct shelf *s, uint32_t peer, uint32_t place,
                      enum address_provenance provenance, uint64_t source, uint64_t expires_us)
{
    struct peer_id id = peer_number(peer);
    struct multiaddr m = place_number(place);
    int result = book_add(&s->book, &id, &m, provenance, source, NOW, expires_us, NULL);
    assert_int_equal(s->counter.live_bytes, s->budget.used);
    return result;
}

static inline void succeed(struct shelf *s, uint32_t peer, uint32_t place, uint64_t now_us)
{
    struct peer_id id = peer_number(peer);
    struct multiaddr m = place_number(place);
    book_on_success(&s->book, &id, &m, now_us, 0);
}

static inline void fail_times(struct shelf *s, uint32_t peer, uint32_t place, int times)
{
    struct peer_id id = peer_number(peer);
    struct multiaddr m = place_number(place);
    for (int i = 0; i < times; i++) book_on_failure(&s->book, &id, &m, NOW + 1);
}

/* The addresses of a peer as place numbers, best first, in one word: "3 1 2". */
static inline const char *places(struct shelf *s, uint32_t peer, uint64_t now_us)
{
    static char text[BOOK_ADDRESSES_MAX * 8];
    struct book_address out[BOOK_ADDRESSES_MAX];
    struct peer_id id = peer_number(peer);
    uint32_t count = book_get(&s->book, &id, now_us, out, BOOK_ADDRESSES_MAX);
    size_t n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *b = out[i].address.endpoint.bytes;
        unsigned place = (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
        n += (size_t)snprintf(text + n, sizeof text - n, i > 0 ? " %u" : "%u", place);
        assert_true(out[i].address.has_peer && peer_id_equal(&out[i].address.peer, &id));
    }
    return text;
}

static inline bool has_peer(struct shelf *s, uint32_t peer)
{
    return places(s, peer, 0)[0] != 0;
}
#endif
