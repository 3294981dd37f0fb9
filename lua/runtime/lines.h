/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_LINES_H
#define WEIR_LUA_LINES_H
#include "runtime.h"
#include <stddef.h>

/* What scripts printed and logged, until the program takes it. When it is full, the script that has
 * most lines in it loses its oldest: who floods pushes out nobody but himself. */

struct line_ring *lines_open(uint32_t capacity);
void lines_close(struct line_ring *ring);
/** What is printed in a state: vm_print, with the script as context. */
void lines_on_print(void *context, const char *text, size_t len);
/** A handler failed: log what vm_error says, but at most 10 times a second for each script. */
void fail_log(struct instance *in, const char *text);
#endif
