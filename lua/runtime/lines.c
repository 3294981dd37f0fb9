/* SPDX-License-Identifier: MIT */
#include "lines.h"
#include "weir_lua.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = sizeof((weir_lua_line *)0)->text - 1 };

enum { SCRIPTS = 64 + 1 /* by number; 0: lines of none */ };

struct line {
    uint64_t time_us, node;
    uint32_t script, level, length;
    uint32_t before, after; /* in the row of all */
    uint32_t later;         /* the next of the same script; of a free one: the next free one */
    char *text;             /* NULL: there was no memory for it */
};
/* Places of lines, the first is 1; 0: none. */
struct row {
    uint32_t first, last, count;
};
struct line_ring {
    uint32_t capacity, free;
    struct row all, own[SCRIPTS];
    struct line lines[]; /* [capacity + 1] */
};

struct line_ring *lines_open(uint32_t capacity)
{
    struct line_ring *ring = calloc(1, sizeof *ring + (capacity + 1u) * sizeof ring->lines[0]);

    if (!ring) return NULL;
    ring->capacity = capacity;
    for (uint32_t i = capacity; i > 0; i--) {
        ring->lines[i].later = ring->free;
        ring->free = i;
    }
    return ring;
}

void lines_close(struct line_ring *ring)
{
    if (!ring) return;
    for (uint32_t i = 1; i <= ring->capacity; i++) free(ring->lines[i].text);
    free(ring);
}

/* The oldest line of a script gives its place up; its text stays with the caller. */
static struct line *take(struct line_ring *ring, uint32_t script)
{
    struct row *own = &ring->own[script];
    uint32_t at = own->first;
    struct line *line = &ring->lines[at];

    own->first = line->later;
    if (own->first == 0) own->last = 0;
    own->count--;
    if (line->before)
        ring->lines[line->before].after = line->after;
    else
        ring->all.first = line->after;
    if (line->after)
        ring->lines[line->after].before = line->before;
    else
        ring->all.last = line->before;
    ring->all.count--;
    line->later = ring->free;
    ring->free = at;
    return line;
}

/* Who loses a line for a new one of this script: who has most, and of equals the script itself. */
static uint32_t loser(const struct line_ring *ring, uint32_t script)
{
    uint32_t most = script;

    for (uint32_t i = 0; i < SCRIPTS; i++)
        if (ring->own[i].count > ring->own[most].count) most = i;
    return most;
}

/* A place for a new line of a script, the youngest of all. */
static struct line *place_for(weir_lua *lua, uint32_t script)
{
    struct line_ring *ring = lua->lines;
    struct row *own = &ring->own[script];
    struct line *line;
    uint32_t at;

    if (ring->all.count == ring->capacity) {
        line = take(ring, loser(ring, script));
        free(line->text);
        lua->info.lines_dropped++;
    }
    at = ring->free;
    line = &ring->lines[at];
    ring->free = line->later;
    *line = (struct line){.script = script, .before = ring->all.last};
    if (own->last)
        ring->lines[own->last].later = at;
    else
        own->first = at;
    own->last = at;
    own->count++;
    if (ring->all.last)
        ring->lines[ring->all.last].after = at;
    else
        ring->all.first = at;
    ring->all.last = at;
    ring->all.count++;
    return line;
}

static void add(weir_lua *lua, struct place *place, const struct script *script, uint32_t level,
                const char *text, size_t len)
{
    uint32_t number = script && script->number < SCRIPTS ? script->number : 0;
    struct line *line = place_for(lua, number);

    if (len > TEXT_MAX) len = TEXT_MAX;
    line->time_us = place ? place_now(place) : lua->now_us;
    line->node = place ? place->number : 0;
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
    if (ring->all.count == 0) return 0;
    /* The oldest of all is the oldest of its script. */
    line = take(ring, ring->lines[ring->all.first].script);
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
