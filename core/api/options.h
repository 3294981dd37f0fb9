/* SPDX-License-Identifier: MIT */
#ifndef WEIR_API_OPTIONS_H
#define WEIR_API_OPTIONS_H
#include "weir.h"
#include <stddef.h>

/* The size rules of every struct that crosses the ABI (docs/style.md). A struct begins with
 * its size as the caller compiled it, a multiple of 8. A caller older than this library gives a
 * shorter one: what it lacks is 0. A newer one gives a longer one: what we do not know must be 0.
 * Out structs are filled up to the caller's size. */

/** Check a caller's options and complete them.
 *  @param whole  filled: known bytes, its size field set to known
 *  @param given  the caller's struct; NULL: all defaults
 *  @return       0; WEIR_E_SIZE; WEIR_E_UNKNOWN_OPTION */
int options_read(void *whole, size_t known, const void *given);
/** Check an out struct before anything is done. @return 0; WEIR_E_NULL; WEIR_E_SIZE */
int options_out_check(const void *out);
/** Fill a checked out struct from one of known bytes. Its size field stays; what is beyond known
 *  becomes 0. */
void options_out_write(void *out, const void *whole, size_t known);

/** Calls without a node keep their facts in a whole struct of their own and hand them out at the
 *  end. @return 0, or WEIR_E_SIZE (error's size is impossible; nothing is to be written to it) */
int facts_begin(weir_error *facts, const weir_error *error);
/** Write the facts to the caller's struct (NULL is allowed) and pass the result on. A failure that
 *  brought no sentence gets the fixed one. @return result */
int facts_end(weir_error *facts, weir_error *error, int result);
#endif
