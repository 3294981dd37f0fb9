/* SPDX-License-Identifier: MIT */
#include "bench.h"
#include "limit_packet.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { RUN = 45, BUFFER = 8 << 20 };

struct flow {
    enum limit_kind kind;
    int out, in;
    double seconds;
    atomic_bool stop;
    uint64_t received; /**< payload bytes */
    struct packet_keys keys;
};

const char *limit_name(enum limit_kind kind)
{
    static const char *const names[LIMIT_KINDS] = {
        "UDP, one datagram a call", "UDP, GSO and GRO", "GSO + ChaCha20-Poly1305, library's",
        "GSO + ChaCha20-Poly1305, padded", "GSO + AES-256-GCM"};
    return names[kind];
}

bool limit_is_available(enum limit_kind kind)
{
    if (sodium_init() < 0) return false;
    return kind != LIMIT_AES || crypto_aead_aes256gcm_is_available() != 0;
}

enum limit_kind limit_of_suite(const char *suite)
{
    if (strncmp(suite, "aes", 3) == 0) return LIMIT_AES;
    if (strncmp(suite, "chacha20", 8) != 0) bench_die("'%s' is no suite: chacha20 or aes", suite);
    return LIMIT_CHACHA_PADDED;
}

static void *send_all(void *context)
{
    struct flow *f = context;
    static uint8_t run[RUN * LIMIT_PACKET_BYTES];
    uint32_t number = 0;
    size_t packets = f->kind == LIMIT_RAW_SINGLE ? 1 : RUN;
    bench_pin(1);
    while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
        if (f->kind >= LIMIT_CHACHA_LIBRARY) {
            for (size_t i = 0; i < packets; i++)
                packet_close(f->kind, &f->keys, run + i * LIMIT_PACKET_BYTES, ++number);
        }
        if (send(f->out, run, packets * LIMIT_PACKET_BYTES, 0) < 0 && errno != EAGAIN &&
            errno != ENOBUFS)
            break;
    }
    return NULL;
}

static void take_run(struct flow *f, uint8_t *run, size_t len)
{
    if (f->kind < LIMIT_CHACHA_LIBRARY) {
        f->received += len;
        return;
    }
    for (size_t at = 0; at + LIMIT_PACKET_BYTES <= len; at += LIMIT_PACKET_BYTES) {
        if (packet_uncover(f->kind, &f->keys, run + at)) f->received += PACKET_BODY;
    }
}

static double receive_all(struct flow *f)
{
    static uint8_t run[65536];
    double start = bench_now(), now = start;
    bench_pin(0);
    while (now < start + f->seconds) {
        ssize_t n = recv(f->in, run, sizeof run, 0);
        if (n > 0) take_run(f, run, (size_t)n);
        now = bench_now();
    }
    atomic_store(&f->stop, true);
    return (double)f->received * 8 / (now - start);
}

static bool open_sockets(struct flow *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int on = 1, segment = LIMIT_PACKET_BYTES, size = BUFFER;
    struct timeval wait = {.tv_usec = 100000};
    f->in = socket(AF_INET, SOCK_DGRAM, 0);
    f->out = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(f->in, (struct sockaddr *)&a, sizeof a) != 0) return false;
    (void)getsockname(f->in, (struct sockaddr *)&a, &len);
    if (connect(f->out, (struct sockaddr *)&a, sizeof a) != 0) return false;
    (void)setsockopt(f->in, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(f->in, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (f->kind == LIMIT_RAW_SINGLE) return true;
    (void)setsockopt(f->in, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    return setsockopt(f->out, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0;
}

double limit_udp(enum limit_kind kind, double seconds)
{
    struct flow f = {.kind = kind, .seconds = seconds};
    pthread_t sender;
    double rate = 0;
    if (!limit_is_available(kind)) return 0;
    packet_keys_make(&f.keys);
    if (open_sockets(&f) && pthread_create(&sender, NULL, send_all, &f) == 0) {
        rate = receive_all(&f);
        (void)pthread_join(sender, NULL);
    }
    close(f.in);
    close(f.out);
    return rate;
}
