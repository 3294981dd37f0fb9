/* SPDX-License-Identifier: MIT */
/* ngtcp2 with GnuTLS as a peer of the benchmark; arguments and figures are those of peer.h.
 *
 * The library has no sockets, so this is the application that it wants: poll, UDP_SEGMENT for what
 * one connection writes in one go, UDP_GRO for what comes. A client has a socket for each of its
 * connections, so the server tells them apart by port. All bytes sent are zeros from one array,
 * which therefore serves as the buffer for retransmission too. */
#include "peer.h"
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <poll.h>
#include <sys/socket.h>

enum {
    PACKET_BYTES = 1452,
    ID_BYTES = 8,
    SEGMENTS_MAX = 44, /* 64 KiB in one call */
    WAITING_MAX = 1024,
    LIVE_MAX = 4096,
    CHUNK_BYTES = 65536,
};

/* What a stream has still to send; the last of it carries FIN. */
struct waiting {
    int64_t stream;
    uint64_t left;
};

struct end {
    ngtcp2_conn *conn;
    gnutls_session_t session;
    ngtcp2_crypto_conn_ref ref;
    int fd;
    struct sockaddr_in remote;
    bool up, gone;
    unsigned asked, answered; /* requests */
    struct waiting *queue;    /* a ring of WAITING_MAX; NULL before something is sent */
    unsigned head, count;
    unsigned place; /* in live */
};

static gnutls_certificate_credentials_t server_keys, client_keys;
static gnutls_priority_t priority;
static struct sockaddr_in server_address;
static uint8_t zeros[CHUNK_BYTES];
static const char *figure;
static unsigned count, up;
static struct end *by_port[65536], *live[LIVE_MAX];
static unsigned live_count;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(int error, const char *what)
{
    if (error < 0) peer_die("%s: %d", what, error);
}

static void prepare(void)
{
    static const char suites[] = "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:"
                                 "-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-X25519";
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_init(&key);
    must(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
         "key");
    gnutls_x509_crt_init(&certificate);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, "\1", 1);
    gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + 3600);
    gnutls_x509_crt_set_dn(certificate, "CN=localhost", NULL);
    gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, "localhost", 9, 0);
    gnutls_x509_crt_set_key(certificate, key);
    must(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), "sign");
    gnutls_certificate_allocate_credentials(&server_keys);
    gnutls_certificate_allocate_credentials(&client_keys);
    must(gnutls_certificate_set_x509_key(server_keys, &certificate, 1, key), "credentials");
    must(gnutls_certificate_set_x509_trust(client_keys, &certificate, 1), "trust");
    must(gnutls_priority_init(&priority, suites, NULL), "suites");
}

static void on_rand(uint8_t *bytes, size_t length, const ngtcp2_rand_ctx *context)
{
    (void)context;
    (void)gnutls_rnd(GNUTLS_RND_NONCE, bytes, length);
}

static int on_new_id(ngtcp2_conn *conn, ngtcp2_cid *id, uint8_t *token, size_t length, void *user)
{
    (void)conn, (void)user;
    id->datalen = length;
    (void)gnutls_rnd(GNUTLS_RND_NONCE, id->data, length);
    (void)gnutls_rnd(GNUTLS_RND_NONCE, token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

static int on_up(ngtcp2_conn *conn, void *user)
{
    (void)conn;
    ((struct end *)user)->up = true;
    up++;
    return 0;
}

static int on_server_up(ngtcp2_conn *conn, void *user)
{
    on_up(conn, user);
    if (strcmp(figure, "idle") == 0) peer_weigh(up, count);
    return 0;
}

static void enqueue(struct end *e, int64_t stream, uint64_t bytes)
{
    if (e->queue == NULL) e->queue = calloc(WAITING_MAX, sizeof *e->queue);
    if (e->queue == NULL || e->count == WAITING_MAX) peer_die("too many streams wait");
    e->queue[(e->head + e->count++) % WAITING_MAX] = (struct waiting){stream, bytes};
}

static int on_data(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t offset,
                   const uint8_t *data, size_t length, void *user, void *stream_user)
{
    struct end *e = user;
    (void)offset, (void)data, (void)stream_user;
    ngtcp2_conn_extend_max_stream_offset(conn, stream, length);
    ngtcp2_conn_extend_max_offset(conn, length);
    if (strcmp(figure, "bulk") == 0) peer_count(length, (uint64_t)count << 20);
    if (strcmp(figure, "requests") != 0 || (flags & NGTCP2_STREAM_DATA_FLAG_FIN) == 0) return 0;
    if (ngtcp2_conn_is_server(conn))
        enqueue(e, stream, PEER_REQUEST_BYTES);
    else
        e->answered++;
    return 0;
}

static int on_stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t code,
                           void *user, void *stream_user)
{
    (void)flags, (void)stream, (void)code, (void)user, (void)stream_user;
    if (ngtcp2_conn_is_server(conn)) ngtcp2_conn_extend_max_streams_bidi(conn, 1);
    return 0;
}

static ngtcp2_callbacks callbacks(bool server)
{
    return (ngtcp2_callbacks){
        .client_initial = server ? NULL : ngtcp2_crypto_client_initial_cb,
        .recv_client_initial = server ? ngtcp2_crypto_recv_client_initial_cb : NULL,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .handshake_completed = server ? on_server_up : on_up,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_stream_data = on_data,
        .stream_close = on_stream_close,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .rand = on_rand,
        .get_new_connection_id = on_new_id,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    };
}

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct end *)ref->user_data)->conn;
}

static void start_tls(struct end *e, bool server)
{
    gnutls_datum_t protocol = {(unsigned char *)"bench", 5};
    unsigned flags = GNUTLS_NO_END_OF_EARLY_DATA;
    flags |= server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT;
    must(gnutls_init(&e->session, flags), "session");
    gnutls_priority_set(e->session, priority);
    must(server ? ngtcp2_crypto_gnutls_configure_server_session(e->session)
                : ngtcp2_crypto_gnutls_configure_client_session(e->session),
         "configure");
    e->ref = (ngtcp2_crypto_conn_ref){conn_of, e};
    gnutls_session_set_ptr(e->session, &e->ref);
    gnutls_credentials_set(e->session, GNUTLS_CRD_CERTIFICATE, server ? server_keys : client_keys);
    gnutls_alpn_set_protocols(e->session, &protocol, 1, GNUTLS_ALPN_MANDATORY);
    if (!server) {
        gnutls_server_name_set(e->session, GNUTLS_NAME_DNS, "localhost", 9);
        gnutls_session_set_verify_cert(e->session, "localhost", 0);
    }
    ngtcp2_conn_set_tls_native_handle(e->conn, e->session);
}

static ngtcp2_path path_of(struct end *e)
{
    /* One address stands for the local one of everybody: nothing here migrates. */
    static struct sockaddr_in local = {.sin_family = AF_INET};
    return (ngtcp2_path){.local = {(ngtcp2_sockaddr *)&local, sizeof local},
                         .remote = {(ngtcp2_sockaddr *)&e->remote, sizeof e->remote}};
}

/* initial: the client's first packet, for a server; NULL for a client. */
static struct end *make(int fd, const struct sockaddr_in *remote, const ngtcp2_pkt_hd *initial)
{
    struct end *e = calloc(1, sizeof *e);
    ngtcp2_callbacks table = callbacks(initial != NULL);
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid own = {.datalen = ID_BYTES}, first = {.datalen = 18};
    if (e == NULL || live_count == LIVE_MAX) peer_die("no room");
    e->place = live_count;
    live[live_count++] = e;
    e->fd = fd;
    e->remote = *remote;
    ngtcp2_path path = path_of(e);
    (void)gnutls_rnd(GNUTLS_RND_NONCE, own.data, own.datalen);
    (void)gnutls_rnd(GNUTLS_RND_NONCE, first.data, first.datalen);
    ngtcp2_settings_default(&settings);
    settings.initial_ts = now_ns();
    settings.max_tx_udp_payload_size = PACKET_BYTES;
    settings.no_tx_udp_payload_size_shaping = 1;
    settings.no_pmtud = 1;
    settings.max_window = 24 << 20;
    settings.max_stream_window = 16 << 20;
    ngtcp2_transport_params_default(&params);
    params.initial_max_stream_data_uni = 8 << 20;
    params.initial_max_stream_data_bidi_local = 65536;
    params.initial_max_stream_data_bidi_remote = 65536;
    params.initial_max_data = 12 << 20;
    params.initial_max_streams_uni = 10;
    params.initial_max_streams_bidi = 1000;
    params.max_idle_timeout = 60 * NGTCP2_SECONDS;
    if (initial != NULL) {
        params.original_dcid = initial->dcid;
        must(ngtcp2_conn_server_new(&e->conn, &initial->scid, &own, &path, initial->version, &table,
                                    &settings, &params, NULL, e),
             "server");
    } else {
        must(ngtcp2_conn_client_new(&e->conn, &first, &own, &path, NGTCP2_PROTO_VER_V1, &table,
                                    &settings, &params, NULL, e),
             "client");
    }
    start_tls(e, initial != NULL);
    return e;
}

static void destroy(struct end *e)
{
    live[e->place] = live[--live_count];
    live[e->place]->place = e->place;
    ngtcp2_conn_del(e->conn);
    gnutls_deinit(e->session);
    free(e->queue);
    free(e);
}

static void transmit(struct end *e, uint8_t *bytes, size_t length, size_t segment_bytes)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    struct iovec vector = {bytes, length};
    struct msghdr message = {.msg_name = &e->remote,
                             .msg_namelen = sizeof e->remote,
                             .msg_iov = &vector,
                             .msg_iovlen = 1};
    uint16_t segment = (uint16_t)segment_bytes;
    if (length == 0) return;
    if (length > segment_bytes) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof segment)};
        memcpy(CMSG_DATA(&control.header), &segment, sizeof segment);
    }
    while (sendmsg(e->fd, &message, 0) < 0)
        if (errno != EINTR) return; /* What does not leave is lost, as on any network. */
}

/* One packet, with what the queue holds. @return its bytes; 0: nothing to send now */
static size_t write_packet(struct end *e, uint8_t *bytes, uint64_t now)
{
    bool blocked = false;
    for (;;) {
        struct waiting *w = e->count > 0 && !blocked ? &e->queue[e->head] : NULL;
        ngtcp2_vec vector = {zeros, 0};
        ngtcp2_ssize taken = -1;
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
        if (w != NULL) {
            vector.len = w->left < CHUNK_BYTES ? w->left : CHUNK_BYTES;
            flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
            if (vector.len == w->left) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
        }
        ngtcp2_ssize n =
            ngtcp2_conn_writev_stream(e->conn, NULL, NULL, bytes, PACKET_BYTES, &taken, flags,
                                      w != NULL ? w->stream : -1, &vector, w != NULL ? 1 : 0, now);
        if (w != NULL && taken >= 0) {
            w->left -= (uint64_t)taken;
            if (w->left == 0) {
                e->head = (e->head + 1) % WAITING_MAX;
                e->count--;
            }
        }
        if (n >= 0) return (size_t)n;
        if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED)
            blocked = true;
        else if (n != NGTCP2_ERR_WRITE_MORE)
            peer_die("write: %s", ngtcp2_strerror((int)n));
    }
}

/* Sends what window and pacer allow, as many packets of one size in a call as the kernel takes. */
static void pump(struct end *e)
{
    static uint8_t bytes[SEGMENTS_MAX * PACKET_BYTES];
    uint64_t now = now_ns();
    size_t quantum = ngtcp2_conn_get_send_quantum(e->conn), sent = 0, used = 0, segment = 0;
    while (sent < quantum) {
        size_t n = write_packet(e, bytes + used, now);
        if (n == 0) break;
        sent += n;
        if (segment != 0 && n > segment) { /* Only the last segment may differ, and be shorter. */
            transmit(e, bytes, used, segment);
            transmit(e, bytes + used, n, n);
            used = segment = 0;
            continue;
        }
        if (segment == 0) segment = n;
        used += n;
        if (n == segment && used + PACKET_BYTES <= sizeof bytes) continue;
        transmit(e, bytes, used, segment);
        used = segment = 0;
    }
    transmit(e, bytes, used, segment);
    ngtcp2_conn_update_pkt_tx_time(e->conn, now);
}

static void input(struct end *e, const uint8_t *bytes, size_t length)
{
    ngtcp2_path path = path_of(e);
    ngtcp2_pkt_info info = {0};
    int error = ngtcp2_conn_read_pkt(e->conn, &path, &info, bytes, length, now_ns());
    if (error == NGTCP2_ERR_DRAINING)
        e->gone = true;
    else if (error != 0)
        peer_die("read: %s", ngtcp2_strerror(error));
}

/* The connection of a server that a packet belongs to, made if it opens one. */
static struct end *server_end(int fd, const struct sockaddr_in *from, const uint8_t *bytes,
                              size_t length)
{
    ngtcp2_pkt_hd initial;
    struct end **slot = &by_port[ntohs(from->sin_port)];
    if (*slot == NULL && ngtcp2_accept(&initial, bytes, length) == 0)
        *slot = make(fd, from, &initial);
    return *slot;
}

/* Takes everything that waits in a socket; e is NULL for a server's. */
static void receive(int fd, struct end *client)
{
    static uint8_t bytes[65536];
    for (;;) {
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct sockaddr_in from;
        struct iovec vector = {bytes, sizeof bytes};
        struct msghdr message = {.msg_name = &from,
                                 .msg_namelen = sizeof from,
                                 .msg_iov = &vector,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control.room};
        ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
        if (length <= 0) return;
        size_t total = (size_t)length, segment = total;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        if (c != NULL && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            segment = (size_t)size;
        }
        struct end *e = client != NULL ? client : server_end(fd, &from, bytes, total);
        for (size_t at = 0; at < total && e != NULL && !e->gone; at += segment)
            input(e, bytes + at, total - at < segment ? total - at : segment);
        if (e == NULL) continue;
        if (!e->gone) pump(e);
        if (e->gone && client == NULL) {
            by_port[ntohs(from.sin_port)] = NULL;
            destroy(e);
        }
    }
}

static int open_socket(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, buffer = 7 << 20;
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof *address) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &length) != 0)
        peer_die("no socket");
    (void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    return fd;
}

/* Serves a timer that is due. @return when the next one is, in ns from now; UINT64_MAX: never */
static uint64_t tick(struct end *e)
{
    uint64_t now = now_ns(), due = ngtcp2_conn_get_expiry(e->conn);
    if (due <= now) {
        if (ngtcp2_conn_handle_expiry(e->conn, now) != 0) peer_die("a connection timed out");
        pump(e);
        due = ngtcp2_conn_get_expiry(e->conn);
        now = now_ns();
    }
    return due == UINT64_MAX ? due : due > now ? due - now : 0;
}

static void wait_for(struct pollfd *fds, nfds_t fds_count, uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    if (ppoll(fds, fds_count, ns == UINT64_MAX ? NULL : &t, NULL) < 0 && errno != EINTR)
        peer_die("poll");
}

/* @return when the next timer of any connection is due, in ns from now */
static uint64_t tick_all(void)
{
    uint64_t soonest = UINT64_MAX;
    for (unsigned i = 0; i < live_count; i++) {
        uint64_t due = tick(live[i]);
        if (due < soonest) soonest = due;
    }
    return soonest;
}

static void serve(const char *what, unsigned n)
{
    struct sockaddr_in own;
    struct pollfd poll_fd = {.fd = open_socket(&own), .events = POLLIN};
    figure = what;
    count = n;
    peer_ready(ntohs(own.sin_port));
    for (;;) {
        wait_for(&poll_fd, 1, tick_all());
        receive(poll_fd.fd, NULL);
    }
}

static struct end *dial(void)
{
    struct sockaddr_in own;
    struct end *e = make(open_socket(&own), &server_address, NULL);
    pump(e);
    return e;
}

/* One turn of a client. @return whether the server said that it is done */
static bool turn(void)
{
    static struct pollfd fds[LIVE_MAX + 1];
    unsigned n = live_count;
    uint64_t soonest = tick_all();
    for (unsigned i = 0; i < n; i++) fds[i] = (struct pollfd){.fd = live[i]->fd, .events = POLLIN};
    fds[n] = (struct pollfd){.fd = peer_done_pipe[0], .events = POLLIN};
    wait_for(fds, n + 1, soonest);
    for (unsigned i = 0; i < n; i++)
        if (fds[i].revents != 0) receive(fds[i].fd, live[i]);
    return fds[n].revents != 0;
}

static void hang_up(struct end *e)
{
    uint8_t bytes[PACKET_BYTES];
    ngtcp2_connection_close_error why;
    ngtcp2_connection_close_error_default(&why);
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(e->conn, NULL, NULL, bytes, sizeof bytes,
                                                        &why, now_ns());
    if (n > 0) transmit(e, bytes, (size_t)n, (size_t)n);
    close(e->fd);
    destroy(e);
}

static double handshakes(unsigned n)
{
    unsigned begun = 0, ended = 0;
    double start = peer_now();
    while (ended < n) {
        while (begun < n && live_count < PEER_DIALS_AT_ONCE) {
            dial();
            begun++;
        }
        turn();
        for (unsigned i = live_count; i-- > 0;) {
            if (!live[i]->up) continue;
            hang_up(live[i]);
            ended++;
        }
    }
    return n / (peer_now() - start);
}

static double requests(struct end *e, unsigned n)
{
    double start = peer_now();
    e->asked = e->answered = 0;
    while (e->answered < n) {
        while (e->asked < n && e->asked - e->answered < PEER_REQUESTS_AT_ONCE) {
            int64_t stream;
            if (ngtcp2_conn_open_bidi_stream(e->conn, &stream, NULL) != 0) break;
            enqueue(e, stream, PEER_REQUEST_BYTES);
            e->asked++;
        }
        pump(e);
        turn();
    }
    return n / (peer_now() - start);
}

static void drive(const char *what, unsigned n, uint16_t port)
{
    figure = what;
    count = n;
    server_address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (strcmp(what, "handshakes") == 0) {
        peer_say("handshakes_per_second", handshakes(n));
        return;
    }
    unsigned dials = strcmp(what, "idle") == 0 ? n + PEER_WARM_UP : 1;
    struct end *e = NULL;
    for (unsigned i = 1; i <= dials; i++) {
        e = dial();
        while (up < i) turn();
    }
    if (strcmp(what, "requests") == 0) {
        requests(e, n / 10);
        peer_say("requests_per_second", requests(e, n));
        return;
    }
    int64_t stream;
    if (strcmp(what, "bulk") == 0) {
        must(ngtcp2_conn_open_uni_stream(e->conn, &stream, NULL), "stream");
        enqueue(e, stream, (uint64_t)n << 20);
        pump(e);
    }
    while (!turn()) {
    }
    peer_wait();
}

static void version(void)
{
    printf("version ngtcp2 %s, GnuTLS %s, AES-256-GCM\n", ngtcp2_version(0)->version_str,
           gnutls_check_version(NULL));
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"ngtcp2", version, prepare, serve, drive};
    return peer_main(&peer, argc, argv);
}
