/* SPDX-License-Identifier: MIT */
/* What a game thinks of peers: one number each, that loses half of itself every half-life, and the
 * names that protect it.
 *
 * Credit that never fades is a target: earned once, spent for ever. Numbers are in units of 2^-16,
 * and the powers of two are shifts and a table with straight lines between its points, so every
 * machine gets the same. When the table is full, what is closest to zero goes, which loses least;
 * protected ones stay, and a name protects at most a quarter of a view, so "protect everybody" does
 * not come to pass. */
#include "peers.h"
#include "view.h"
#include <stdlib.h>
#include <string.h>

enum { PEERS_MAX = 1024, NAMES_MAX = 8, NAME_BYTES = 32, UNIT_BITS = 16, STEPS = 16 };
static const int64_t most = INT64_C(1) << 40;

struct score {
    int64_t value; /* as of at_us */
    uint64_t at_us;
    uint32_t peer, names; /* one bit each */
};
struct scores {
    struct score *list; /* in the order of their coming */
    uint32_t count, capacity;
    uint32_t protected_count;
    char names[NAMES_MAX][NAME_BYTES];
};

/* 2^(-i/16) in units of 2^-32. */
static const uint64_t powers[STEPS + 1] = {
    4294967296, 4112874773, 3938502376, 3771522796, 3611622603, 3458501653,
    3311872529, 3171459999, 3037000500, 2908241642, 2784941738, 2666869345,
    2553802834, 2445529972, 2341847524, 2242560872, 2147483648,
};

/* x * 2^(-t/half), towards zero. */
static int64_t decay(int64_t x, uint64_t time_us, uint64_t half_us)
{
    uint64_t size = (uint64_t)(x < 0 ? -x : x), halves, rest, step, within, factor;

    if (half_us == 0 || time_us == 0) return x;
    halves = time_us / half_us;
    if (halves >= 60) return 0;
    size >>= halves;
    rest = ((time_us % half_us) << 20) / half_us; /* in 2^-20 of a half-life; half_us < 2^44 */
    step = rest * STEPS >> 20;
    within = (rest * STEPS) & 0xfffff;
    factor = powers[step] - ((powers[step] - powers[step + 1]) * within >> 20);
    /* size < 2^41 + ...: in two halves, so that nothing overflows. */
    size = (size >> 20) * factor / 4096 + ((size & 0xfffff) * factor >> 32);
    return x < 0 ? -(int64_t)size : (int64_t)size;
}

static struct score *find(const struct instance *in, uint32_t peer)
{
    const struct scores *s = in->scores;

    for (uint32_t i = 0; s && i < s->count; i++)
        if (s->list[i].peer == peer) return &s->list[i];
    return NULL;
}

static int64_t value_now(const struct instance *in, const struct score *s)
{
    uint64_t now = place_now(in->place);

    return decay(s->value, now > s->at_us ? now - s->at_us : 0, in->script->half_life_us);
}

int64_t peer_score(struct instance *in, uint32_t peer)
{
    const struct score *s = find(in, peer);
    int64_t value = s ? value_now(in, s) : 0, half = 1 << (UNIT_BITS - 1);

    /* To the nearest, so that what was just earned is all there. */
    return (value + (value < 0 ? -half : half)) / (1 << UNIT_BITS);
}

static void forget(struct instance *in, uint32_t at)
{
    struct scores *s = in->scores;

    peers_release(in->script->lua, s->list[at].peer);
    s->count--;
    memmove(&s->list[at], &s->list[at + 1], (s->count - at) * sizeof s->list[0]);
}

static bool make_room(struct instance *in)
{
    struct scores *s = in->scores;
    uint32_t least = s->count;
    int64_t smallest = INT64_MAX;

    for (uint32_t i = 0; i < s->count; i++) {
        int64_t size = value_now(in, &s->list[i]);
        if (s->list[i].names != 0) continue;
        if (size < 0) size = -size;
        if (size >= smallest) continue;
        smallest = size;
        least = i;
    }
    if (least == s->count) return false;
    forget(in, least);
    return true;
}

static struct scores *scores_of(struct instance *in)
{
    if (in->scores) return in->scores;
    in->scores = calloc(1, sizeof *in->scores);
    if (in->scores) in->script->lua->info.native_bytes += sizeof *in->scores;
    return in->scores;
}

/* That of a peer, made if need be. */
static struct score *score_of(struct instance *in, uint32_t peer)
{
    weir_lua *lua = in->script->lua;
    struct scores *s = scores_of(in);
    struct score *found = find(in, peer);

    if (found || !s || !peers_id(lua, peer)) return found;
    if (s->count == PEERS_MAX && !make_room(in)) return NULL;
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? 2 * s->capacity : 8;
        struct score *list = realloc(s->list, capacity * sizeof *list);
        if (!list) return NULL;
        lua->info.native_bytes += (capacity - s->capacity) * sizeof *list;
        s->list = list;
        s->capacity = capacity;
    }
    peers_hold(lua, peer);
    s->list[s->count] = (struct score){.peer = peer, .at_us = place_now(in->place)};
    return &s->list[s->count++];
}

void peer_add_score(struct instance *in, uint32_t peer, int64_t amount)
{
    struct score *s = amount == 0 ? NULL : score_of(in, peer);
    const int64_t limit = most >> UNIT_BITS;

    if (!s) return;
    if (amount > limit) amount = limit;
    if (amount < -limit) amount = -limit;
    s->value = value_now(in, s) + amount * (1 << UNIT_BITS);
    if (s->value > most) s->value = most;
    if (s->value < -most) s->value = -most;
    s->at_us = place_now(in->place);
}

/* ---- protection */

bool peer_is_protected(struct instance *in, uint32_t peer)
{
    const struct score *s = in->scores && in->scores->protected_count ? find(in, peer) : NULL;

    return s && s->names != 0;
}

static void set_names(struct scores *s, struct score *score, uint32_t names)
{
    s->protected_count -= score->names != 0;
    score->names = names;
    s->protected_count += names != 0;
}

/* Its bit; with `make`, a new one if there is room. 0: none */
static uint32_t name_bit(struct scores *s, const char *name, bool make)
{
    uint32_t i = 0;

    for (; i < NAMES_MAX && s->names[i][0]; i++)
        if (strcmp(s->names[i], name) == 0) return 1u << i;
    if (!make || i == NAMES_MAX || strlen(name) >= NAME_BYTES) return 0;
    memcpy(s->names[i], name, strlen(name) + 1);
    return 1u << i;
}

static uint32_t count_of(const struct scores *s, uint32_t bit)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->count; i++) count += (s->list[i].names & bit) != 0;
    return count;
}

bool peer_protect(struct instance *in, uint32_t peer, const char *name, bool on)
{
    uint32_t quota = views_cap(in) / 4, bit;
    struct score *score;

    if (!on) {
        score = find(in, peer);
        if (score) set_names(in->scores, score, score->names & ~name_bit(in->scores, name, false));
        return true;
    }
    if (!scores_of(in) || (bit = name_bit(in->scores, name, true)) == 0) return false;
    score = find(in, peer);
    if (score && (score->names & bit)) return true;
    if (count_of(in->scores, bit) >= (quota ? quota : 1)) return false;
    score = score_of(in, peer);
    if (score) set_names(in->scores, score, score->names | bit);
    return score != NULL;
}

void peer_scores_end(struct instance *in)
{
    struct scores *s = in->scores;

    if (!s) return;
    while (s->count > 0) forget(in, s->count - 1);
    in->script->lua->info.native_bytes -= s->capacity * sizeof *s->list + sizeof *s;
    free(s->list);
    free(s);
    in->scores = NULL;
}
