/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_MEM_H
#define WEIR_BASE_MEM_H
#include <stddef.h>
#include <stdint.h>

/** Memory, handed in: the engine never calls malloc by name.
 *
 *  Sizes are given back when freeing, so that an allocator can count without headers, a test can
 *  let the n-th allocation fail, and a world can attribute each byte to its node. */
struct mem {
    /** new_size 0 frees and returns NULL; old NULL allocates; NULL for new_size > 0 means no memory
     *  (old stays valid). */
    void *(*resize)(void *context, void *old, size_t old_size, size_t new_size);
    void *context;
};

/** The C library's allocator. */
const struct mem *mem_system(void);
/** @return size zeroed bytes, or NULL */
void *mem_alloc(const struct mem *mem, size_t size);
/** Bytes beyond old_size are not zeroed. @return NULL when there is no memory; old stays valid
 *  then */
void *mem_resize(const struct mem *mem, void *old, size_t old_size, size_t new_size);
/** NULL is allowed. */
void mem_free(const struct mem *mem, void *block, size_t size);

/** An allocator that counts: bytes live, peak, calls; and fails on demand (tests).
 *  Single-threaded. */
struct mem_counter {
    struct mem mem;            /**< hand &counter->mem out */
    const struct mem *below;
    uint64_t live_bytes, peak_bytes, live_blocks, calls;
    uint64_t fail_at;          /**< 0 never; n: the n-th call from now that allocates returns NULL,
                                    once */
};
void mem_counter_init(struct mem_counter *counter, const struct mem *below);
#endif
