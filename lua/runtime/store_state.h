/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_STORE_STATE_H
#define WEIR_LUA_STORE_STATE_H
#include "entry.h"

/* A store: store.c has the values, store_file.c its two files. */

enum { STORE_KEY_MAX = 64, STORE_ITEM_BYTES = 32 /**< what each costs beside its bytes */ };

struct store_item {
    uint32_t key_len, len;
    uint8_t bytes[];           /**< the name, then the value as CBOR */
};
struct store_wait {
    struct list link;
    struct task *task;
};
/** One of the two files. */
struct store_file {
    struct waiter waiter;
    struct store *store;
    uint64_t handle;           /**< the stream that reads or writes it; 0: none */
    uint8_t *bytes;            /**< what was read, or is being written */
    uint32_t len, went;
    uint64_t sequence;         /**< of what it has; 0: nothing that is whole */
};
struct store {
    struct instance *in;
    struct entry *entry;
    struct store_item **items;
    uint32_t count, capacity;
    uint64_t used;
    struct list waits;         /**< tasks, while is_loading */
    struct store_file files[2];
    struct timer timer;
    uint64_t sequence, saved_us;
    uint8_t loading;           /**< files that are still being read */
    bool is_loading, is_kept, is_dirty, is_saving, was_told;
};

/** @return 0, WEIR_E_LIMIT it has no room, WEIR_E_MEMORY */
int32_t store_put(struct store *s, const char *key, uint32_t key_len, const uint8_t *data,
                  uint32_t len);
void store_clear(struct store *s);
/** Begin to read what is kept, if files are granted. */
void store_load(struct store *s);
/** Something is to be written, within a second. */
void store_changed(struct store *s);
/** Its instance ends: what a stream takes at once is still written. */
void store_save_last(struct store *s);
/** The class, for words_local. */
void store_class(lua_State *L);
#endif
