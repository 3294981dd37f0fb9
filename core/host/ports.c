/* SPDX-License-Identifier: MIT */
#include "host/ports.h"
#include "base/assert.h"
#include "host/fail.h"
#include <string.h>

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct port_socket *s, int events)
{
    int result = uv_poll_start(&s->poll, events, on_poll);

    WEIR_ASSERT(result == 0); /* it fails only on a handle that is closing */
}

static void note_readable(struct port_socket *s)
{
    s->is_readable = true;
    if (s->number != 0) s->ports->readable |= UINT64_C(1) << (s->number - 1);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct port_socket *s = poll->data;

    s->ports->has_news = true;
    if (status < 0) {
        /* libuv ends its watch when the socket has an error to report. It is about some earlier
         * datagram: fetch it, so that it is gone, and go on. */
        int number = 0;
        socklen_t len = sizeof number;

        (void)getsockopt(s->udp.fd, SOL_SOCKET, SO_ERROR, &number, &len);
        note_readable(s);
        s->is_writable = true;
        watch(s, UV_READABLE);
        s->ports->is_changed = true;
        return;
    }
    if ((events & UV_READABLE) != 0) note_readable(s);
    if ((events & UV_WRITABLE) != 0) s->is_writable = true;
}

static void on_closed(uv_handle_t *handle)
{
    struct port_socket *s = handle->data;

    mem_free(s->ports->mem, s, sizeof *s);
}

static int socket_open(struct ports *ports, const struct endpoint *want, struct port_socket **out,
                       weir_error *error)
{
    struct port_socket *s = mem_alloc(ports->mem, sizeof *s);
    int code;

    *out = NULL;
    if (s == NULL) return fail_with(error, WEIR_E_MEMORY, "no memory for a socket");
    s->ports = ports;
    code = udp_socket_open(&s->udp, want, &ports->options, error);
    if (code == 0 && uv_poll_init(ports->loop, &s->poll, s->udp.fd) != 0) {
        udp_socket_close(&s->udp);
        code = fail_with(error, WEIR_E_SOCKET,
                         "the system cannot watch a socket: raise the limits"
                         " of open files and of epoll watches");
    }
    if (code != 0) {
        mem_free(ports->mem, s, sizeof *s);
        return code;
    }
    s->poll.data = s;
    watch(s, UV_READABLE);
    ports->is_changed = true;
    *out = s;
    return 0;
}

static void socket_close(struct ports *ports, struct port_socket *s)
{
    if (s == NULL) return;
    WEIR_ASSERT(!s->is_closed);
    s->is_closed = true;
    s->is_readable = false;
    uv_close((uv_handle_t *)&s->poll, on_closed);
    udp_socket_close(&s->udp); /* after uv_close, which takes the descriptor out of epoll */
    ports->is_changed = true;
}

/* Both families on one port. A machine may lack either family, but not both. */
static int open_pair(struct ports *ports, const struct endpoint *want, struct port *port,
                     weir_error *error)
{
    struct endpoint ip4 = endpoint_ip4(0, 0, 0, 0, want->port);
    int tries, code = 0;

    for (tries = 0; tries < PORTS_PAIR_TRIES; tries++) {
        code = socket_open(ports, want, &port->ip6, error);
        if (code != 0 && code != WEIR_E_UNREACHABLE && code != WEIR_E_ADDRESS) return code;
        if (port->ip6 != NULL) ip4.port = port->ip6->udp.bound.port;
        code = socket_open(ports, &ip4, &port->ip4, error);
        if (code == 0) return 0;
        if (code == WEIR_E_UNREACHABLE && port->ip6 != NULL) return 0;
        socket_close(ports, port->ip6);
        port->ip6 = NULL;
        /* A port that IPv6 was just given may be somebody's on IPv4; ask for another. */
        if (code != WEIR_E_ADDRESS_IN_USE || want->port != 0) return code;
    }
    return code;
}

static bool find_free(const struct ports *ports, unsigned *at)
{
    unsigned i;

    for (i = 0; i < PORTS_MAX; i++) {
        if (ports->port[i].ip6 == NULL && ports->port[i].ip4 == NULL) {
            *at = i;
            return true;
        }
    }
    return false;
}

/* Whether this node itself has that port. */
static bool is_own(const struct ports *ports, uint16_t number)
{
    unsigned i;

    for (i = 0; i < PORTS_MAX; i++) {
        const struct port *port = &ports->port[i];

        if (port->ip6 != NULL && port->ip6->udp.bound.port == number) return true;
        if (port->ip4 != NULL && port->ip4->udp.bound.port == number) return true;
    }
    return false;
}

static void keep_port(struct ports *ports, unsigned at, const struct port *port)
{
    if (port->ip6 != NULL) port->ip6->number = at + 1;
    if (port->ip4 != NULL) port->ip4->number = at + 1;
    ports->port[at] = *port;
}

static int open_port(struct ports *ports, const struct endpoint *want, uint32_t *number,
                     weir_error *error)
{
    struct port port = {0};
    unsigned at = 0;
    int code;

    if (!find_free(ports, &at)) {
        code = fail_with(error, WEIR_E_LIMIT,
                         "%d ports are open and that is the limit: listen on"
                         " [::] or 0.0.0.0 instead of on each address",
                         PORTS_MAX);
        if (error != NULL) error->limit_used = error->limit_max = PORTS_MAX;
        return code;
    }
    if (want->family == ENDPOINT_IP6 && endpoint_is_unspecified(want)) {
        code = open_pair(ports, want, &port, error);
    } else {
        struct port_socket **place = want->family == ENDPOINT_IP6 ? &port.ip6 : &port.ip4;

        code = socket_open(ports, want, place, error);
    }
    if (code == WEIR_E_ADDRESS_IN_USE && is_own(ports, want->port))
        return fail_with(error, code,
                         "this node listens on port %u already: once is enough, or choose another"
                         " port",
                         want->port);
    if (code != 0) return code;
    keep_port(ports, at, &port);
    *number = at + 1;
    return 0;
}

int ports_listen(struct ports *ports, const struct endpoint *want, struct endpoint *got,
                 uint32_t *number, weir_error *error)
{
    struct port *port;
    weir_error why = {.size = sizeof why}; /* a family may fail and the other do */
    int code = open_port(ports, want, number, &why);

    if (code != 0) {
        /* That a family is missing is told by the sentence. */
        if (code == WEIR_E_UNREACHABLE) code = WEIR_E_SOCKET;
        why.code = code;
        if (error != NULL) *error = why;
        return code;
    }
    port = &ports->port[*number - 1];
    port->is_listening = true;
    *got = port->ip6 != NULL ? port->ip6->udp.bound : port->ip4->udp.bound;
    return 0;
}

void ports_unlisten(struct ports *ports, uint32_t number)
{
    struct port *port;

    if (number == 0 || number > PORTS_MAX) return;
    port = &ports->port[number - 1];
    socket_close(ports, port->ip6);
    socket_close(ports, port->ip4);
    socket_close(ports, port->stand_in);
    memset(port, 0, sizeof *port);
}

struct port_socket *ports_socket(struct ports *ports, uint32_t number, uint8_t family)
{
    struct port *port;
    struct port_socket *s = NULL;

    if (number == 0 || number > PORTS_MAX) return NULL;
    port = &ports->port[number - 1];
    if (family == ENDPOINT_IP6) s = port->ip6;
    if (family == ENDPOINT_IP4) s = port->ip4;
    return s != NULL && s->is_gone && port->stand_in != NULL ? port->stand_in : s;
}

/* How far an address reaches: from a socket bound to one of these the kernel sends only to the
 * same. */
enum reach { REACH_ANY, REACH_LOOPBACK, REACH_LINK };

static enum reach reach_of(const struct endpoint *e)
{
    static const uint8_t loopback[16] = {[15] = 1};

    if (e->family == ENDPOINT_IP4) {
        if (e->bytes[0] == 127) return REACH_LOOPBACK;
        return e->bytes[0] == 169 && e->bytes[1] == 254 ? REACH_LINK : REACH_ANY;
    }
    if (memcmp(e->bytes, loopback, sizeof loopback) == 0) return REACH_LOOPBACK;
    return e->bytes[0] == 0xfe && (e->bytes[1] & 0xc0) == 0x80 ? REACH_LINK : REACH_ANY;
}

static bool can_reach(const struct port_socket *s, const struct endpoint *remote)
{
    if (s == NULL || s->is_gone) return false;
    return endpoint_is_unspecified(&s->udp.bound) || reach_of(&s->udp.bound) == reach_of(remote);
}

/* @return the number of a port from which remote can be reached, or 0 */
static uint32_t find_dialable(struct ports *ports, const struct endpoint *remote, bool is_listening)
{
    uint32_t n;

    for (n = 1; n <= PORTS_MAX; n++) {
        if (ports->port[n - 1].is_listening != is_listening) continue;
        /* A stand-in goes when the address is back: nothing new for it. */
        if (ports->port[n - 1].stand_in != NULL) continue;
        if (can_reach(ports_socket(ports, n, remote->family), remote)) return n;
    }
    return 0;
}

int ports_dial(struct ports *ports, const struct endpoint *remote, uint32_t *number)
{
    struct endpoint any = {.family = remote->family};
    struct port port = {0};
    unsigned at = 0;
    int code;

    if (remote->family != ENDPOINT_IP4 && remote->family != ENDPOINT_IP6) return WEIR_E_UNREACHABLE;
    if (udp_socket_route(ports->options.calls, remote) != 0) return WEIR_E_UNREACHABLE;
    /* From the port on which we listen, the address that the peer sees is one that others can use
     * too. */
    *number = find_dialable(ports, remote, true);
    if (*number == 0) *number = find_dialable(ports, remote, false);
    if (*number != 0) return 0;
    if (!find_free(ports, &at)) return WEIR_E_LIMIT;
    code = socket_open(ports, &any, remote->family == ENDPOINT_IP6 ? &port.ip6 : &port.ip4, NULL);
    if (code != 0) return code == WEIR_E_UNREACHABLE ? code : WEIR_E_SOCKET;
    keep_port(ports, at, &port);
    *number = at + 1;
    return 0;
}

static void look_again(struct ports *ports, uint32_t number, struct port_socket *s)
{
    struct port *port = &ports->port[number - 1];
    struct endpoint any = {0};

    if (s == NULL) return;
    s->is_gone = !udp_socket_network_changed(&s->udp);
    if (!s->is_gone) return;
    any.family = s->udp.bound.family;
    if (socket_open(ports, &any, &port->stand_in, NULL) == 0) port->stand_in->number = number;
}

void ports_network_changed(struct ports *ports)
{
    uint32_t n;

    for (n = 1; n <= PORTS_MAX; n++) {
        struct port *port = &ports->port[n - 1];

        /* A new one each time: whether the old one suits the new network cannot be known. */
        socket_close(ports, port->stand_in);
        port->stand_in = NULL;
        look_again(ports, n, port->ip6);
        look_again(ports, n, port->ip4);
    }
}

void ports_want_write(struct ports *ports, struct port_socket *s, bool wanted)
{
    WEIR_ASSERT(!s->is_closed);
    s->is_writable = false;
    watch(s, wanted ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    ports->is_changed = true;
}

void ports_close(struct ports *ports)
{
    uint32_t n;

    for (n = 1; n <= PORTS_MAX; n++) ports_unlisten(ports, n);
}
