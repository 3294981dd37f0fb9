/* SPDX-License-Identifier: MIT */
#ifndef WEIR_API_KEYS_H
#define WEIR_API_KEYS_H
#include "identity/key_pair.h"

/** The pair of a caller's WEIR_KEY_BYTES. Wipe it after use.
 *  @return 0; WEIR_E_KEY the two halves do not belong together (the pair is all zero then) */
int keys_take(struct key_pair *pair, const void *key);
#endif
