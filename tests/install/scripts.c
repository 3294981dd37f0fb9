/* SPDX-License-Identifier: MIT */
/* A program that knows weir_lua.h and weir.h, and nothing else: it runs a script on a node. */
#include <stdio.h>
#include <string.h>
#include <weir_lua.h>

int main(void)
{
    static const char text[] = "local P = protocol 'hello/1' {}\n"
                               "function P:start(name) print('hello ' .. name) quit() end\n"
                               "return P\n";
    static weir_lua_line line;
    const char *arguments[] = {"there"};
    weir_error error = {sizeof error};
    weir_event events[8];
    weir_node *node;
    weir_lua *lua;
    int result = 1;
    if (weir_node_create(NULL, &node, &error) != 0) return 1;
    if (weir_lua_create(NULL, &lua, &error) == 0) {
        int64_t script = weir_lua_load(lua, "hello.lua", text, sizeof text - 1, &error);
        if (weir_lua_attach(lua, node, script, arguments, 1, &error) == 0)
            (void)weir_lua_poll(lua, node, events, 8, 0);
        if (weir_lua_next_line(lua, &line) == 1) result = strcmp(line.text, "hello there") != 0;
        (void)weir_lua_free(lua);
    }
    if (result != 0) fprintf(stderr, "the script said \"%s\": %s\n", line.text, error.detail);
    (void)weir_node_free(node);
    return result;
}
