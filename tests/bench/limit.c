/* SPDX-License-Identifier: MIT */
#include "limit.h"
#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { PACKET = 1452, HEADER = 12, BODY = PACKET - HEADER - 16, BATCH = 44 };

struct limit {
    int out, in;
    double seconds;
    atomic_bool stop;
    uint64_t received;
};

static void pin(size_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void mask(uint8_t *packet, const uint8_t key[32])
{
    static const uint8_t zero[5];
    uint8_t out[5];
    crypto_stream_chacha20_ietf_xor_ic(out, zero, sizeof out, packet + HEADER + 4, 1, key);
    for (int i = 0; i < 4; i++) packet[8 + i] ^= out[i + 1];
}

static void *send_all(void *context)
{
    struct limit *l = context;
    static uint8_t batch[BATCH * PACKET];
    uint8_t key[32] = {1}, nonce[12] = {0};
    uint64_t number = 0;
    pin(1);
    while (!atomic_load(&l->stop)) {
        for (int i = 0; i < BATCH; i++) {
            uint8_t *p = batch + i * PACKET;
            unsigned long long len;
            number++;
            memcpy(nonce, &number, 8);
            memcpy(p, &number, 8);
            crypto_aead_chacha20poly1305_ietf_encrypt(p + HEADER, &len, p + HEADER, BODY, p, HEADER,
                                                      NULL, nonce, key);
            mask(p, key);
        }
        if (send(l->out, batch, sizeof batch, 0) < 0 && errno != EAGAIN && errno != ENOBUFS) break;
    }
    return NULL;
}

static void open_run(struct limit *l, uint8_t *run, size_t len)
{
    uint8_t key[32] = {1}, nonce[12] = {0};
    for (size_t at = 0; at + PACKET <= len; at += PACKET) {
        unsigned long long plain;
        mask(run + at, key);
        memcpy(nonce, run + at, 8);
        if (crypto_aead_chacha20poly1305_ietf_decrypt(run + at + HEADER, &plain, NULL,
                                                      run + at + HEADER, BODY + 16, run + at,
                                                      HEADER, nonce, key) == 0)
            l->received += BODY;
    }
}

static void receive_all(struct limit *l)
{
    static uint8_t run[65536];
    double end = bench_now() + l->seconds;
    pin(0);
    while (bench_now() < end) {
        ssize_t n = recv(l->in, run, sizeof run, 0);
        if (n > 0) open_run(l, run, (size_t)n);
    }
    atomic_store(&l->stop, true);
}

double limit_aead_gso(double seconds)
{
    struct limit l = {.seconds = seconds};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int on = 1, segment = PACKET, size = 8 << 20;
    struct timeval wait = {.tv_usec = 100000};
    pthread_t sender;
    if (sodium_init() < 0) return 0;
    l.in = socket(AF_INET, SOCK_DGRAM, 0);
    l.out = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(l.in, (struct sockaddr *)&a, sizeof a) != 0) return 0;
    (void)getsockname(l.in, (struct sockaddr *)&a, &len);
    if (connect(l.out, (struct sockaddr *)&a, sizeof a) != 0) return 0;
    (void)setsockopt(l.in, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(l.in, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(l.in, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    if (setsockopt(l.out, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) return 0;
    if (pthread_create(&sender, NULL, send_all, &l) != 0) return 0;
    double start = bench_now();
    receive_all(&l);
    double took = bench_now() - start;
    (void)pthread_join(sender, NULL);
    close(l.in);
    close(l.out);
    return (double)l.received * 8 / took;
}
