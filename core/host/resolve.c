/* SPDX-License-Identifier: MIT */
#include "host/resolve.h"
#include "base/assert.h"
#include "host/clock.h"
#include "host/sockaddr.h"
#include "weir.h"
#include <string.h>
#include <strings.h>

/* One of the two lookups of a name. */
struct lookup {
    uv_getaddrinfo_t uv;
    struct resolve_request *request;
    bool is_started, is_done;
    int error; /* uv's */
    uint32_t count;
    struct endpoint addresses[RESOLVE_ADDRESSES_MAX];
};
struct resolve_request {
    struct resolve *resolve;
    uint64_t token;
    uint64_t first_us; /* when the first addresses came; 0: none yet */
    bool ip6_first;
    bool is_over; /* told or cancelled: only waits for its lookups to end */
    struct lookup ip6, ip4;
};

void resolve_init(struct resolve *r, uv_loop_t *loop, const struct mem *mem,
                  const struct host_calls *calls)
{
    memset(r, 0, sizeof *r);
    r->loop = loop;
    r->mem = mem;
    r->calls = calls;
}

static bool lookup_is_out(const struct lookup *l)
{
    return l->is_started && !l->is_done;
}

/* Free a request that is over as soon as no thread has a hand on it. */
static void request_settle(struct resolve *r, struct resolve_request *q)
{
    unsigned i;

    if (!q->is_over || lookup_is_out(&q->ip6) || lookup_is_out(&q->ip4)) return;
    for (i = 0; i < RESOLVE_NAMES_MAX; i++) {
        if (r->requests[i] == q) r->requests[i] = NULL;
    }
    r->count--;
    mem_free(r->mem, q, sizeof *q);
}

static void keep_addresses(struct lookup *l, const struct addrinfo *list)
{
    uint32_t i;

    for (; list != NULL && l->count < RESOLVE_ADDRESSES_MAX; list = list->ai_next) {
        struct endpoint e = sockaddr_endpoint(list->ai_addr);

        if (e.family == ENDPOINT_NONE) continue;
        e.port = 0;
        /* /etc/hosts often says the same twice. */
        for (i = 0; i < l->count && !endpoint_equal(&l->addresses[i], &e); i++) continue;
        if (i == l->count) l->addresses[l->count++] = e;
    }
}

static void lookup_done(uv_getaddrinfo_t *uv, int status, struct addrinfo *list)
{
    struct lookup *l = uv->data;
    struct resolve_request *q = l->request;
    struct resolve *r = q->resolve;

    WEIR_ASSERT(lookup_is_out(l));
    WEIR_ASSERT(r->lookups > 0);
    l->is_done = true;
    l->error = status;
    r->lookups--;
    r->has_news = true;
    if (status == 0) keep_addresses(l, list);
    if (list != NULL) uv_freeaddrinfo(list);
    if (l->count > 0 && q->first_us == 0) {
        q->first_us = clock_now_us();
        q->ip6_first = l == &q->ip6;
    }
    request_settle(r, q);
}

static void lookup_start(struct resolve *r, struct resolve_request *q, struct lookup *l,
                         const char *name, int family)
{
    /* ADDRCONFIG: no AAAA on a machine that has no IPv6 address to use one from. */
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
    int result;

    l->request = q;
    l->uv.data = l;
    result = r->calls->getaddrinfo(r->loop, &l->uv, lookup_done, name, NULL, &hints);
    l->is_started = result == 0;
    l->is_done = result != 0;
    l->error = result;
    if (result == 0) r->lookups++;
}

static bool is_localhost(const char *name)
{
    static const char localhost[] = ".localhost";
    size_t len = strlen(name), own = sizeof localhost - 1;

    if (len > 0 && name[len - 1] == '.') len--;
    if (len == own - 1) return strncasecmp(name, localhost + 1, len) == 0;
    return len > own && strncasecmp(name + len - own, localhost, own) == 0;
}

static void answer_localhost(struct resolve_request *q)
{
    static const uint8_t loopback[16] = {[15] = 1};

    q->ip6.addresses[0] = endpoint_ip6(loopback, 0, 0);
    q->ip4.addresses[0] = endpoint_ip4(127, 0, 0, 1, 0);
    q->ip6.count = q->ip4.count = 1;
    q->ip6.is_done = q->ip4.is_done = true;
    q->ip6_first = true;
}

/* @return 0, or why neither lookup could be started */
static int request_start(struct resolve *r, struct resolve_request *q, const char *name)
{
    if (is_localhost(name)) {
        answer_localhost(q);
        return 0;
    }
    lookup_start(r, q, &q->ip6, name, AF_INET6);
    lookup_start(r, q, &q->ip4, name, AF_INET);
    if (q->ip6.is_started || q->ip4.is_started) return 0;
    /* libuv refuses at once what is no name at all, or for want of memory. */
    return q->ip4.error == UV_ENOMEM ? WEIR_E_MEMORY : WEIR_E_HOST_UNKNOWN;
}

int resolve_start(struct resolve *r, const char *name, uint64_t token)
{
    struct resolve_request *q;
    unsigned i;
    int error;

    for (i = 0; i < RESOLVE_NAMES_MAX && r->requests[i] != NULL; i++) continue;
    if (i == RESOLVE_NAMES_MAX) return WEIR_E_LIMIT;
    q = mem_alloc(r->mem, sizeof *q);
    if (q == NULL) return WEIR_E_MEMORY;
    q->resolve = r;
    q->token = token;
    error = request_start(r, q, name);
    if (error != 0) {
        mem_free(r->mem, q, sizeof *q);
        return error;
    }
    r->requests[i] = q;
    r->count++;
    return 0;
}

static void request_end(struct resolve *r, struct resolve_request *q)
{
    q->is_over = true;
    /* Takes back what no thread has begun; the callback comes for those too. */
    if (lookup_is_out(&q->ip6)) (void)uv_cancel((uv_req_t *)&q->ip6.uv);
    if (lookup_is_out(&q->ip4)) (void)uv_cancel((uv_req_t *)&q->ip4.uv);
    request_settle(r, q);
}

void resolve_cancel(struct resolve *r, uint64_t token)
{
    unsigned i;

    for (i = 0; i < RESOLVE_NAMES_MAX; i++) {
        struct resolve_request *q = r->requests[i];

        if (q != NULL && !q->is_over && q->token == token) request_end(r, q);
    }
}

static bool request_is_ready(const struct resolve_request *q, uint64_t now_us)
{
    if (q->is_over) return false;
    if (q->ip6.is_done && q->ip4.is_done) return true;
    return q->first_us != 0 && now_us >= q->first_us + RESOLVE_WAIT_US;
}

/* Why there is no address. That servers were silent about one family says more than that the other
 * has none. */
static int request_error(const struct resolve_request *q)
{
    if (q->ip6.error == UV_EAI_AGAIN || q->ip4.error == UV_EAI_AGAIN) return WEIR_E_TIMEOUT;
    if (q->ip6.error == UV_ENOMEM || q->ip4.error == UV_ENOMEM) return WEIR_E_MEMORY;
    if (q->ip6.error == UV_EAI_MEMORY || q->ip4.error == UV_EAI_MEMORY) return WEIR_E_MEMORY;
    return WEIR_E_HOST_UNKNOWN;
}

static void answer_fill(const struct resolve_request *q, struct resolve_answer *out)
{
    memset(out, 0, sizeof *out);
    out->token = q->token;
    out->ip6_first = q->ip6_first;
    memcpy(out->addresses, q->ip6.addresses, q->ip6.count * sizeof out->addresses[0]);
    memcpy(out->addresses + q->ip6.count, q->ip4.addresses,
           q->ip4.count * sizeof out->addresses[0]);
    out->count = q->ip6.count + q->ip4.count;
    if (out->count == 0) out->error = request_error(q);
}

bool resolve_next(struct resolve *r, uint64_t now_us, struct resolve_answer *out)
{
    unsigned i;

    if (r->count == 0) return false;
    for (i = 0; i < RESOLVE_NAMES_MAX; i++) {
        struct resolve_request *q = r->requests[i];

        if (q == NULL || !request_is_ready(q, now_us)) continue;
        answer_fill(q, out);
        request_end(r, q);
        return true;
    }
    return false;
}

uint64_t resolve_deadline(const struct resolve *r)
{
    uint64_t earliest = UINT64_MAX;
    unsigned i;

    if (r->count == 0) return earliest;
    for (i = 0; i < RESOLVE_NAMES_MAX; i++) {
        const struct resolve_request *q = r->requests[i];
        uint64_t due;

        if (q == NULL || q->is_over) continue;
        if (q->ip6.is_done && q->ip4.is_done) return 0;
        due = q->first_us == 0 ? UINT64_MAX : q->first_us + RESOLVE_WAIT_US;
        if (due < earliest) earliest = due;
    }
    return earliest;
}

void resolve_close(struct resolve *r)
{
    unsigned i;

    for (i = 0; i < RESOLVE_NAMES_MAX; i++) {
        if (r->requests[i] != NULL) request_end(r, r->requests[i]);
    }
}
