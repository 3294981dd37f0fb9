/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_SCRIPTS_H
#define WEIR_TESTS_SCRIPTS_H
#include "weir_lua.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Scripts on the nodes of a small world, as a program would run them: through weir_lua.h and weir.h
 * alone. Node 1 is the first. What they print is gathered in one text, a line for each: "1 hello",
 * and "1! what failed" for lines of the log that are errors. */

enum { SCRIPTS_NODES = 128, SCRIPTS_TEXT = 1 << 18 };

struct scripts {
    weir_world *world;
    weir_lua *lua;
    weir_node *nodes[SCRIPTS_NODES + 1];
    uint32_t count;
    weir_error error;
    char text[SCRIPTS_TEXT];
    size_t len;
};

static inline void scripts_open(struct scripts *s, uint32_t nodes, uint64_t seed,
                                const weir_lua_options *lua_options)
{
    weir_world_options options = {
        .size = sizeof options, .fidelity = WEIR_FIDELITY_MESSAGE, .seed = seed};

    memset(s, 0, sizeof *s);
    s->error.size = sizeof s->error;
    assert_int_equal(weir_world_create(&options, &s->world, NULL), 0);
    assert_int_equal(weir_lua_create(lua_options, &s->lua, &s->error), 0);
    for (s->count = 0; s->count < nodes; s->count++)
        assert_int_equal(
            weir_world_add_node(s->world, NULL, &s->nodes[s->count + 1], NULL), 0);
}

static inline void scripts_close(struct scripts *s)
{
    assert_int_equal(weir_lua_free(s->lua), 0);
    assert_int_equal(weir_world_free(s->world), 0);
}

static inline int64_t scripts_load(struct scripts *s, const char *name, const char *text)
{
    int64_t script = weir_lua_load(s->lua, name, text, strlen(text), &s->error);

    if (script < 0) fprintf(stderr, "    %s\n", s->error.detail);
    return script;
}

/* The address of node `to` under which others dial it. */
static inline const char *scripts_address(struct scripts *s, uint32_t to)
{
    static char text[WEIR_ADDRESS_TEXT_MAX];

    assert_true(weir_node_address(s->nodes[to], 0, text, sizeof text) > 0);
    return text;
}

static inline void scripts_attach(struct scripts *s, uint32_t node, int64_t script,
                                  const char *argument)
{
    const char *arguments[] = {argument};
    int32_t code =
        weir_lua_attach(s->lua, s->nodes[node], script, arguments, argument ? 1 : 0, &s->error);

    if (code < 0) fprintf(stderr, "    attach: %s\n", s->error.detail);
    assert_int_equal(code, 0);
}

static inline void scripts_gather(struct scripts *s)
{
    static weir_lua_line line;

    while (weir_lua_next_line(s->lua, &line) == 1) {
        if (line.level > 2) continue;
        if (s->len + line.length + 32 > sizeof s->text) s->len = 0;
        s->len += (size_t)snprintf(s->text + s->len, sizeof s->text - s->len, "%u%s %s\n",
                                   (unsigned)line.node, line.level ? "!" : "", line.text);
    }
}

/* For so many milliseconds of the world's time. */
static inline int32_t scripts_run(struct scripts *s, uint64_t ms)
{
    int32_t over = weir_lua_run(s->lua, s->world, weir_world_now(s->world) + ms * 1000);

    scripts_gather(s);
    return over;
}

/* The usual scene: node 1 serves, node 2 begins with its address. */
static inline void scripts_run_pair(struct scripts *s, const char *name, const char *text,
                                    uint64_t ms)
{
    int64_t script = scripts_load(s, name, text);

    assert_true(script > 0);
    scripts_attach(s, 1, script, NULL);
    scripts_attach(s, 2, script, scripts_address(s, 1));
    scripts_run(s, ms);
}

/* The same in a world of its own, with seed 7. */
static inline void scripts_run_world(struct scripts *s, const weir_lua_options *options,
                                     const char *text, uint64_t ms)
{
    scripts_open(s, 2, 7, options);
    scripts_run_pair(s, "test.lua", text, ms);
}

static inline weir_lua_info scripts_info(struct scripts *s)
{
    weir_lua_info info = {.size = sizeof info};

    assert_int_equal(weir_lua_get_info(s->lua, &info), 0);
    return info;
}

static inline bool scripts_said(const struct scripts *s, const char *line)
{
    bool said = strstr(s->text, line) != NULL;

    if (!said)
        fprintf(stderr, "    not said: %s\n    but:\n%s", line,
                s->len > 3000 ? s->text + s->len - 3000 : s->text);
    return said;
}
#endif
