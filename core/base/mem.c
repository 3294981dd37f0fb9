/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "base/assert.h"
#include <stdlib.h>
#include <string.h>

static void *system_resize(void *context, void *old, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_size);
}

const struct mem *mem_system(void)
{
    static const struct mem system = {system_resize, NULL};
    return &system;
}

void *mem_alloc(const struct mem *mem, size_t size)
{
    void *block;

    WEIR_ASSERT(size > 0);
    block = mem->resize(mem->context, NULL, 0, size);
    if (block != NULL) memset(block, 0, size);
    return block;
}

void *mem_resize(const struct mem *mem, void *old, size_t old_size, size_t new_size)
{
    WEIR_ASSERT((old == NULL) == (old_size == 0));
    return mem->resize(mem->context, old, old_size, new_size);
}

void mem_free(const struct mem *mem, void *block, size_t size)
{
    if (block == NULL) return;
    WEIR_ASSERT(size > 0);
    (void)mem->resize(mem->context, block, size, 0);
}

static void *counter_resize(void *context, void *old, size_t old_size, size_t new_size)
{
    struct mem_counter *counter = context;
    void *block;

    WEIR_ASSERT(counter->live_bytes >= old_size);
    if (new_size == 0) {
        if (old == NULL) return NULL;
        WEIR_ASSERT(counter->live_blocks > 0);
        counter->live_blocks--;
        counter->live_bytes -= old_size;
        return mem_resize(counter->below, old, old_size, 0);
    }
    /* Only calls that ask for memory are counted, so that a test can let each of them fail in
     * turn. */
    counter->calls++;
    if (counter->fail_at > 0 && --counter->fail_at == 0) return NULL;
    block = mem_resize(counter->below, old, old_size, new_size);
    if (block == NULL) return NULL;
    if (old == NULL) counter->live_blocks++;
    counter->live_bytes = counter->live_bytes - old_size + new_size;
    if (counter->live_bytes > counter->peak_bytes) counter->peak_bytes = counter->live_bytes;
    return block;
}

void mem_counter_init(struct mem_counter *counter, const struct mem *below)
{
    memset(counter, 0, sizeof *counter);
    counter->mem.resize = counter_resize;
    counter->mem.context = counter;
    counter->below = below;
}
