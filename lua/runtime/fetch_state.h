/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_FETCH_STATE_H
#define WEIR_LUA_FETCH_STATE_H
#include "peers.h"
#include "stream_state.h"

/* A fetch of a script: fetch_words.c reads what it asks for, fetch.c does it. It ends with its
 * task, however that ends. */

enum {
    FETCH_PEERS = 16,          /**< that one fetch asks; more are left out */
    FETCH_WHAT_MAX = 1024,
    FETCH_PARTS_MAX = 65536
};
/** The stack of the word: its table, the function of `into`, the function of `progress`. */
enum { FETCH_OPTIONS = 1, FETCH_INTO, FETCH_PROGRESS, FETCH_STACK = FETCH_PROGRESS };

struct fetch;
struct fetch_peer {
    struct dial_wait wait;
    struct fetch *fetch;
    uint64_t connection;
    uint32_t peer;
};
struct fetch {
    struct guard guard;
    struct waiter waiter;      /**< of the core's fetch, and of the file */
    struct instance *in;
    struct entry *entry;
    uint64_t handle, size, parts;
    uint32_t part_bytes, what_len;
    uint8_t *hashes, *have;    /**< NULL: none */
    uint8_t *part;             /**< that is being handed over: part_len bytes from offset */
    uint64_t offset;
    uint32_t part_len, written;
    uint64_t file;             /**< the stream that writes it; 0: not open */
    int32_t file_error, error;
    uint32_t reason;
    uint32_t peer_count, added, dials;
    uint64_t done, told, told_us;
    bool is_file, is_writing, is_file_finished, is_file_over;
    bool keeps_file;           /**< `have` was given, or it was emptied: no emptying */
    bool is_closed, is_waiting;
    bool prints, calls;        /**< progress = true, or a function */
    struct fetch_peer peers[FETCH_PEERS];
    uint8_t what[FETCH_WHAT_MAX];
    char dial_text[160];
    char path[LOCAL_PATH_MAX];
};

void fetch_release(struct guard *g);
/** Begin with all parts that are not here. @return 0 or WEIR_E_* */
int32_t fetch_open(struct fetch *f);
/** Fetch from this peer too, dialled if need be. */
void fetch_dial(struct fetch *f, uint32_t peer);
void fetch_part_done(struct fetch *f);
/** The rest of the word, as the last thing that it does. */
int fetch_go(lua_State *L, struct fetch *f);
#endif
