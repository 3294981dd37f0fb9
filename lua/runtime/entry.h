/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_ENTRY_H
#define WEIR_LUA_ENTRY_H
#include "runtime.h"

/* What a declaration can name. Each kind of entry is one module with one table of operations; the
 * declaration, the sizes and their errors are the same for all (declare.c). */

enum entry_type {
    ENTRY_BYTES,   /**< an integer number of bytes */
    ENTRY_TIME,    /**< microseconds: 5*sec */
    ENTRY_COUNT,
    ENTRY_BOOL,
    ENTRY_CHOICE   /**< one of the words in `choices`; its index is the value */
};
/** One key of a declaration: message { bytes = 256, full = "drop-new" }. */
struct entry_key {
    const char *name;
    enum entry_type type;
    bool required;
    uint64_t least, most, fallback;
    const char *const *choices; /**< NULL-terminated */
    const char *why;            /**< said when it is missing: "so that a peer cannot send more" */
};
enum { ENTRY_KEYS_MAX = 10 };

struct entry_ops {
    const char *word;           /**< "message" */
    const struct entry_key *keys; /**< ends with a NULL name */
    bool needs_method;          /**< the script must define function P:name */
    /** Serve it, make its state (in->states[e->index]). @return 0 or WEIR_E_* with *error filled */
    int (*begin)(struct instance *in, struct entry *e, weir_error *error);
    void (*end)(struct instance *in, struct entry *e);
    /** Push what self.name is. NULL: self.name is the method */
    void (*field)(lua_State *L, struct instance *in, struct entry *e);
};

struct entry {
    const struct entry_ops *ops;
    struct script *script;
    uint32_t index;             /**< in script->entries */
    char name[40];
    uint64_t values[ENTRY_KEYS_MAX]; /**< by the order of ops->keys */
};
/** The value of a key, by its name (asserted to exist). */
uint64_t entry_get(const struct entry *e, const char *key);
/** Its name on the wire where it has one of its own: "echo/1/upload". @return out */
const char *entry_wire_name(const struct entry *e, char out[136]);

/* All kinds: declare.c has the list of them. */
extern const struct entry_ops message_ops, request_ops, stream_ops, range_ops, feed_ops, view_ops,
    map_ops, store_ops;
#endif
