/* SPDX-License-Identifier: MIT */
#include "cbor_forms.h"
#include <cbor/encoding.h>
#include <float.h>
#include <string.h>

size_t cbor_forms_head(enum cbor_major major, uint64_t argument, uint8_t *out, size_t cap)
{
    switch (major) {
    case CBOR_MAJOR_UNSIGNED: return cbor_encode_uint(argument, out, cap);
    case CBOR_MAJOR_NEGATIVE: return cbor_encode_negint(argument, out, cap);
    case CBOR_MAJOR_BYTES: return cbor_encode_bytestring_start((size_t)argument, out, cap);
    case CBOR_MAJOR_TEXT: return cbor_encode_string_start((size_t)argument, out, cap);
    case CBOR_MAJOR_ARRAY: return cbor_encode_array_start((size_t)argument, out, cap);
    case CBOR_MAJOR_MAP: return cbor_encode_map_start((size_t)argument, out, cap);
    case CBOR_MAJOR_TAG: return cbor_encode_tag(argument, out, cap);
    case CBOR_MAJOR_SIMPLE: break;
    }
    return 0;
}

/* The half that has the single's value (RFC 8949, appendix D, the other way round), if there is
 * one; value is not a NaN. */
static bool half_of(float value, uint16_t *half)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, mantissa = bits & 0x7fffff;
    int exponent = (int)(bits >> 23 & 0xff);
    uint32_t magnitude = 0, lost = 0;
    if (exponent == 0) {
        lost = mantissa;
    } else if (exponent == 0xff) {
        magnitude = 0x7c00;
    } else if (exponent >= 127 - 14 && exponent <= 127 + 15) {
        magnitude = (uint32_t)(exponent - 127 + 15) << 10 | mantissa >> 13;
        lost = mantissa & 0x1fff;
    } else if (exponent >= 127 - 24 && exponent < 127 - 14) {
        /* A multiple of 2^-24: the implied bit comes in, and all below the last place must be 0. */
        unsigned shift = (unsigned)(126 - exponent);
        mantissa |= 0x800000;
        magnitude = mantissa >> shift;
        lost = mantissa & ((1u << shift) - 1);
    } else {
        return false;
    }
    *half = (uint16_t)(sign | magnitude);
    return lost == 0;
}

/* By hand: libcbor 0.8's cbor_encode_half keeps only the first bit of a subnormal. */
static size_t put_half(uint16_t half, uint8_t *out, size_t cap)
{
    if (cap < 3) return 0;
    out[0] = 0xf9;
    out[1] = (uint8_t)(half >> 8);
    out[2] = (uint8_t)half;
    return 3;
}

size_t cbor_forms_float(double value, uint8_t *out, size_t cap)
{
    uint16_t half;
    if (value != value) return put_half(0x7e00, out, cap);
    bool is_infinite = value > DBL_MAX || value < -DBL_MAX;
    if (!is_infinite && (value > (double)FLT_MAX || value < -(double)FLT_MAX))
        return cbor_encode_double(value, out, cap);
    float single = (float)value;
    if ((double)single < value || (double)single > value)
        return cbor_encode_double(value, out, cap);
    return half_of(single, &half) ? put_half(half, out, cap) : cbor_encode_single(single, out, cap);
}

/* Bytes of the character that begins here; 0: none does. The second byte's range excludes what is
 * overlong, a surrogate or too large (RFC 3629, section 4). */
static size_t character(const uint8_t *bytes, size_t left)
{
    uint8_t first = bytes[0], low = 0x80, high = 0xbf;
    size_t len;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len > left) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (bytes[1] < low || bytes[1] > high) return 0;
    for (size_t i = 2; i < len; i++)
        if ((bytes[i] & 0xc0) != 0x80) return 0;
    return len;
}

bool cbor_forms_is_text(const uint8_t *bytes, size_t len)
{
    for (size_t at = 0, step; at < len; at += step) {
        step = character(bytes + at, len - at);
        if (step == 0) return false;
    }
    return true;
}

bool cbor_forms_is_address(const uint8_t *bytes, size_t len)
{
    return len > 0 && len < CBOR_ADDRESS_SIZE && memchr(bytes, 0, len) == NULL &&
           cbor_forms_is_text(bytes, len);
}
