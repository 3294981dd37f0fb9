/* SPDX-License-Identifier: MIT */
#include "api/node_options.h"
#include "api/keys.h"
#include "api/options.h"
#include "crypto/aead.h"
#include "host/fail.h"
#include "transport/network.h"
#include <inttypes.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define SECOND_US UINT64_C(1000000)
/* Times that are added to a clock must not pass its end: 2^40 us are twelve days. */
#define TIME_MAX_US (UINT64_C(1) << 40)

/* What each number may be. 0 is the default and always allowed. */
static const struct {
    const char *name;
    uint16_t offset, size;
    uint64_t min, max;
} ranges[] = {
#define RANGE(field, min, max)                                                                     \
    {                                                                                              \
#field, offsetof(weir_node_options, field), sizeof(((weir_node_options *)0)->field), min,  \
            max                                                                                    \
    }
    RANGE(log_level_plus1, 1, 6),
    RANGE(memory_bytes, 256 * KIB, UINT64_C(1) << 48),
    RANGE(peers_max, 1, 1 << 20),
    RANGE(stream_window_bytes, KIB, UINT64_C(1) << 32),
    RANGE(connection_window_bytes, KIB, UINT64_C(1) << 32),
    RANGE(windows_grow_off, 1, 1),
    RANGE(idle_timeout_us, SECOND_US, TIME_MAX_US),
    RANGE(keep_alive_us, SECOND_US / 10, UINT64_MAX),
    RANGE(dial_timeout_us, 1, TIME_MAX_US),
    RANGE(congestion_plus1, 1, 3),
    RANGE(refuse_unknown, 1, 1),
    RANGE(datagram_bytes, 1200, 65000),
    RANGE(offload_off, 1, 1),
    RANGE(streams_max, 1, 1 << 16),
    RANGE(observed_off, 1, 1),
    RANGE(cipher_plus1, 1, 2),
    RANGE(spin_us, 1, 1000),
    RANGE(ecn_off, 1, 1),
    RANGE(datagrams_off, 1, 1),
    RANGE(handshake_timeout_us, SECOND_US, TIME_MAX_US),
#undef RANGE
};

static uint64_t field_of(const weir_node_options *o, size_t offset, size_t size)
{
    uint32_t narrow;
    uint64_t wide;
    if (size == sizeof wide) {
        memcpy(&wide, (const uint8_t *)o + offset, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const uint8_t *)o + offset, sizeof narrow);
    return narrow;
}

static int check_ranges(const weir_node_options *o, weir_error *facts)
{
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        uint64_t value = field_of(o, ranges[i].offset, ranges[i].size);
        if (value == 0 || (value >= ranges[i].min && value <= ranges[i].max)) continue;
        return fail_with(facts, WEIR_E_ARGUMENT,
                         "%s is %" PRIu64 ": it may be 0 (the default) or %" PRIu64 " to %" PRIu64,
                         ranges[i].name, value, ranges[i].min, ranges[i].max);
    }
    if (o->keep_alive_us > TIME_MAX_US && o->keep_alive_us != WEIR_NONE) {
        return fail_with(facts, WEIR_E_ARGUMENT,
                         "keep_alive_us is too long: use WEIR_NONE for never");
    }
    return 0;
}

/* A first window is a promise of memory: a peer cannot be promised more than it may hold. */
static int set_window(struct limits *limits, uint64_t bytes, unsigned first, unsigned most,
                      const char *name, weir_error *facts)
{
    uint64_t *v = limits->value;
    if (bytes == 0) return 0;
    if (bytes > v[LIMIT_PEER_MEMORY]) {
        return fail_with(facts, WEIR_E_ARGUMENT,
                         "%s is %" PRIu64 ", but one peer may hold %" PRIu64
                         " bytes: give the node more memory_bytes or a smaller window",
                         name, bytes, v[LIMIT_PEER_MEMORY]);
    }
    v[first] = bytes;
    if (v[most] < bytes) v[most] = bytes;
    return 0;
}

static int take_limits(struct limits *limits, const weir_node_options *o, weir_error *facts)
{
    uint64_t *v = limits->value;
    limits_derive(limits, o->memory_bytes, o->peers_max);
    int error = set_window(limits, o->stream_window_bytes, LIMIT_STREAM_WINDOW_FIRST,
                           LIMIT_STREAM_WINDOW, "stream_window_bytes", facts);
    if (error == 0) {
        error = set_window(limits, o->connection_window_bytes, LIMIT_CONNECTION_WINDOW_FIRST,
                           LIMIT_CONNECTION_WINDOW, "connection_window_bytes", facts);
    }
    if (o->idle_timeout_us != 0) v[LIMIT_IDLE_TIMEOUT] = o->idle_timeout_us;
    if (o->keep_alive_us != 0) v[LIMIT_KEEP_ALIVE] = o->keep_alive_us;
    if (o->dial_timeout_us != 0) v[LIMIT_DIAL_TIME] = o->dial_timeout_us;
    if (o->handshake_timeout_us != 0) v[LIMIT_HANDSHAKE_TIME] = o->handshake_timeout_us;
    if (o->streams_max != 0) v[LIMIT_STREAMS_BIDI] = v[LIMIT_STREAMS_UNI] = o->streams_max;
    return error;
}

static int check_network(const char *name, weir_error *facts)
{
    size_t len = strnlen(name, NETWORK_NAME_MAX + 1);
    if (len > NETWORK_NAME_MAX) {
        return fail_with(facts, WEIR_E_NAME, "the network name is longer than %d bytes",
                         NETWORK_NAME_MAX);
    }
    if (!network_name_is_valid(name, len))
        return fail_with(facts, WEIR_E_NAME, "the network name has a control character");
    return 0;
}

/* Nothing is offered beside the mandatory suite unless it is asked for: the world decides what a
 * machine would do by itself (node.c), so that a simulated run is the same on every machine. */
static int take_cipher(struct node_options *out, uint32_t cipher_plus1, weir_error *facts)
{
    out->is_cipher_given = cipher_plus1 != 0;
    out->config.suites = 1u << AEAD_CHACHA20_POLY1305;
    if (cipher_plus1 != 2) return 0;
    if (!aead_is_available(AEAD_AES_256_GCM)) {
        return fail_with(
            facts, WEIR_E_UNSUPPORTED,
            "this machine has no instructions for AES-256-GCM: leave cipher_plus1 at 0");
    }
    out->config.suites |= 1u << AEAD_AES_256_GCM;
    return 0;
}

int node_options_take(struct node_options *out, const weir_node_options *given, weir_error *facts)
{
    weir_node_options o;
    struct node_config *config = &out->config;
    memset(out, 0, sizeof *out);
    int error = options_read(&o, sizeof o, given);
    if (error == 0) error = check_ranges(&o, facts);
    if (error == 0) error = take_limits(&config->limits, &o, facts);
    config->network = o.network != NULL ? o.network : "";
    if (error == 0) error = check_network(config->network, facts);
    if (error != 0) return error;
    config->log_level = o.log_level_plus1 == 0 ? LOG_WARN : o.log_level_plus1 - 1;
    config->datagram_bytes = o.datagram_bytes;
    config->congestion = (uint8_t)(o.congestion_plus1 == 0 ? 0 : o.congestion_plus1 - 1);
    config->ecn_off = o.ecn_off != 0;
    config->datagrams_off = o.datagrams_off != 0;
    config->refuse_unknown = o.refuse_unknown != 0;
    config->windows_grow_off = o.windows_grow_off != 0;
    config->observed_off = o.observed_off != 0;
    out->offload_off = o.offload_off != 0;
    out->spin_us = o.spin_us;
    error = take_cipher(out, o.cipher_plus1, facts);
    if (error != 0) return error;
    if (o.key == NULL) return 0;
    error = keys_take(&out->key, o.key);
    if (error != 0) {
        return fail_with(facts, error,
                         "the secret and the public half of the key do not belong together");
    }
    config->key = &out->key;
    return 0;
}

void node_options_wipe(struct node_options *options)
{
    key_pair_wipe(&options->key);
    options->config.key = NULL;
}
