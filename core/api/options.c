/* SPDX-License-Identifier: MIT */
#include "api/options.h"
#include <string.h>

/* No struct of ours comes near this. A larger size is a field that was never set, and looking for
 * its tail would run over the caller's memory. */
enum { OPTIONS_SIZE_MAX = 4096 };

static uint32_t size_of(const void *given)
{
    uint32_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

static int check_size(uint32_t size)
{
    return size == 0 || size % 8 != 0 || size > OPTIONS_SIZE_MAX ? WEIR_E_SIZE : 0;
}

int options_read(void *whole, size_t known, const void *given)
{
    uint32_t own = (uint32_t)known, size = given == NULL ? 0 : size_of(given);
    memset(whole, 0, known);
    if (given != NULL) {
        int error = check_size(size);
        if (error != 0) return error;
        for (size_t i = known; i < size; i++) {
            if (((const uint8_t *)given)[i] != 0) return WEIR_E_UNKNOWN_OPTION;
        }
        memcpy(whole, given, size < known ? size : known);
    }
    memcpy(whole, &own, sizeof own);
    return 0;
}

int options_out_check(const void *out)
{
    return out == NULL ? WEIR_E_NULL : check_size(size_of(out));
}

void options_out_write(void *out, const void *whole, size_t known)
{
    uint32_t size = size_of(out);
    size_t both = size < known ? size : known;
    memcpy((uint8_t *)out + sizeof size, (const uint8_t *)whole + sizeof size, both - sizeof size);
    memset((uint8_t *)out + both, 0, size - both);
}

int facts_begin(weir_error *facts, const weir_error *error)
{
    memset(facts, 0, sizeof *facts);
    facts->size = sizeof *facts;
    return error == NULL ? 0 : options_out_check(error);
}

int facts_end(weir_error *facts, weir_error *error, int result)
{
    if (error == NULL) return result;
    if (result >= 0) memset(facts, 0, sizeof *facts);
    if (result < 0) facts->code = result;
    if (result < 0 && facts->detail[0] == '\0') {
        const char *sentence = weir_strerror(result);
        size_t len = strlen(sentence);
        if (len > sizeof facts->detail - 1) len = sizeof facts->detail - 1;
        memcpy(facts->detail, sentence, len);
    }
    options_out_write(error, facts, sizeof *facts);
    return result;
}
