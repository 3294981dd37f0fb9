/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_FAIL_H
#define WEIR_HOST_FAIL_H
#include "weir.h"

/** Fill in a failure: all fields but size are set to 0, then code and the sentence, which is cut
 * if it is too long.
 * @param error NULL, or a whole weir_error as this library knows it (api has completed a shorter
 *          one)
 * @return code */
int fail_with(weir_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** The system's words for an errno. @return text */
const char *fail_words(int error_number, char *text, size_t cap);
#endif
