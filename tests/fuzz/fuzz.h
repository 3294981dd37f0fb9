/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_FUZZ_H
#define WEIR_TESTS_FUZZ_H
#include <stddef.h>
#include <stdint.h>

/** What every fuzz_*.c defines: give the bytes to one decoder, abort if what it promises does not
 *  hold (a crash, a hang and a leak are found without help).
 *  @return 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif
