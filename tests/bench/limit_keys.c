/* SPDX-License-Identifier: MIT */
#include "bench.h"
#include "limit.h"
#include <sodium.h>
#include <string.h>

enum { BATCH = 64 };

double limit_arithmetic(double seconds)
{
    uint8_t secret[32], public[32], shared[32], id[32], key[64], signature[64], message[96] = {0};
    unsigned handshakes = 0;
    if (sodium_init() < 0) bench_die("libsodium does not start");
    bench_pin(0);
    crypto_sign_keypair(id, key);
    crypto_sign_detached(signature, NULL, message, sizeof message, key);
    randombytes_buf(secret, sizeof secret);
    double start = bench_now(), now = start;
    while (now < start + seconds) {
        for (int i = 0; i < BATCH; i++) {
            secret[1]++;
            crypto_scalarmult_base(public, secret);
            for (int j = 0; j < 3; j++) {
                if (crypto_scalarmult(shared, secret, public) != 0) bench_die("X25519 failed");
            }
            if (crypto_sign_verify_detached(signature, message, sizeof message, id) != 0)
                bench_die("ed25519 failed");
        }
        handshakes += BATCH;
        now = bench_now();
    }
    return handshakes / (now - start);
}
