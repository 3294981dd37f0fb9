/* SPDX-License-Identifier: MIT */
#include "base/assert.h"
#include "host/sockaddr.h"
#include "host/udp_socket.h"
#include <errno.h>
#include <string.h>

/* Datagrams in and out of a socket.
 *
 * Out: a run of equal datagrams leaves in one call (UDP_SEGMENT), which is most of what makes UDP
 * cheap. Segmentation needs checksum offload of the device that the route ends at, which nobody can
 * know before, so the kernel may refuse at any time (EIO; EINVAL on some virtual devices; EMSGSIZE
 * when a segment exceeds the device's MTU). Then the run is sent one by one, and if a datagram of
 * full size passes that way it was segmentation's fault: it is switched off for the socket. If it
 * does not pass either, the address or the size is at fault, and one bad peer does not cost all
 * others their speed.
 *
 * In: the kernel may merge what arrived from one sender into one buffer (UDP_GRO) and tells the
 * size of the parts; the engine takes such a run apart. */

/* The kernel overwrites these in the headers that it filled, and touches no others: setting up all
 * of them for each call would cost more than the call's one datagram. */
static void batch_rearm(struct udp_batch *batch, unsigned i)
{
    struct msghdr *m = &batch->headers[i].msg_hdr;

    m->msg_namelen = sizeof batch->names[i];
    m->msg_controllen = sizeof batch->control[i];
    m->msg_flags = 0;
}

void udp_batch_init(struct udp_batch *batch, uint8_t *bytes)
{
    unsigned i;

    batch->bytes = bytes;
    for (i = 0; i < UDP_BATCH; i++) {
        struct msghdr *m = &batch->headers[i].msg_hdr;

        batch->vectors[i].iov_base = bytes + (size_t)i * UDP_RECEIVE_BYTES;
        batch->vectors[i].iov_len = UDP_RECEIVE_BYTES;
        memset(m, 0, sizeof *m);
        m->msg_name = &batch->names[i];
        m->msg_iov = &batch->vectors[i];
        m->msg_iovlen = 1;
        m->msg_control = batch->control[i];
        batch_rearm(batch, i);
    }
}

static int control_int(const struct cmsghdr *c)
{
    int value = 0;

    if (c->cmsg_len >= CMSG_LEN(sizeof value)) memcpy(&value, CMSG_DATA(c), sizeof value);
    return value;
}

/* SO_RXQ_OVFL counts since the socket was made, in 32 bits that wrap. */
static void note_dropped(struct udp_socket *s, const struct cmsghdr *c)
{
    uint32_t count = (uint32_t)control_int(c);

    metric_add(s->metrics, METRIC_KERNEL_DROPS, (uint32_t)(count - s->dropped));
    s->dropped = count;
}

static void read_ip4(const struct cmsghdr *c, struct datagram_in *in, uint16_t port)
{
    if (c->cmsg_type == IP_TOS) in->ecn = *(const uint8_t *)CMSG_DATA(c) & 3u;
    if (c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        uint8_t b[4];

        memcpy(&info, CMSG_DATA(c), sizeof info);
        memcpy(b, &info.ipi_addr, sizeof b);
        in->local = endpoint_ip4(b[0], b[1], b[2], b[3], port);
    }
}

static void read_ip6(const struct cmsghdr *c, struct datagram_in *in, uint16_t port)
{
    if (c->cmsg_type == IPV6_TCLASS) in->ecn = (uint8_t)(control_int(c) & 3);
    if (c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        uint8_t b[16];

        memcpy(&info, CMSG_DATA(c), sizeof info);
        memcpy(b, &info.ipi6_addr, sizeof b);
        in->local = endpoint_ip6(b, port, (uint32_t)info.ipi6_ifindex);
    }
}

static void read_control(struct udp_socket *s, struct msghdr *m, struct datagram_in *in)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP) read_ip4(c, in, s->bound.port);
        if (c->cmsg_level == IPPROTO_IPV6) read_ip6(c, in, s->bound.port);
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) note_dropped(s, c);
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int segment = control_int(c);

            if (segment > 0 && (size_t)segment < in->len) in->segment = (size_t)segment;
        }
    }
}

unsigned udp_socket_receive(struct udp_socket *s, struct udp_batch *batch)
{
    unsigned i, filled = 0;
    int count;

    WEIR_ASSERT(s->fd >= 0);
    WEIR_ASSERT(batch->bytes != NULL);
    metric_inc(s->metrics, METRIC_RECEIVE_CALLS);
    do {
        count = s->calls->recvmmsg(s->fd, batch->headers, UDP_BATCH, MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    /* An error is either "nothing there" or about a datagram that we sent earlier: neither changes
     * anything. */
    if (count < 0) return 0;
    for (i = 0; i < (unsigned)count; i++) {
        struct msghdr *m = &batch->headers[i].msg_hdr;
        struct datagram_in *in = &batch->in[filled];

        memset(in, 0, sizeof *in);
        in->data = batch->bytes + (size_t)i * UDP_RECEIVE_BYTES;
        in->len = batch->headers[i].msg_len;
        in->remote = sockaddr_endpoint((const struct sockaddr *)&batch->names[i]);
        read_control(s, m, in);
        /* A run without its segment size cannot be taken apart, a datagram without its end is
         * damaged. */
        if ((m->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
            filled++;
        } else {
            metric_inc(s->metrics, METRIC_DATAGRAMS_TRUNCATED);
        }
        batch_rearm(batch, i);
    }
    return filled;
}

static void put_control(struct msghdr *m, int level, int type, const void *value, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)m->msg_control + m->msg_controllen);

    WEIR_ASSERT(m->msg_controllen + CMSG_SPACE(len) <= UDP_CONTROL_BYTES);
    memset(c, 0, CMSG_SPACE(len));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), value, len);
    m->msg_controllen += CMSG_SPACE(len);
}

static void put_source(struct msghdr *m, const struct endpoint *local)
{
    if (local->family == ENDPOINT_IP4) {
        struct in_pktinfo info = {0};

        memcpy(&info.ipi_spec_dst, local->bytes, 4);
        put_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {0};

        memcpy(&info.ipi6_addr, local->bytes, 16);
        info.ipi6_ifindex = local->scope_id;
        put_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

/* One call: len bytes from where the run stands, cut into segments by the kernel if segment is not
 * 0. */
static ssize_t send_once(const struct udp_socket *s, const struct udp_run *run, size_t len,
                         size_t segment)
{
    const struct datagram_out *out = &run->out;
    _Alignas(struct cmsghdr) uint8_t control[UDP_CONTROL_BYTES];
    struct sockaddr_storage name;
    struct iovec vector = {.iov_base = out->data + run->sent, .iov_len = len};
    struct msghdr m = {.msg_name = &name, .msg_iov = &vector, .msg_iovlen = 1};
    int ecn = out->ecn & 3;

    m.msg_namelen = sockaddr_of(&out->remote, &name);
    m.msg_control = control;
    if (out->local.family == out->remote.family && !endpoint_is_unspecified(&out->local)) {
        put_source(&m, &out->local);
    }
    if (ecn != 0 && out->remote.family == ENDPOINT_IP4) {
        put_control(&m, IPPROTO_IP, IP_TOS, &ecn, sizeof ecn);
    }
    if (ecn != 0 && out->remote.family == ENDPOINT_IP6) {
        put_control(&m, IPPROTO_IPV6, IPV6_TCLASS, &ecn, sizeof ecn);
    }
    if (segment != 0) {
        uint16_t size = (uint16_t)segment;

        put_control(&m, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    if (m.msg_controllen == 0) m.msg_control = NULL;
    metric_inc(s->metrics, METRIC_SEND_CALLS);
    return s->calls->sendmsg(s->fd, &m, MSG_DONTWAIT);
}

static bool refuses_segments(int number)
{
    return number == EIO || number == EINVAL || number == ENOPROTOOPT || number == EMSGSIZE ||
           number == EOPNOTSUPP;
}

/* Bytes of the run that the next call takes: as many whole segments as one call may carry. */
static size_t next_length(const struct udp_run *run, size_t segment, bool is_segmented)
{
    size_t left = run->out.len - run->sent, most = segment;

    if (is_segmented) {
        size_t count = UDP_SEND_BYTES / segment;

        most = (count < UDP_SEGMENTS_MAX ? count : UDP_SEGMENTS_MAX) * segment;
    }
    return left < most ? left : most;
}

enum udp_send udp_socket_send(struct udp_socket *s, struct udp_run *run)
{
    size_t segment = run->out.segment == 0 ? run->out.len : run->out.segment;

    WEIR_ASSERT(s->fd >= 0);
    WEIR_ASSERT(run->out.len <= UDP_SEND_BYTES);
    while (run->sent < run->out.len) {
        bool is_segmented = s->segments && !run->is_single && run->out.len - run->sent > segment;
        size_t len = next_length(run, segment, is_segmented);

        if (send_once(s, run, len, is_segmented ? segment : 0) >= 0) {
            run->sent += len;
            if (run->is_single && s->segments && len == segment) {
                s->segments = false;
                metric_inc(s->metrics, METRIC_SEGMENTATION_DISABLED);
            }
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            metric_inc(s->metrics, METRIC_SEND_BLOCKED);
            return errno == ENOBUFS ? UDP_LATER : UDP_BLOCKED;
        } else if (is_segmented && refuses_segments(errno)) {
            run->is_single = true;
        } else if (errno != EINTR) {
            /* No route, refused by a firewall, too big, or an error of an earlier datagram: as good
             * as lost on the way, and loss is what the transport deals with. */
            metric_add(s->metrics, METRIC_SEND_ERRORS, (len + segment - 1) / segment);
            run->sent += len;
        }
    }
    return UDP_SENT;
}
