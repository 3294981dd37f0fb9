/* SPDX-License-Identifier: MIT */
#include "identity/multibase.h"
#include "weir.h"
#include <string.h>

static const char base58_digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char base36_digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

/* @return the value of a digit, or -1 */
static int digit_value(const char *digits, char c)
{
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

/* One place for both number bases: repeated division by the radix, big-endian digits in `number`.
 * @return the remainder; *number becomes the quotient */
static unsigned number_divide(uint8_t *number, size_t len, unsigned from, unsigned by)
{
    unsigned rest = 0;
    for (size_t i = 0; i < len; i++) {
        rest = rest * from + number[i];
        number[i] = (uint8_t)(rest / by);
        rest %= by;
    }
    return rest;
}

static size_t leading_zeroes(const uint8_t *number, size_t len)
{
    size_t n = 0;
    while (n < len && number[n] == 0) n++;
    return n;
}

/* Convert digits of one radix into digits of another, least significant first, leading zeroes kept
 * one to one. number is used up. @return digits written, or -1 when they exceed cap */
static int number_convert(uint8_t *number, size_t len, unsigned from, unsigned to, uint8_t *out,
                          size_t cap)
{
    size_t zeroes = leading_zeroes(number, len);
    size_t start = zeroes, count = 0;
    while (start < len) {
        if (count == cap) return -1;
        out[count++] = (uint8_t)number_divide(number + start, len - start, from, to);
        start += leading_zeroes(number + start, len - start);
    }
    if (cap - count < zeroes) return -1;
    memset(out + count, 0, zeroes);
    return (int)(count + zeroes);
}

static int number_encode(const char *digits, unsigned radix, const void *bytes, size_t len,
                         char *text, size_t cap)
{
    uint8_t number[MULTIBASE_BYTES_MAX], reversed[MULTIBASE_TEXT_MAX];
    if (len > 0) memcpy(number, bytes, len);
    int count = number_convert(number, len, 256, radix, reversed, sizeof reversed);
    if (count < 0 || (size_t)count >= cap) return WEIR_E_SPACE;
    for (int i = 0; i < count; i++) text[i] = digits[reversed[count - 1 - i]];
    text[count] = '\0';
    return count;
}

static int number_decode(const char *digits, unsigned radix, const char *text, size_t len,
                         uint8_t *bytes, size_t cap)
{
    uint8_t number[MULTIBASE_TEXT_MAX], reversed[MULTIBASE_TEXT_MAX];
    for (size_t i = 0; i < len; i++) {
        int value = digit_value(digits, text[i]);
        if (value < 0) return WEIR_E_ARGUMENT;
        number[i] = (uint8_t)value;
    }
    int count = number_convert(number, len, radix, 256, reversed, sizeof reversed);
    if (count < 0 || (size_t)count > cap) return WEIR_E_ARGUMENT;
    for (int i = 0; i < count; i++) bytes[i] = reversed[count - 1 - i];
    return count;
}

static int base32_encode(const uint8_t *bytes, size_t len, char *text, size_t cap)
{
    size_t count = (len * 8 + 4) / 5;
    if (count >= cap) return WEIR_E_SPACE;
    unsigned bits = 0, held = 0;
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        bits = (bits << 8 | bytes[i]) & 0xfff;
        held += 8;
        while (held >= 5) {
            held -= 5;
            text[at++] = base32_digits[bits >> held & 31];
        }
    }
    if (held > 0) text[at++] = base32_digits[bits << (5 - held) & 31];
    text[at] = '\0';
    return (int)at;
}

static int base32_decode(const char *text, size_t len, uint8_t *bytes, size_t cap)
{
    unsigned bits = 0, held = 0;
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        int value = digit_value(base32_digits, text[i]);
        if (value < 0) return WEIR_E_ARGUMENT;
        bits = (bits << 5 | (unsigned)value) & 0xfff;
        held += 5;
        if (held < 8) continue;
        if (at == cap) return WEIR_E_ARGUMENT;
        held -= 8;
        bytes[at++] = (uint8_t)(bits >> held);
    }
    /* Five or more bits left over are a digit too many; any that are set, a second spelling. */
    if (held >= 5 || (bits & ((1u << held) - 1)) != 0) return WEIR_E_ARGUMENT;
    return (int)at;
}

int multibase_encode(enum multibase base, const void *bytes, size_t len, char *text, size_t cap)
{
    int count = WEIR_E_SPACE;
    if (len <= MULTIBASE_BYTES_MAX) {
        switch (base) {
        case MULTIBASE_BASE58:
            count = number_encode(base58_digits, 58, bytes, len, text, cap);
            break;
        case MULTIBASE_BASE36:
            count = number_encode(base36_digits, 36, bytes, len, text, cap);
            break;
        case MULTIBASE_BASE32: count = base32_encode(bytes, len, text, cap); break;
        }
    }
    if (count < 0 && cap > 0) text[0] = '\0';
    return count;
}

int multibase_decode(enum multibase base, const char *text, size_t len, void *bytes, size_t cap)
{
    if (len > MULTIBASE_TEXT_MAX) return WEIR_E_ARGUMENT;
    switch (base) {
    case MULTIBASE_BASE58: return number_decode(base58_digits, 58, text, len, bytes, cap);
    case MULTIBASE_BASE36: return number_decode(base36_digits, 36, text, len, bytes, cap);
    case MULTIBASE_BASE32: return base32_decode(text, len, bytes, cap);
    }
    return WEIR_E_ARGUMENT;
}
