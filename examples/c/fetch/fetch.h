/* SPDX-License-Identifier: MIT */
#ifndef FETCH_H
#define FETCH_H
/*
 * fetch/1: how a file is asked for and answered.
 *
 * A request is one stream of both directions, opened by the client. Numbers are big-endian. The
 * client writes this and finishes its lane:
 *
 *     offset  bytes  field
 *          0      1  verb: 1 (give me a range)
 *          1      1  0
 *          2      2  n, the length of the name: 1 to 1024
 *          4      8  offset of the range in the file, at most the file's size
 *         12      8  length of the range, at most 16 MiB; 0 asks for the header alone
 *         20      n  name: parts divided by one "/" each; no part is empty, "." or "..", and no
 *                    byte is 0
 *
 * The server answers on its lane and finishes it:
 *
 *      any number of bytes 0: "wait, I am still reading the file for its hash"; one a second
 *      1 byte 1: the header follows
 *      8 bytes: the size of the whole file
 *     32 bytes: BLAKE2b-256 of the whole file
 *      the range, cut where the file ends
 *
 * A client asks for ranges of 1 MiB, many at a time, each on its own stream, and compares size and
 * hash of every header with the first: other values mean that the file was changed, and it begins
 * anew. When the server cannot answer, or no longer, it resets its lane with a code of
 * enum fetch_code.
 */
#include <stdbool.h>
#include <stdint.h>
#include <weir.h>

#define FETCH_PROTOCOL "fetch/1"

enum {
    FETCH_VERB_RANGE = 1,
    FETCH_WAIT = 0,
    FETCH_HEADER = 1,
    FETCH_HEADER_BYTES = 1 + 8 + WEIR_HASH_BYTES,
    FETCH_NAME_MAX = 1024,
    FETCH_REQUEST_HEAD_BYTES = 20,
    FETCH_REQUEST_MAX = FETCH_REQUEST_HEAD_BYTES + FETCH_NAME_MAX,
    FETCH_RANGE_BYTES = 1 << 20,
    FETCH_LENGTH_MAX = 16 << 20,
    FETCH_PARALLEL_MAX = 64,        /* requests that a server lets one client have open */
    FETCH_STALL_US = 30 * 1000 * 1000, /* without a byte for so long, both sides give up */
    FETCH_TICK_US = 200 * 1000,     /* the longest wait; see fetch_interrupted */
};

/* Why a server resets its lane. The words are fetch_code_text's. */
enum fetch_code {
    FETCH_BAD_REQUEST = 1, /* not a request of fetch/1 */
    FETCH_BAD_NAME = 2,    /* the name leads out of the folder, or through a link */
    FETCH_NOT_FOUND = 3,   /* no such file, or it is not a plain file */
    FETCH_BAD_RANGE = 4,   /* the range begins behind the end or is too long */
    FETCH_CHANGED = 5,     /* the file was changed while it was read: begin anew */
    FETCH_BUSY = 6,        /* too many requests of all clients: try again later */
    FETCH_READ_FAILED = 7, /* the server's disk did not give the bytes */
    FETCH_STALLED = 8,     /* the client took nothing for 30 s */
};

struct fetch_request {
    uint64_t offset;
    uint64_t length;
    uint32_t name_len;
    char name[FETCH_NAME_MAX + 1]; /* ends with a 0 */
};

/* What a header says of a file. */
struct fetch_file {
    uint64_t size;
    uint8_t digest[WEIR_HASH_BYTES];
};

/* Write a request. Returns its length; 0: the name is empty or too long. */
uint32_t fetch_request_encode(uint8_t out[FETCH_REQUEST_MAX], const char *name, uint64_t offset,
                              uint64_t length);
/* Read a whole request. Returns 0 or FETCH_BAD_REQUEST. */
enum fetch_code fetch_request_decode(struct fetch_request *out, const uint8_t *bytes, uint32_t len);
void fetch_header_encode(uint8_t out[FETCH_HEADER_BYTES], const struct fetch_file *file);
void fetch_header_decode(struct fetch_file *out, const uint8_t bytes[FETCH_HEADER_BYTES]);
bool fetch_file_equal(const struct fetch_file *a, const struct fetch_file *b);
const char *fetch_code_text(uint32_t code);

/* How the program was called. */
struct fetch_options {
    const char *listen;   /* --listen */
    const char *key_path; /* --key; NULL: a new key for this run */
    const char *out;      /* -o; NULL: the last part of the name, in this folder */
    uint32_t parallel;    /* --parallel */
    uint64_t ranges_max;  /* --ranges: stop after so many; 0: no stop */
};

/* The two programs in one: each returns the process's exit status. */
int fetch_serve(const char *folder, const struct fetch_options *options);
int fetch_get(const char *address, const char *name, const struct fetch_options *options);

/* Help for both, in fetch.c. */

/* One sentence on standard error, after "fetch: ". Returns 1, for an exit status. */
__attribute__((format(printf, 1, 2))) int fetch_complain(const char *format, ...);
/* Complain of the last call on a node that failed. Returns 1. */
int fetch_complain_node(weir_node *node, const char *what);
/* A node with the key of options->key_path, which is made if there is no such file; or NULL, and
 * the complaint was made. Prints the peer id. */
weir_node *fetch_node_create(weir_node_options *node_options, const struct fetch_options *options);
void fetch_peer_text(const weir_peer_id *peer, char text[WEIR_PEER_TEXT_MAX]);
void fetch_hex(const uint8_t digest[WEIR_HASH_BYTES], char text[2 * WEIR_HASH_BYTES + 1]);
/* BLAKE2b-256 of what a descriptor holds from its beginning. Returns whether it could be read. */
bool fetch_hash_fd(int fd, uint8_t digest[WEIR_HASH_BYTES]);

/* Whether SIGINT or SIGTERM came since fetch_catch_signals.
 *
 * The handler only sets a flag: weir_node_wake does not promise to be safe inside a handler. A
 * signal between the look at the flag and the wait would be slept through, so no wait is longer
 * than FETCH_TICK_US; both programs have something to do at that pace anyway. The second signal
 * ends the process at once. */
void fetch_catch_signals(void);
bool fetch_interrupted(void);

#endif
