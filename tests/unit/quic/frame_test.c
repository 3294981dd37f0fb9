/* SPDX-License-Identifier: MIT */
/* Goal: every frame comes back as it was written, nothing that is malformed is accepted, and a
 * writer that lacks room leaves no trace. Method: one table of frames with their exact bytes, read,
 * truncated at every byte and written again into every size of room; a table of malformed ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "quic/frame.h"

#include <stdlib.h>
#include <string.h>

static bool write_again(struct writer *w, const struct frame *f)
{
    /* long: one switch */
    switch (f->type) {
    case FRAME_PADDING: return frame_write_padding(w, (size_t)f->u.padding.len);
    case FRAME_PING: return frame_write_ping(w);
    case FRAME_RESET_STREAM:
        return frame_write_reset_stream(w, f->u.reset_stream.id, f->u.reset_stream.code,
                                        f->u.reset_stream.final_size);
    case FRAME_STOP_SENDING:
        return frame_write_stop_sending(w, f->u.stop_sending.id, f->u.stop_sending.code);
    case FRAME_CRYPTO:
        return frame_write_crypto(w, f->u.crypto.offset, f->u.crypto.data, f->u.crypto.len);
    case FRAME_NEW_TOKEN: return frame_write_new_token(w, f->u.new_token.data, f->u.new_token.len);
    case FRAME_MAX_DATA: return frame_write_max_data(w, f->u.max_data.max);
    case FRAME_MAX_STREAM_DATA:
        return frame_write_max_stream_data(w, f->u.max_stream_data.id, f->u.max_stream_data.max);
    case FRAME_MAX_STREAMS_BIDI:
    case FRAME_MAX_STREAMS_UNI:
        return frame_write_max_streams(w, f->u.max_streams.uni, f->u.max_streams.max);
    case FRAME_DATA_BLOCKED: return frame_write_data_blocked(w, f->u.data_blocked.max);
    case FRAME_STREAM_DATA_BLOCKED:
        return frame_write_stream_data_blocked(w, f->u.stream_data_blocked.id,
                                               f->u.stream_data_blocked.max);
    case FRAME_STREAMS_BLOCKED_BIDI:
    case FRAME_STREAMS_BLOCKED_UNI:
        return frame_write_streams_blocked(w, f->u.streams_blocked.uni, f->u.streams_blocked.max);
    case FRAME_NEW_CONNECTION_ID:
        return frame_write_new_connection_id(
            w, f->u.new_connection_id.sequence, f->u.new_connection_id.retire_prior_to,
            &f->u.new_connection_id.cid, f->u.new_connection_id.reset_token);
    case FRAME_RETIRE_CONNECTION_ID:
        return frame_write_retire_connection_id(w, f->u.retire_connection_id.sequence);
    case FRAME_PATH_CHALLENGE: return frame_write_path_challenge(w, f->u.path.data);
    case FRAME_PATH_RESPONSE: return frame_write_path_response(w, f->u.path.data);
    case FRAME_CLOSE:
    case FRAME_CLOSE_APPLICATION:
        return frame_write_close(w, f->u.close.application, f->u.close.code, f->u.close.frame_type,
                                 f->u.close.reason, f->u.close.reason_len);
    case FRAME_HANDSHAKE_DONE: return frame_write_handshake_done(w);
    case FRAME_DATAGRAM:
    case FRAME_DATAGRAM_LEN:
        return frame_write_datagram(w, f->u.datagram.data, f->u.datagram.len,
                                    f->type == FRAME_DATAGRAM_LEN);
    case FRAME_IMMEDIATE_ACK: return frame_write_immediate_ack(w);
    case FRAME_ACK_FREQUENCY: return frame_write_ack_frequency(w, &f->u.ack_frequency);
    default:
        assert_true(frame_is_stream(f->type));
        return frame_write_stream(w, f->u.stream.id, f->u.stream.offset, f->u.stream.data,
                                  f->u.stream.len, f->u.stream.fin,
                                  (f->type & FRAME_STREAM_LEN) != 0);
    }
}

struct row {
    const char *what;
    uint8_t bytes[48];
    size_t len;
    bool open_ended; /* takes the rest of the packet, so a shorter one is legal too */
};
#define TEN 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
static const struct row rows[] = {
    {"PADDING", {0, 0, 0}, 3, true},
    {"PING", {0x01}, 1, false},
    {"RESET_STREAM", {0x04, 0x04, 0x40, 0x64, 0x80, 0x01, 0x00, 0x00}, 8, false},
    {"STOP_SENDING", {0x05, 0x08, 0x07}, 3, false},
    {"CRYPTO", {0x06, 0x40, 0x40, 0x03, 'a', 'b', 'c'}, 7, false},
    {"CRYPTO, empty", {0x06, 0x00, 0x00}, 3, false},
    {"NEW_TOKEN", {0x07, 0x02, 0xaa, 0xbb}, 4, false},
    {"STREAM", {0x08, 0x04, 'x', 'y'}, 4, true},
    {"STREAM FIN, empty", {0x09, 0x04}, 2, true},
    {"STREAM LEN", {0x0a, 0x04, 0x02, 'x', 'y'}, 5, false},
    {"STREAM LEN FIN, empty", {0x0b, 0x04, 0x00}, 3, false},
    {"STREAM OFF", {0x0c, 0x04, 0x05, 'x'}, 4, true},
    {"STREAM OFF FIN", {0x0d, 0x04, 0x05, 'x'}, 4, true},
    {"STREAM OFF LEN", {0x0e, 0x04, 0x05, 0x01, 'x'}, 5, false},
    {"STREAM OFF LEN FIN", {0x0f, 0x04, 0x05, 0x01, 'x'}, 5, false},
    {"MAX_DATA", {0x10, 0xbf, 0xff, 0xff, 0xff}, 5, false},
    {"MAX_STREAM_DATA", {0x11, 0x01, 0x02}, 3, false},
    {"MAX_STREAMS bidi", {0x12, 0x02}, 2, false},
    {"MAX_STREAMS uni, most", {0x13, 0xd0, 0, 0, 0, 0, 0, 0, 0}, 9, false},
    {"DATA_BLOCKED", {0x14, 0x02}, 2, false},
    {"STREAM_DATA_BLOCKED", {0x15, 0x02, 0x03}, 3, false},
    {"STREAMS_BLOCKED bidi", {0x16, 0x02}, 2, false},
    {"STREAMS_BLOCKED uni, most", {0x17, 0xd0, 0, 0, 0, 0, 0, 0, 0}, 9, false},
    {"NEW_CONNECTION_ID", {0x18, 5, 2, 4, 1, 2, 3, 4, TEN, TEN}, 24, false},
    {"RETIRE_CONNECTION_ID", {0x19, 0x05}, 2, false},
    {"PATH_CHALLENGE", {0x1a, 1, 2, 3, 4, 5, 6, 7, 8}, 9, false},
    {"PATH_RESPONSE", {0x1b, 1, 2, 3, 4, 5, 6, 7, 8}, 9, false},
    {"CLOSE", {0x1c, 0x41, 0x00, 0x06, 0x02, 'n', 'o'}, 7, false},
    {"CLOSE_APPLICATION", {0x1d, 0x07, 0x02, 'n', 'o'}, 5, false},
    {"HANDSHAKE_DONE", {0x1e}, 1, false},
    {"DATAGRAM", {0x30, 'd'}, 2, true},
    {"DATAGRAM, empty", {0x31, 0x00}, 2, false},
    {"DATAGRAM LEN", {0x31, 0x03, 'd', 'e', 'f'}, 5, false},
    {"IMMEDIATE_ACK", {0x1f}, 1, false},
    {"ACK_FREQUENCY", {0x40, 0xaf, 0x01, 0x09, 0x80, 0x00, 0x61, 0xa8, 0x03}, 9, false},
    {"ACK_FREQUENCY, all zero", {0x40, 0xaf, 0, 0, 0, 0}, 6, false},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* Reads from a copy of exactly that many bytes, so that ASan sees any over-read. */
static int read_exact(const uint8_t *bytes, size_t len, struct frame *out, size_t *left)
{
    uint8_t *copy = malloc(len);
    memcpy(copy, bytes, len);
    struct reader r = reader_of(copy, len);
    int error = frame_read(&r, out);
    *left = reader_left(&r);
    free(copy);
    return error;
}

static void test_every_frame_is_written_as_it_was_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct frame frame;
        uint8_t out[64];
        struct reader r = reader_of(rows[i].bytes, rows[i].len);
        int error = frame_read(&r, &frame);
        if (error != 0) print_message("%s\n", rows[i].what);
        assert_int_equal(error, QUIC_NO_ERROR);
        assert_int_equal(reader_left(&r), 0);
        bool two_bytes = rows[i].bytes[0] == 0x40;
        assert_int_equal(frame.type, rows[i].bytes[two_bytes ? 1 : 0]);
        for (size_t cap = 0; cap <= rows[i].len; cap++) {
            struct writer w = writer_of(out, cap);
            bool fits = cap == rows[i].len;
            if (write_again(&w, &frame) != fits) print_message("%s in %zu\n", rows[i].what, cap);
            assert_int_equal(writer_len(&w), fits ? rows[i].len : 0);
            assert_false(w.full);
        }
        assert_memory_equal(out, rows[i].bytes, rows[i].len);
    }
}

static void test_every_truncated_frame_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t len = 1; len < rows[i].len && !rows[i].open_ended; len++) {
            struct frame frame;
            size_t left;
            int error = read_exact(rows[i].bytes, len, &frame, &left);
            if (error != QUIC_FRAME_ENCODING) print_message("%s, %zu\n", rows[i].what, len);
            assert_int_equal(error, QUIC_FRAME_ENCODING);
        }
    }
}

static void test_members_hold_what_the_bytes_say(void **state)
{
    struct frame f;
    size_t left;
    (void)state;
    assert_int_equal(read_exact(rows[2].bytes, rows[2].len, &f, &left), 0);
    assert_int_equal(f.u.reset_stream.id, 4);
    assert_int_equal(f.u.reset_stream.code, 100);
    assert_int_equal(f.u.reset_stream.final_size, 65536);
    struct reader r = reader_of(rows[14].bytes, rows[14].len);
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(f.u.stream.id, 4);
    assert_int_equal(f.u.stream.offset, 5);
    assert_int_equal(f.u.stream.len, 1);
    assert_true(f.u.stream.fin);
    assert_ptr_equal(f.u.stream.data, rows[14].bytes + 4); /* a view, no copy */
    assert_int_equal(read_exact(rows[23].bytes, rows[23].len, &f, &left), 0);
    assert_int_equal(f.u.new_connection_id.sequence, 5);
    assert_int_equal(f.u.new_connection_id.retire_prior_to, 2);
    assert_int_equal(f.u.new_connection_id.cid.len, 4);
    assert_int_equal(f.u.new_connection_id.reset_token[15], 5);
    r = reader_of(rows[27].bytes, rows[27].len);
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(f.u.close.code, 0x100);
    assert_int_equal(f.u.close.frame_type, FRAME_CRYPTO);
    assert_memory_equal(f.u.close.reason, "no", 2);
    assert_false(f.u.close.application);
    assert_int_equal(read_exact(rows[ROWS - 2].bytes, rows[ROWS - 2].len, &f, &left), 0);
    assert_int_equal(f.u.ack_frequency.sequence, 1);
    assert_int_equal(f.u.ack_frequency.threshold, 9);
    assert_int_equal(f.u.ack_frequency.max_delay_us, 25000);
    assert_int_equal(f.u.ack_frequency.reordering, 3);
}

#define MOST 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
static const struct {
    const char *what;
    uint8_t bytes[48];
    size_t len;
    int error;
} malformed[] = {
    {"IMMEDIATE_ACK in two bytes", {0x40, 0x1f}, 2, QUIC_PROTOCOL_VIOLATION},
    {"ACK_FREQUENCY in four bytes", {0x80, 0, 0, 0xaf, 0, 0, 0, 0}, 8, QUIC_PROTOCOL_VIOLATION},
    {"unknown type 20", {0x20}, 1, QUIC_FRAME_ENCODING},
    {"unknown type 32", {0x32}, 1, QUIC_FRAME_ENCODING},
    {"unknown type of two bytes", {0x40, 0xb0}, 2, QUIC_FRAME_ENCODING},
    {"unknown type ae", {0x40, 0xae, 0, 0, 0, 0}, 6, QUIC_FRAME_ENCODING},
    {"greatest type", {MOST}, 8, QUIC_FRAME_ENCODING},
    {"type cut off", {0x40}, 1, QUIC_FRAME_ENCODING},
    {"PING in two bytes", {0x40, 0x01}, 2, QUIC_PROTOCOL_VIOLATION},
    {"PADDING in four bytes", {0x80, 0, 0, 0}, 4, QUIC_PROTOCOL_VIOLATION},
    {"STREAM in eight bytes", {0xc0, 0, 0, 0, 0, 0, 0, 0x08, 0}, 9, QUIC_PROTOCOL_VIOLATION},
    {"MAX_STREAMS one too many", {0x12, 0xd0, 0, 0, 0, 0, 0, 0, 1}, 9, QUIC_FRAME_ENCODING},
    {"MAX_STREAMS uni too many", {0x13, MOST}, 9, QUIC_FRAME_ENCODING},
    {"STREAMS_BLOCKED one too many", {0x16, 0xd0, 0, 0, 0, 0, 0, 0, 1}, 9, QUIC_FRAME_ENCODING},
    {"NEW_TOKEN, empty", {0x07, 0x00}, 2, QUIC_FRAME_ENCODING},
    {"NEW_TOKEN, length 2^62-1", {0x07, MOST, 1}, 10, QUIC_FRAME_ENCODING},
    {"CRYPTO beyond 2^62-1", {0x06, MOST, 0x01, 'a'}, 11, QUIC_FRAME_ENCODING},
    {"CRYPTO, length 2^62-1", {0x06, 0x00, MOST, 'a'}, 11, QUIC_FRAME_ENCODING},
    {"STREAM beyond 2^62-1", {0x0e, 0, MOST, 0x01, 'a'}, 12, QUIC_FRAME_ENCODING},
    {"STREAM without length beyond 2^62-1", {0x0c, 0, MOST, 'a'}, 11, QUIC_FRAME_ENCODING},
    {"STREAM, length 2^62-1", {0x0a, 0, MOST, 'a'}, 11, QUIC_FRAME_ENCODING},
    {"DATAGRAM, length 2^62-1", {0x31, MOST, 'a'}, 10, QUIC_FRAME_ENCODING},
    {"CLOSE, reason 2^62-1", {0x1d, 0, MOST, 'a'}, 11, QUIC_FRAME_ENCODING},
    {"NEW_CONNECTION_ID, no id", {0x18, 5, 2, 0, TEN, TEN}, 24, QUIC_FRAME_ENCODING},
    {"NEW_CONNECTION_ID of 21", {0x18, 5, 2, 21, TEN, TEN, TEN, TEN}, 44, QUIC_FRAME_ENCODING},
    {"NEW_CONNECTION_ID retires itself", {0x18, 2, 3, 1, TEN, TEN}, 24, QUIC_FRAME_ENCODING},
    {"ACK, first range below 0", {0x02, 5, 0, 0, 6}, 5, QUIC_FRAME_ENCODING},
    {"ACK, gap below 0", {0x02, 5, 0, 1, 0, 4, 0}, 7, QUIC_FRAME_ENCODING},
    {"ACK, range below 0", {0x02, 5, 0, 1, 0, 3, 1}, 7, QUIC_FRAME_ENCODING},
    {"ACK, gap 2^62-1", {0x02, 5, 0, 1, 0, MOST, 0}, 14, QUIC_FRAME_ENCODING},
    {"ACK, length 2^62-1", {0x02, 9, 0, 1, 0, 0, MOST}, 14, QUIC_FRAME_ENCODING},
    {"ACK, 2^62-1 ranges", {0x02, 5, 0, MOST, 0, 0, 0}, 14, QUIC_FRAME_ENCODING},
    {"ACK ECN without counts", {0x03, 5, 0, 0, 0}, 5, QUIC_FRAME_ENCODING},
    {"ACK ECN, a count missing", {0x03, 5, 0, 0, 0, 1, 2}, 7, QUIC_FRAME_ENCODING},
};

static void test_malformed_frames_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct frame frame;
        size_t left;
        int error = read_exact(malformed[i].bytes, malformed[i].len, &frame, &left);
        if (error != malformed[i].error) print_message("%s: %d\n", malformed[i].what, error);
        assert_int_equal(error, malformed[i].error);
    }
}

static void test_the_edges_of_legal_values_are_accepted(void **state)
{
    struct frame f;
    size_t left;
    static const uint8_t last_byte[] = {0x0e, 0,    0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0xfe, 1,    'a'};
    static const uint8_t ack_zero[] = {0x02, 5, 0, 1, 0, 3, 0};
    static const uint8_t retire_all[] = {0x18, 3, 3, 1, TEN, TEN};
    (void)state;
    assert_int_equal(read_exact(last_byte, sizeof last_byte, &f, &left), 0);
    assert_int_equal(read_exact(ack_zero, sizeof ack_zero, &f, &left), 0);
    assert_int_equal(read_exact(retire_all, sizeof retire_all, &f, &left), 0);
    assert_int_equal(left, 3); /* one byte of id, sixteen of token */
}

static void test_a_run_of_padding_is_one_frame(void **state)
{
    uint8_t bytes[1000] = {0};
    struct frame f;
    (void)state;
    bytes[999] = FRAME_PING;
    struct reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(f.u.padding.len, 999);
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(f.type, FRAME_PING);
    assert_int_equal(reader_left(&r), 0);
}

static void test_ack_ranges_come_back_highest_first(void **state)
{
    static const struct range ranges[] = {{0, 1}, {3, 9}, {100, 101}, {5000, 70000}};
    static const uint64_t ecn[3] = {7, 0, 70000};
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof out);
    struct frame f;
    struct frame_ack_cursor cursor;
    uint64_t start, end;
    (void)state;
    assert_true(frame_write_ack(&w, ranges, 4, 32, 25, ecn));
    struct reader r = reader_of(out, writer_len(&w));
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(f.u.ack.largest, 69999);
    assert_int_equal(f.u.ack.delay, 25);
    assert_int_equal(f.u.ack.range_count, 3);
    assert_true(f.u.ack.has_ecn);
    assert_int_equal(f.u.ack.ect0, 7);
    assert_int_equal(f.u.ack.ect1, 0);
    assert_int_equal(f.u.ack.ce, 70000);
    frame_ack_begin(&cursor, &f.u.ack);
    for (int i = 3; i >= 0; i--) {
        assert_true(frame_ack_next(&cursor, &start, &end));
        assert_int_equal(start, ranges[i].start);
        assert_int_equal(end, ranges[i].end);
    }
    assert_false(frame_ack_next(&cursor, &start, &end));
    assert_false(frame_ack_next(&cursor, &start, &end));
}

static void test_an_ack_drops_its_lowest_ranges_when_room_is_short(void **state)
{
    struct range ranges[40];
    (void)state;
    for (uint32_t i = 0; i < 40; i++) ranges[i] = (struct range){10 * i, 10 * i + 5};
    for (size_t cap = 0; cap < 120; cap++) {
        uint8_t out[128];
        struct writer w = writer_of(out, cap);
        struct frame f;
        bool fits = frame_write_ack(&w, ranges, 40, 32, 0, NULL);
        assert_int_equal(fits, cap >= 6); /* type, largest 2, delay, count, first range */
        assert_false(w.full);
        if (!fits) continue;
        struct reader r = reader_of(out, writer_len(&w));
        assert_int_equal(frame_read(&r, &f), 0);
        assert_int_equal(f.type, FRAME_ACK);
        assert_int_equal(f.u.ack.largest, 394);
        uint64_t want = (cap - 6) / 2 < 31 ? (cap - 6) / 2 : 31;
        assert_int_equal(f.u.ack.range_count, want);
    }
}

static void test_no_more_ranges_are_looked_at_than_declared(void **state)
{
    static struct range ranges[300];
    uint8_t out[1300];
    struct writer w = writer_of(out, sizeof out);
    struct frame f;
    struct frame_ack_cursor cursor;
    uint64_t start, end;
    unsigned seen = 0;
    (void)state;
    for (uint32_t i = 0; i < 300; i++) ranges[i] = (struct range){2 * i, 2 * i + 1};
    assert_true(frame_write_ack(&w, ranges, 300, 300, 0, NULL));
    struct reader r = reader_of(out, writer_len(&w));
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(f.u.ack.range_count, 299);
    frame_ack_begin(&cursor, &f.u.ack);
    while (frame_ack_next(&cursor, &start, &end)) seen++;
    assert_int_equal(seen, FRAME_ACK_RANGES_MAX);
    assert_int_equal(start, 2 * (300 - FRAME_ACK_RANGES_MAX));
}

static void test_frames_are_allowed_where_rfc_9000_table_3_says(void **state)
{
    static const struct {
        uint64_t type;
        const char *where; /* I, H, 0, 1 as in the RFC */
    } table[] = {
        {0x00, "IH01"},   {0x01, "IH01"}, {0x02, "IH1"}, {0x03, "IH1"},  {0x04, "01"},
        {0x05, "01"},     {0x06, "IH1"},  {0x07, "1"},   {0x08, "01"},   {0x0c, "01"},
        {0x0f, "01"},     {0x10, "01"},   {0x11, "01"},  {0x12, "01"},   {0x13, "01"},
        {0x14, "01"},     {0x15, "01"},   {0x16, "01"},  {0x17, "01"},   {0x18, "01"},
        {0x19, "1"},      {0x1a, "01"},   {0x1b, "1"},   {0x1c, "IH01"}, {0x1d, "01"},
        {0x1e, "1"},      {0x1f, "1"},    {0x20, ""},    {0xae, ""},     {0xaf, "1"},
        {0xb0, ""},       {0x2f, ""},     {0x30, "01"},  {0x31, "01"},   {0x32, ""},
        {VARINT_MAX, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint64_t type = table[i].type;
        const char *where = table[i].where;
        assert_int_equal(frame_allowed(type, PACKET_INITIAL), strchr(where, 'I') != NULL);
        assert_int_equal(frame_allowed(type, PACKET_HANDSHAKE), strchr(where, 'H') != NULL);
        assert_int_equal(frame_allowed(type, PACKET_ZERO_RTT), strchr(where, '0') != NULL);
        assert_int_equal(frame_allowed(type, PACKET_SHORT), strchr(where, '1') != NULL);
        assert_false(frame_allowed(type, PACKET_RETRY));
        assert_false(frame_allowed(type, PACKET_VERSION_NEGOTIATION));
    }
}

static void test_frames_are_sorted_into_kinds(void **state)
{
    (void)state;
    for (uint64_t type = 0; type < 0xb0; type++) {
        bool quiet = type == 0 || type == 2 || type == 3 || type == 0x1c || type == 0x1d;
        bool probing = type == 0 || type == 0x18 || type == 0x1a || type == 0x1b;
        assert_int_equal(frame_is_ack_eliciting(type), !quiet);
        assert_int_equal(frame_is_probing(type), probing);
        assert_int_equal(frame_is_server_only(type), type == 0x07 || type == 0x1e);
        assert_int_equal(frame_is_stream(type), type >= 8 && type <= 15);
    }
}

static void test_data_fills_the_room_exactly(void **state)
{
    static uint8_t out[20000], data[20000];
    static const uint64_t offsets[] = {0, 1, 63, 64, 20000, 1 << 20};
    (void)state;
    for (size_t o = 0; o < 6; o++) {
        for (size_t room = 0; room < 17000; room += room < 200 || room > 16300 ? 1 : 50) {
            for (int with_len = 0; with_len < 2; with_len++) {
                int64_t len = frame_stream_data_max(room, 4, offsets[o], 20000, with_len);
                struct writer w = writer_of(out, room);
                size_t n = len < 0 ? 0 : (size_t)len;
                assert_int_equal(frame_write_stream(&w, 4, offsets[o], data, n, false, with_len),
                                 len >= 0);
                if (len < 0) continue;
                size_t header = frame_stream_header_size(4, offsets[o], n, with_len);
                assert_int_equal(writer_len(&w), header + n);
                /* One byte more does not fit. */
                w = writer_of(out, room);
                assert_false(frame_write_stream(&w, 4, offsets[o], data, n + 1, false, with_len));
            }
            int64_t len = frame_crypto_data_max(room, offsets[o], 20000);
            struct writer w = writer_of(out, room);
            size_t n = len < 0 ? 0 : (size_t)len;
            assert_int_equal(frame_write_crypto(&w, offsets[o], data, n), len >= 0);
            if (len < 0) continue;
            assert_int_equal(writer_len(&w), frame_crypto_header_size(offsets[o], n) + n);
            w = writer_of(out, room);
            assert_false(frame_write_crypto(&w, offsets[o], data, n + 1));
        }
    }
    assert_int_equal(frame_stream_data_max(1000, 4, 0, 10, true), 10);
    assert_int_equal(frame_stream_data_max(1000, 4, VARINT_MAX - 3, 10, true), 3);
    assert_int_equal(frame_datagram_header_size(63, true), 2);
    assert_int_equal(frame_datagram_header_size(64, true), 3);
    assert_int_equal(frame_datagram_header_size(64, false), 1);
}

static void test_reserved_room_is_the_callers_to_fill(void **state)
{
    uint8_t out[32];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    uint8_t *place = frame_reserve_stream(&w, 4, 0, 3, true, true);
    assert_ptr_equal(place, out + 3);
    memcpy(place, "abc", 3);
    assert_true(frame_write_ping(&w));
    assert_memory_equal(out,
                        "\x0b\x04\x03"
                        "abc\x01",
                        7);
    assert_int_equal(writer_len(&w), 7);
    assert_null(frame_reserve_datagram(&w, 30, false));
    assert_null(frame_reserve_crypto(&w, 0, 23));
    assert_int_equal(writer_len(&w), 7);
    assert_non_null(frame_reserve_crypto(&w, 0, 22));
    assert_int_equal(writer_room(&w), 0);
}

static void test_a_full_writer_stays_full(void **state)
{
    uint8_t out[4];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    writer_u64(&w, 1);
    assert_true(w.full);
    assert_false(frame_write_ping(&w));
    assert_false(frame_write_padding(&w, 1));
    assert_null(frame_reserve_datagram(&w, 0, false));
    assert_true(w.full);
}

static void test_random_bytes_give_a_frame_or_an_error(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 7, "frames", 0);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        struct frame f;
        rng_fill(&rng, bytes, sizeof bytes);
        bytes[0] &= 0x1f;
        struct reader r = reader_of(bytes, sizeof bytes);
        while (reader_left(&r) > 0) {
            const uint8_t *before = r.at;
            if (frame_read(&r, &f) != 0) break;
            assert_true(r.at > before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_is_written_as_it_was_read),
        cmocka_unit_test(test_every_truncated_frame_is_refused),
        cmocka_unit_test(test_members_hold_what_the_bytes_say),
        cmocka_unit_test(test_malformed_frames_are_named),
        cmocka_unit_test(test_the_edges_of_legal_values_are_accepted),
        cmocka_unit_test(test_a_run_of_padding_is_one_frame),
        cmocka_unit_test(test_ack_ranges_come_back_highest_first),
        cmocka_unit_test(test_an_ack_drops_its_lowest_ranges_when_room_is_short),
        cmocka_unit_test(test_no_more_ranges_are_looked_at_than_declared),
        cmocka_unit_test(test_frames_are_allowed_where_rfc_9000_table_3_says),
        cmocka_unit_test(test_frames_are_sorted_into_kinds),
        cmocka_unit_test(test_data_fills_the_room_exactly),
        cmocka_unit_test(test_reserved_room_is_the_callers_to_fill),
        cmocka_unit_test(test_a_full_writer_stays_full),
        cmocka_unit_test(test_random_bytes_give_a_frame_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
