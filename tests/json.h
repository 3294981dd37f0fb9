/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_JSON_H
#define WEIR_TESTS_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A reader for the published vectors: enough JSON for them, no more. For tests only.
 *
 *  A value is a slice of the text; nothing is copied until asked for. Files are trusted, and ended
 *  by a 0, so a broken one ends in empty values rather than in an over-read.
 *
 *      char *text = json_load(WEIR_VECTORS "/libp2p/peer_id_vectors.json");
 *      if (text == NULL) { print_message("vectors absent\n"); skip(); }
 *      struct json item = {0}, list = json_get(json_parse(text), "string_examples");
 *      while (json_next(list, &item)) n = json_hex(json_get(item, "multihash_hex"), bytes, cap);
 *      free(text); */
struct json {
    const char *at, *end;      /**< NULL: no such value */
};

/** The whole file with a 0 behind it, or NULL when there is no such file; free it. */
static inline char *json_load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    char *text = NULL;
    size_t len = 0, room = 0;
    for (;;) {
        if (room - len < 2) {
            room = room == 0 ? 65536 : room * 2;
            char *more = realloc(text, room);
            if (more == NULL) abort();
            text = more;
        }
        size_t got = fread(text + len, 1, room - len - 1, file);
        if (got == 0) break;
        len += got;
    }
    fclose(file);
    text[len] = '\0';
    return text;
}

static inline const char *json_space(const char *at)
{
    return at + strspn(at, " \t\r\n,:");
}

/** The end of the value that starts at `at`. */
static inline const char *json_skip(const char *at)
{
    size_t depth = 0;
    do {
        if (*at == '\0') return at;
        if (*at == '"') {
            for (at++; *at != '"'; at++) {
                if (*at == '\\' && at[1] != '\0') at++;
                if (*at == '\0') return at;
            }
            at++;
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0) return at;
            depth--;
            at++;
        } else {
            at += strcspn(at, " \t\r\n,:{}[]\"");
        }
        if (depth > 0) at = json_space(at);
    } while (depth > 0);
    return at;
}

static inline struct json json_parse(const char *text)
{
    struct json value;
    value.at = json_space(text);
    value.end = json_skip(value.at);
    return value;
}

/** Walk an array: *item starts as {0}. @return false at the end */
static inline bool json_next(struct json list, struct json *item)
{
    if (list.at == NULL || *list.at != '[') return false;
    const char *at = json_space(item->at == NULL ? list.at + 1 : item->end);
    if (*at == ']' || *at == '\0') return false;
    item->at = at;
    item->end = json_skip(at);
    return true;
}

/** Whether a value is this string (in the file's spelling). */
static inline bool json_is(struct json value, const char *text)
{
    size_t len = strlen(text);
    return value.at != NULL && (size_t)(value.end - value.at) == len + 2 && *value.at == '"' &&
           memcmp(value.at + 1, text, len) == 0;
}

/** A member of an object, or a value that is absent. */
static inline struct json json_get(struct json object, const char *name)
{
    struct json key = {NULL, NULL}, value = {NULL, NULL};
    if (object.at == NULL || *object.at != '{') return key;
    const char *at = json_space(object.at + 1);
    while (*at == '"') {
        key.at = at;
        key.end = json_skip(at);
        value.at = json_space(key.end);
        value.end = json_skip(value.at);
        if (json_is(key, name)) return value;
        at = json_space(value.end);
    }
    value.at = value.end = NULL;
    return value;
}

static inline bool json_has(struct json object, const char *name)
{
    return json_get(object, name).at != NULL;
}

/** The n-th item of an array. */
static inline struct json json_at(struct json list, size_t n)
{
    struct json item = {NULL, NULL}, none = {NULL, NULL};
    for (size_t i = 0; i <= n; i++) {
        if (!json_next(list, &item)) return none;
    }
    return item;
}

static inline int64_t json_integer(struct json value)
{
    return value.at == NULL ? 0 : (int64_t)strtoll(value.at, NULL, 10);
}

/** The bytes between the quotes, escapes left as they are, and a 0 behind them.
 *  @return their count, or SIZE_MAX when it is no string or longer than cap - 1 */
static inline size_t json_string(struct json value, char *out, size_t cap)
{
    if (value.at == NULL || *value.at != '"') return SIZE_MAX;
    size_t len = (size_t)(value.end - value.at) - 2;
    if (len >= cap) return SIZE_MAX;
    memcpy(out, value.at + 1, len);
    out[len] = '\0';
    return len;
}

static inline int json_hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/** Hex text into bytes. @return their count, or SIZE_MAX when it is not hex or more than cap */
static inline size_t json_unhex(const char *text, size_t len, uint8_t *out, size_t cap)
{
    if (len % 2 != 0 || len / 2 > cap) return SIZE_MAX;
    for (size_t i = 0; i < len / 2; i++) {
        int high = json_hex_digit(text[2 * i]), low = json_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return SIZE_MAX;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return len / 2;
}

/** A string value of hex into bytes, as json_unhex. */
static inline size_t json_hex(struct json value, uint8_t *out, size_t cap)
{
    if (value.at == NULL || *value.at != '"') return SIZE_MAX;
    return json_unhex(value.at + 1, (size_t)(value.end - value.at) - 2, out, cap);
}

/** Hex literals of tests: aborts when they are not hex of at most cap bytes. */
static inline size_t hex(const char *text, void *out, size_t cap)
{
    size_t len = json_unhex(text, strlen(text), out, cap);
    if (len == SIZE_MAX) {
        fprintf(stderr, "not hex, or too long: %s\n", text);
        abort();
    }
    return len;
}
#endif
