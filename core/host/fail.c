/* SPDX-License-Identifier: MIT */
#include "host/fail.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

int fail_with(weir_error *error, int code, const char *format, ...)
{
    va_list arguments;
    uint32_t size;

    if (error == NULL) return code;
    size = error->size;
    memset(error, 0, sizeof *error);
    error->size = size;
    error->code = code;
    va_start(arguments, format);
    (void)vsnprintf(error->detail, sizeof error->detail, format, arguments);
    va_end(arguments);
    return code;
}

const char *fail_words(int error_number, char *text, size_t cap)
{
    /* strerror is not safe in threads, strerror_r differs between C libraries; libuv has one form.
     * */
    return uv_strerror_r(-error_number, text, cap);
}
