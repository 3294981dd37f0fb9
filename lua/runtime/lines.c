/* SPDX-License-Identifier: MIT */
#include "lines.h"
#include "weir_lua.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = sizeof((weir_lua_line *)0)->text - 1 };

struct line {
    uint64_t time_us, node;
    uint32_t script, level, length;
    char *text; /* NULL: there was no memory for it */
};
struct line_ring {
    uint32_t capacity, first, count;
    struct line lines[];
};

struct line_ring *lines_open(uint32_t capacity)
{
    struct line_ring *ring = calloc(1, sizeof *ring + capacity * sizeof ring->lines[0]);

    if (ring) ring->capacity = capacity;
    return ring;
}

void lines_close(struct line_ring *ring)
{
    if (!ring) return;
    for (uint32_t i = 0; i < ring->capacity; i++) free(ring->lines[i].text);
    free(ring);
}

/* A slot for a new line; the oldest gives way. */
static struct line *slot(weir_lua *lua)
{
    struct line_ring *ring = lua->lines;
    struct line *line;

    if (ring->count == ring->capacity) {
        ring->first = (ring->first + 1) % ring->capacity;
        ring->count--;
        lua->info.lines_dropped++;
    }
    line = &ring->lines[(ring->first + ring->count++) % ring->capacity];
    free(line->text);
    *line = (struct line){0};
    return line;
}

static void add(weir_lua *lua, struct place *place, const struct script *script, uint32_t level,
                const char *text, size_t len)
{
    struct line *line = slot(lua);

    if (len > TEXT_MAX) len = TEXT_MAX;
    line->time_us = place ? place_now(place) : lua->now_us;
    line->node = place ? place->number : 0;
    line->script = script ? script->number : 0;
    line->level = level;
    line->text = malloc(len + 1);
    if (!line->text) return;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        line->text[i] = (c < 32 && c != '\t') || c == 127 ? '?' : text[i];
    }
    line->text[len] = 0;
    line->length = (uint32_t)len;
}

/* A text of several lines is so many lines. */
static void add_all(weir_lua *lua, struct place *place, const struct script *script, uint32_t level,
                    const char *text, size_t len)
{
    for (;;) {
        const char *end = memchr(text, '\n', len);
        size_t part = end ? (size_t)(end - text) : len;
        add(lua, place, script, level, text, part);
        if (!end) return;
        text += part + 1;
        len -= part + 1;
    }
}

void runtime_log(weir_lua *lua, struct place *place, const struct script *script, uint32_t level,
                 const char *text)
{
    add_all(lua, place, script, level, text, strlen(text));
}

void runtime_logf(weir_lua *lua, struct place *place, const struct script *script, uint32_t level,
                  const char *format, ...)
{
    char text[TEXT_MAX + 1];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    runtime_log(lua, place, script, level, text);
}

void lines_on_print(void *context, const char *text, size_t len)
{
    const struct script *script = context;
    struct task *t = script->lua->current;

    if (t) script = t->instance->script;
    add_all(script->lua, t ? t->instance->place : NULL, script, 0, text, len);
}

WEIR_LUA_API int32_t weir_lua_next_line(weir_lua *lua, weir_lua_line *out)
{
    struct line_ring *ring;
    struct line *line;

    if (!lua || !out) return WEIR_E_NULL;
    ring = lua->lines;
    if (ring->count == 0) return 0;
    line = &ring->lines[ring->first];
    ring->first = (ring->first + 1) % ring->capacity;
    ring->count--;
    out->time_us = line->time_us;
    out->node = line->node;
    out->script = line->script;
    out->level = line->level;
    out->reserved = 0;
    out->length = line->length;
    if (line->text) memcpy(out->text, line->text, line->length);
    out->text[line->length] = 0;
    free(line->text);
    line->text = NULL;
    return 1;
}
