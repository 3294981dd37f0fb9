/* SPDX-License-Identifier: MIT */
#include "quic/params.h"

#include "base/assert.h"

enum {
    ID_ORIGINAL_DCID = 0x00,
    ID_IDLE_TIMEOUT = 0x01,
    ID_RESET_TOKEN = 0x02,
    ID_UDP_PAYLOAD = 0x03,
    ID_MAX_DATA = 0x04,
    ID_STREAM_BIDI_LOCAL = 0x05,
    ID_STREAM_BIDI_REMOTE = 0x06,
    ID_STREAM_UNI = 0x07,
    ID_STREAMS_BIDI = 0x08,
    ID_STREAMS_UNI = 0x09,
    ID_ACK_DELAY_EXPONENT = 0x0a,
    ID_MAX_ACK_DELAY = 0x0b,
    ID_DISABLE_MIGRATION = 0x0c,
    ID_PREFERRED_ADDRESS = 0x0d,
    ID_CID_LIMIT = 0x0e,
    ID_INITIAL_SCID = 0x0f,
    ID_RETRY_SCID = 0x10,
    ID_DATAGRAM_SIZE = 0x20,
    ID_SUITES = 0x4001,
    ID_NETWORK = 0x4002
};
#define ID_MIN_ACK_DELAY UINT32_C(0xff04de1b) /* draft-ietf-quic-ack-frequency */
enum {
    UDP_PAYLOAD_MIN = 1200,
    UDP_PAYLOAD_DEFAULT = 65527,
    EXPONENT_DEFAULT = 3,
    ACK_DELAY_DEFAULT_MS = 25,
    CID_LIMIT_DEFAULT = 2,
    GREASE_SIZE_MAX = 7
};
#define STREAMS_MAX (UINT64_C(1) << 60)

/* A parameter that is one number: where it lives, what holds when it is absent, what is legal. */
struct number {
    uint32_t id;
    uint16_t place;
    uint64_t absent, least, most;
};
#define NUMBER(id, member, absent, least, most)                                                    \
    {                                                                                              \
        id, offsetof(struct params, member), absent, least, most                                   \
    }
static const struct number numbers[] = {
    NUMBER(ID_IDLE_TIMEOUT, max_idle_timeout_ms, 0, 0, VARINT_MAX),
    NUMBER(ID_UDP_PAYLOAD, max_udp_payload_size, UDP_PAYLOAD_DEFAULT, UDP_PAYLOAD_MIN, VARINT_MAX),
    NUMBER(ID_MAX_DATA, initial_max_data, 0, 0, VARINT_MAX),
    NUMBER(ID_STREAM_BIDI_LOCAL, initial_max_stream_data_bidi_local, 0, 0, VARINT_MAX),
    NUMBER(ID_STREAM_BIDI_REMOTE, initial_max_stream_data_bidi_remote, 0, 0, VARINT_MAX),
    NUMBER(ID_STREAM_UNI, initial_max_stream_data_uni, 0, 0, VARINT_MAX),
    NUMBER(ID_STREAMS_BIDI, initial_max_streams_bidi, 0, 0, STREAMS_MAX),
    NUMBER(ID_STREAMS_UNI, initial_max_streams_uni, 0, 0, STREAMS_MAX),
    NUMBER(ID_ACK_DELAY_EXPONENT, ack_delay_exponent, EXPONENT_DEFAULT, 0, 20),
    NUMBER(ID_MAX_ACK_DELAY, max_ack_delay_ms, ACK_DELAY_DEFAULT_MS, 0, (1 << 14) - 1),
    NUMBER(ID_CID_LIMIT, active_connection_id_limit, CID_LIMIT_DEFAULT, 2, VARINT_MAX),
    NUMBER(ID_DATAGRAM_SIZE, max_datagram_frame_size, 0, 0, VARINT_MAX),
    NUMBER(ID_MIN_ACK_DELAY, min_ack_delay_us, PARAMS_ABSENT, 0, (1 << 24) - 1),
};
enum { NUMBERS_COUNT = sizeof numbers / sizeof numbers[0] };

static uint64_t number_get(const struct params *params, const struct number *number)
{
    uint64_t value;
    memcpy(&value, (const uint8_t *)params + number->place, sizeof value);
    return value;
}

static void number_set(struct params *params, const struct number *number, uint64_t value)
{
    memcpy((uint8_t *)params + number->place, &value, sizeof value);
}

void params_init(struct params *params)
{
    memset(params, 0, sizeof *params);
    for (unsigned i = 0; i < NUMBERS_COUNT; i++) {
        number_set(params, &numbers[i], numbers[i].absent);
    }
    params->suites = 1U << (AEAD_CHACHA20_POLY1305 - 1);
    params->suite = AEAD_CHACHA20_POLY1305;
}

/* A place in the set of parameters seen, or -1 for those that we do not know. */
static int known_index(uint64_t id)
{
    if (id <= ID_RETRY_SCID) return (int)id;
    if (id == ID_DATAGRAM_SIZE) return ID_RETRY_SCID + 1;
    if (id == ID_SUITES) return ID_RETRY_SCID + 2;
    if (id == ID_NETWORK) return ID_RETRY_SCID + 3;
    if (id == ID_MIN_ACK_DELAY) return ID_RETRY_SCID + 4;
    return -1;
}

static bool is_server_only(uint64_t id)
{
    return id == ID_ORIGINAL_DCID || id == ID_RESET_TOKEN || id == ID_PREFERRED_ADDRESS ||
           id == ID_RETRY_SCID;
}

/* @return whether value holds exactly one cid */
static bool read_cid(struct reader *value, struct cid *cid)
{
    size_t len = reader_left(value);
    return cid_set(cid, reader_bytes(value, len), len);
}

static bool read_reset_token(struct reader *value, uint8_t token[16])
{
    const uint8_t *bytes = reader_bytes(value, 16);
    if (bytes == NULL) return false;
    memcpy(token, bytes, 16);
    return true;
}

static bool read_preferred_address(struct reader *value, struct params_preferred_address *out)
{
    const uint8_t *ipv4 = reader_bytes(value, sizeof out->ipv4);
    out->ipv4_port = reader_u16(value);
    const uint8_t *ipv6 = reader_bytes(value, sizeof out->ipv6);
    out->ipv6_port = reader_u16(value);
    uint8_t len = reader_u8(value);
    const uint8_t *id = reader_bytes(value, len);
    if (value->failed || len == 0 || !cid_set(&out->cid, id, len)) return false;
    memcpy(out->ipv4, ipv4, sizeof out->ipv4);
    memcpy(out->ipv6, ipv6, sizeof out->ipv6);
    return read_reset_token(value, out->reset_token);
}

/* wire.md 7.3: a server lists, a client says exactly one byte. Suites yet to come are not ours to
 * refuse, so unknown bytes of a list are skipped; those of a choice fail params_suite_check. */
static bool read_suites(struct reader *value, bool from_server, struct params *params)
{
    if (!from_server) {
        params->suite = reader_u8(value);
        return true;
    }
    if (reader_left(value) == 0) return false;
    while (reader_left(value) > 0) {
        if (reader_u8(value) == AEAD_AES_256_GCM) params->suites |= 1U << (AEAD_AES_256_GCM - 1);
    }
    return true;
}

static bool read_network(struct reader *value, struct params *params)
{
    size_t len = reader_left(value);
    const uint8_t *name = reader_bytes(value, len);
    if (!network_name_is_valid(name, len)) return false;
    if (len > 0) memcpy(params->network, name, len);
    params->network_len = (uint8_t)len;
    return true;
}

static bool read_number(struct reader *value, uint64_t id, struct params *params)
{
    uint64_t number = reader_varint(value);
    for (unsigned i = 0; i < NUMBERS_COUNT; i++) {
        if (numbers[i].id != id) continue;
        if (number < numbers[i].least || number > numbers[i].most) return false;
        if (id == ID_IDLE_TIMEOUT && number > PARAMS_IDLE_MAX_MS) number = PARAMS_IDLE_MAX_MS;
        number_set(params, &numbers[i], number);
        return true;
    }
    return false;
}

static bool read_value(struct reader *value, uint64_t id, bool from_server, struct params *params)
{
    switch (id) {
    case ID_ORIGINAL_DCID:
        params->has_original_dcid = true;
        return read_cid(value, &params->original_dcid);
    case ID_INITIAL_SCID:
        params->has_initial_scid = true;
        return read_cid(value, &params->initial_scid);
    case ID_RETRY_SCID: params->has_retry_scid = true; return read_cid(value, &params->retry_scid);
    case ID_RESET_TOKEN:
        params->has_reset_token = true;
        return read_reset_token(value, params->reset_token);
    case ID_PREFERRED_ADDRESS:
        params->has_preferred_address = true;
        return read_preferred_address(value, &params->preferred_address);
    case ID_DISABLE_MIGRATION: params->disable_active_migration = true; return true;
    case ID_SUITES: return read_suites(value, from_server, params);
    case ID_NETWORK: return read_network(value, params);
    default: return read_number(value, id, params);
    }
}

/* Between parameters, which come in any order: nobody can delay an ACK by at least more than at
 * most (draft-ietf-quic-ack-frequency). */
static bool delays_agree(const struct params *params)
{
    return params->min_ack_delay_us == PARAMS_ABSENT ||
           params->min_ack_delay_us <= params->max_ack_delay_ms * 1000;
}

int params_decode(const uint8_t *data, size_t len, bool from_server, struct params *params)
{
    struct reader r = reader_of(data, len);
    uint32_t seen = 0;
    params_init(params);
    while (reader_left(&r) > 0) {
        uint64_t id = reader_varint(&r);
        uint64_t value_len = reader_varint(&r);
        struct reader value = reader_sub(&r, value_len);
        if (r.failed) return QUIC_TRANSPORT_PARAMETER;
        int index = known_index(id);
        if (index < 0) continue;
        uint32_t bit = UINT32_C(1) << index;
        if ((seen & bit) != 0) return QUIC_TRANSPORT_PARAMETER;
        seen |= bit;
        if (!from_server && is_server_only(id)) return QUIC_TRANSPORT_PARAMETER;
        bool good = read_value(&value, id, from_server, params);
        /* A value must fill its length exactly: nothing hides behind a number. */
        if (!good || value.failed || reader_left(&value) > 0) return QUIC_TRANSPORT_PARAMETER;
    }
    return delays_agree(params) ? QUIC_NO_ERROR : QUIC_TRANSPORT_PARAMETER;
}

static void write_bytes(struct writer *w, uint64_t id, const uint8_t *bytes, size_t len)
{
    writer_varint(w, id);
    writer_varint(w, len);
    if (len > 0) writer_bytes(w, bytes, len);
}

static void write_numbers(struct writer *w, const struct params *params)
{
    for (unsigned i = 0; i < NUMBERS_COUNT; i++) {
        uint64_t value = number_get(params, &numbers[i]);
        if (value == numbers[i].absent) continue;
        WEIR_ASSERT(value >= numbers[i].least && value <= numbers[i].most);
        writer_varint(w, numbers[i].id);
        writer_varint(w, varint_size(value));
        writer_varint(w, value);
    }
}

static void write_preferred_address(struct writer *w, const struct params_preferred_address *a)
{
    WEIR_ASSERT(a->cid.len > 0);
    writer_varint(w, ID_PREFERRED_ADDRESS);
    writer_varint(w, sizeof a->ipv4 + 2 + sizeof a->ipv6 + 2 + 1 + (size_t)a->cid.len + 16);
    writer_bytes(w, a->ipv4, sizeof a->ipv4);
    writer_u16(w, a->ipv4_port);
    writer_bytes(w, a->ipv6, sizeof a->ipv6);
    writer_u16(w, a->ipv6_port);
    writer_u8(w, a->cid.len);
    writer_bytes(w, a->cid.bytes, a->cid.len);
    writer_bytes(w, a->reset_token, sizeof a->reset_token);
}

static void write_server_only(struct writer *w, const struct params *params)
{
    if (params->has_original_dcid) {
        write_bytes(w, ID_ORIGINAL_DCID, params->original_dcid.bytes, params->original_dcid.len);
    }
    if (params->has_retry_scid) {
        write_bytes(w, ID_RETRY_SCID, params->retry_scid.bytes, params->retry_scid.len);
    }
    if (params->has_reset_token) {
        write_bytes(w, ID_RESET_TOKEN, params->reset_token, sizeof params->reset_token);
    }
    if (params->has_preferred_address) write_preferred_address(w, &params->preferred_address);
}

/* Absent says 01 alone, so nothing is sent then; a list names the mandatory suite too. */
static void write_suites(struct writer *w, const struct params *params, bool as_server)
{
    static const uint8_t both[] = {AEAD_CHACHA20_POLY1305, AEAD_AES_256_GCM};
    bool aes = (params->suites & 1U << (AEAD_AES_256_GCM - 1)) != 0;
    if (as_server && aes) write_bytes(w, ID_SUITES, both, sizeof both);
    if (!as_server && params->suite != AEAD_CHACHA20_POLY1305) {
        write_bytes(w, ID_SUITES, &params->suite, 1);
    }
}

/* RFC 9000 18.1: a reserved parameter keeps peers honest about skipping what they do not know. */
static void write_grease(struct writer *w, uint64_t grease)
{
    uint8_t value[GREASE_SIZE_MAX + 1];
    struct writer filler = writer_of(value, sizeof value);
    writer_u64(&filler, grease);
    uint64_t id = 31 * (grease >> 16 & 0xffffffff) + 27;
    write_bytes(w, id, value, grease % (GREASE_SIZE_MAX + 1));
}

size_t params_encode(struct writer *w, const struct params *params, bool as_server, uint64_t grease)
{
    struct writer before = *w;
    WEIR_ASSERT(delays_agree(params));
    write_numbers(w, params);
    if (params->has_initial_scid) {
        write_bytes(w, ID_INITIAL_SCID, params->initial_scid.bytes, params->initial_scid.len);
    }
    if (as_server) write_server_only(w, params);
    if (params->disable_active_migration) write_bytes(w, ID_DISABLE_MIGRATION, NULL, 0);
    write_suites(w, params, as_server);
    WEIR_ASSERT(params->network_len <= PARAMS_NETWORK_MAX);
    if (params->network_len > 0) write_bytes(w, ID_NETWORK, params->network, params->network_len);
    write_grease(w, grease);
    if (w->full) {
        *w = before;
        return 0;
    }
    return writer_len(w) - writer_len(&before);
}

int params_check_cids(const struct params *params, const struct cid *scid, const struct cid *odcid,
                      const struct cid *retry)
{
    if (!params->has_initial_scid || !cid_equal(&params->initial_scid, scid)) {
        return QUIC_TRANSPORT_PARAMETER;
    }
    if (odcid == NULL) return QUIC_NO_ERROR;
    if (!params->has_original_dcid || !cid_equal(&params->original_dcid, odcid)) {
        return QUIC_TRANSPORT_PARAMETER;
    }
    /* If and only if: a missing one means a Retry that the server did not send. */
    if (params->has_retry_scid != (retry != NULL)) return QUIC_TRANSPORT_PARAMETER;
    if (retry != NULL && !cid_equal(&params->retry_scid, retry)) return QUIC_TRANSPORT_PARAMETER;
    return QUIC_NO_ERROR;
}

uint8_t params_suite_choose(const struct params *server, bool aes_offered)
{
    bool both = aes_offered && (server->suites & 1U << (AEAD_AES_256_GCM - 1)) != 0;
    return both ? AEAD_AES_256_GCM : AEAD_CHACHA20_POLY1305;
}

int params_suite_check(const struct params *client, bool aes_offered)
{
    if (client->suite == AEAD_CHACHA20_POLY1305) return QUIC_NO_ERROR;
    if (client->suite == AEAD_AES_256_GCM && aes_offered) return QUIC_NO_ERROR;
    return QUIC_TRANSPORT_PARAMETER;
}
