/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_KEY_FILE_H
#define WEIR_HOST_KEY_FILE_H
#include "identity/key_pair.h"
#include "weir.h"

/** Read a key file.
 *
 * A key that somebody else can read is no longer a secret, and one that somebody else can write
 * is no longer ours, so neither is used: only the owner may have access, and the owner is the
 * user that this process runs as.
 * @param error may be NULL; detail names the file and says what to do
 * @return 0; WEIR_E_NOT_FOUND; WEIR_E_KEY_FILE others have access; WEIR_E_KEY not a key file, or
 *          a damaged one; WEIR_E_PERMISSION, WEIR_E_IO. The pair is all zero after a failure */
int key_file_load(const char *path, struct key_pair *pair, weir_error *error);
/** Write a key file, readable by its owner alone. It appears whole or not at all, and never
 * replaces a file.
 * @return 0; WEIR_E_EXISTS there is something of that name; WEIR_E_PERMISSION, WEIR_E_IO */
int key_file_save(const char *path, const struct key_pair *pair, weir_error *error);
#endif
