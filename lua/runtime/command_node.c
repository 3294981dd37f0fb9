/* SPDX-License-Identifier: MIT */
/* Keys, addresses and nodes, for the commands. */
#include "command.h"
#include <string.h>

#define NODE "weir.node"
enum { EVENTS_MAX = 64, REPORT_BYTES = 4096 };

/* ---- events */

static const char *event_word(uint32_t kind)
{
    static const char *const words[] = {
        "none",           "connected", "connection_closed", "stream",        "readable",
        "writable",       "reset",     "stopped",           "stream_closed", "openable",
        "peer_up",        "peer_down", "observed",          "drained",       "moved",
        "datagram",       "message",   "sendable",          "request",       "response",
        "request_closed", "feed",      "feed_closed",       "fetch_part",    "fetch_closed"};

    return kind < sizeof words / sizeof words[0] ? words[kind] : "unknown";
}

void command_push_events(lua_State *L, const weir_event *events, int64_t count)
{
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 6);
        command_set_text(L, "kind", event_word(events[i].kind));
        command_set(L, "object", events[i].object);
        command_set(L, "time", events[i].time_us);
        command_set(L, "node", events[i].node);
        if (events[i].error != 0) command_set_text(L, "error", weir_strerror(events[i].error));
        if (events[i].error != 0)
            command_set_text(L, "reason", weir_reason_name((uint32_t)events[i].amount));
        lua_rawseti(L, -2, i + 1);
    }
}

/* ---- keys and addresses */

static int word_key_generate(lua_State *L)
{
    char key[WEIR_KEY_BYTES];
    weir_error error = {.size = sizeof error};
    int32_t code = weir_key_generate(key, &error);

    if (code < 0) return command_fail(L, code, &error);
    lua_pushlstring(L, key, sizeof key);
    return 1;
}

static int word_key_load(lua_State *L)
{
    char key[WEIR_KEY_BYTES];
    weir_error error = {.size = sizeof error};
    int32_t code = weir_key_load(luaL_checkstring(L, 1), key, &error);

    if (code < 0) return command_fail(L, code, &error);
    lua_pushlstring(L, key, sizeof key);
    return 1;
}

static const char *check_key(lua_State *L, int index)
{
    size_t len;
    const char *key = luaL_checklstring(L, index, &len);

    luaL_argcheck(L, len == WEIR_KEY_BYTES, index, "not a key");
    return key;
}

static int word_key_save(lua_State *L)
{
    weir_error error = {.size = sizeof error};
    int32_t code = weir_key_save(luaL_checkstring(L, 1), check_key(L, 2), &error);

    if (code < 0) return command_fail(L, code, &error);
    lua_pushboolean(L, true);
    return 1;
}

static int push_peer(lua_State *L, const weir_peer_id *peer)
{
    char text[WEIR_PEER_TEXT_MAX];
    int32_t code = weir_peer_format(peer, text, sizeof text);

    if (code < 0) return command_fail(L, code, NULL);
    lua_pushstring(L, text);
    return 1;
}

static int word_key_peer(lua_State *L)
{
    weir_peer_id peer;
    int32_t code = weir_key_peer(check_key(L, 1), &peer);

    return code < 0 ? command_fail(L, code, NULL) : push_peer(L, &peer);
}

static int word_address(lua_State *L)
{
    char text[WEIR_ADDRESS_TEXT_MAX];
    weir_error error = {.size = sizeof error};
    int32_t code = weir_address_normalize(luaL_checkstring(L, 1), text, sizeof text, &error);

    if (code < 0) return command_fail(L, code, &error);
    lua_pushstring(L, text);
    return 1;
}

/* ---- a node */

weir_node *command_node_check(lua_State *L, int index)
{
    struct command_node *n = luaL_checkudata(L, index, NODE);

    luaL_argcheck(L, n->node != NULL, index, "the node was closed");
    return n->node;
}

void command_node_push(lua_State *L, weir_node *node, bool is_owned)
{
    struct command_node *n = lua_newuserdatauv(L, sizeof *n, 1);

    *n = (struct command_node){node, is_owned};
    luaL_setmetatable(L, NODE);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
}

static int word_node(lua_State *L)
{
    weir_error error = {.size = sizeof error};
    weir_node_options options = {.size = sizeof options};
    weir_node *node;
    int32_t code;

    options.memory_bytes = command_number(L, 1, "memory", 0);
    options.peers_max = command_number(L, 1, "peers", 0);
    options.log_level_plus1 = (uint32_t)command_number(L, 1, "log", 0);
    options.dial_timeout_us = command_number(L, 1, "dial_timeout", 0);
    if (lua_istable(L, 1) && lua_getfield(L, 1, "key") != LUA_TNIL)
        options.key = check_key(L, lua_gettop(L));
    code = weir_node_create(&options, &node, &error);
    if (code < 0) return command_fail(L, code, &error);
    lua_pushnil(L);
    command_node_push(L, node, true);
    return 1;
}

static int node_close(lua_State *L)
{
    struct command_node *n = luaL_checkudata(L, 1, NODE);

    if (n->node && n->is_owned) weir_node_free(n->node);
    n->node = NULL;
    return 0;
}

static int answer(lua_State *L, int64_t code)
{
    if (code < 0) return command_fail_node(L, (int32_t)code, command_node_check(L, 1));
    lua_pushinteger(L, (lua_Integer)code);
    return 1;
}

static int node_listen(lua_State *L)
{
    return answer(L, weir_node_listen(command_node_check(L, 1), luaL_checkstring(L, 2)));
}

static int node_dial(lua_State *L)
{
    return answer(L, weir_node_dial(command_node_check(L, 1), luaL_checkstring(L, 2), NULL));
}

static int node_open(lua_State *L)
{
    return answer(L, weir_stream_open(command_node_check(L, 1), (uint64_t)luaL_checkinteger(L, 2),
                                      luaL_checkstring(L, 3), NULL));
}

/* node:give_up(stream): neither lane is wanted any more. */
static int node_give_up(lua_State *L)
{
    weir_node *node = command_node_check(L, 1);
    uint64_t stream = (uint64_t)luaL_checkinteger(L, 2);

    weir_stream_reset(node, stream, 0);
    weir_stream_stop(node, stream, 0);
    return 0;
}

static int node_drain(lua_State *L)
{
    return answer(L, weir_node_drain(command_node_check(L, 1), WEIR_REASON_DRAINING,
                                     (uint64_t)luaL_checkinteger(L, 2)));
}

/* node:leave(): its connections end at once; a world's node stays as a number. */
static int node_leave(lua_State *L)
{
    return answer(L, weir_node_close(command_node_check(L, 1)));
}

static int node_poll(lua_State *L)
{
    weir_node *node = command_node_check(L, 1);
    weir_event events[EVENTS_MAX];
    int64_t count = weir_node_poll(node, events, EVENTS_MAX, (int64_t)luaL_checkinteger(L, 2));

    if (count < 0) return command_fail_node(L, (int32_t)count, node);
    command_push_events(L, events, count);
    return 1;
}

static int push_address(lua_State *L, int32_t (*get)(weir_node *, uint32_t, char *, uint32_t))
{
    weir_node *node = command_node_check(L, 1);
    char text[WEIR_ADDRESS_TEXT_MAX];
    int32_t code = get(node, (uint32_t)luaL_checkinteger(L, 2) - 1, text, sizeof text);

    if (code < 0) return command_fail_node(L, code, node);
    lua_pushstring(L, text);
    return 1;
}

static int node_address(lua_State *L)
{
    return push_address(L, weir_node_address);
}

static int node_invitation(lua_State *L)
{
    return push_address(L, weir_node_invitation);
}

static int node_peer(lua_State *L)
{
    weir_peer_id peer;
    int32_t code = weir_node_peer(command_node_check(L, 1), &peer);

    return code < 0 ? command_fail(L, code, NULL) : push_peer(L, &peer);
}

static int node_now(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)weir_node_now(command_node_check(L, 1)));
    return 1;
}

static int node_report(lua_State *L)
{
    char text[REPORT_BYTES];
    int32_t code = weir_connection_report(command_node_check(L, 1),
                                          (uint64_t)luaL_checkinteger(L, 2), text, sizeof text);

    lua_pushstring(L, code < 0 ? "" : text);
    return 1;
}

static int node_connection(lua_State *L)
{
    weir_node *node = command_node_check(L, 1);
    weir_connection_info info = {.size = sizeof info};
    int32_t code = weir_connection_get_info(node, (uint64_t)luaL_checkinteger(L, 2), &info);

    if (code < 0) return command_fail_node(L, code, node);
    lua_newtable(L);
    command_set(L, "rtt", info.rtt_us);
    command_set(L, "rtt_min", info.rtt_min_us);
    command_set_text(L, "remote", info.remote);
    command_set_text(L, "transport", info.transport);
    push_peer(L, &info.peer);
    lua_setfield(L, -2, "peer");
    return 1;
}

static int node_log(lua_State *L)
{
    weir_node *node = command_node_check(L, 1);
    weir_log_line lines[16];
    lua_Integer total = 0;
    int32_t count;

    lua_newtable(L);
    while (total < 1024 && (count = weir_node_log(node, lines, 16)) > 0)
        for (int32_t i = 0; i < count; i++) {
            lua_createtable(L, 0, 2);
            command_set(L, "level", lines[i].level);
            command_set_text(L, "text", lines[i].text);
            lua_rawseti(L, -2, ++total);
        }
    return 1;
}

static int node_limits(lua_State *L)
{
    static const char *const scopes[] = {"", "node", "peer", "connection", "protocol", "stream"};
    weir_node *node = command_node_check(L, 1);
    weir_limit_info info = {.size = sizeof info};

    lua_newtable(L);
    for (uint32_t i = 0; weir_node_limit_get_info(node, i, &info) == 0; i++) {
        lua_createtable(L, 0, 7);
        command_set_text(L, "name", info.name);
        command_set_text(L, "unit", info.unit);
        command_set_text(L, "why", info.why);
        command_set_text(L, "scope", info.scope <= 5 ? scopes[info.scope] : "");
        command_set(L, "value", info.value);
        command_set(L, "used", info.used);
        command_set(L, "default", info.default_value);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int node_statistics(lua_State *L)
{
    weir_node *node = command_node_check(L, 1);
    weir_node_statistics s = {.size = sizeof s};
    int32_t code = weir_node_get_statistics(node, &s);

    if (code < 0) return command_fail_node(L, code, node);
    lua_newtable(L);
    command_set(L, "bytes_sent", s.bytes_sent);
    command_set(L, "datagrams_sent", s.datagrams_sent);
    command_set(L, "datagrams_received", s.datagrams_received);
    command_set(L, "packets_lost", s.packets_lost);
    command_set(L, "connections_open", s.connections_open);
    return 1;
}

void command_node_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"listen", node_listen},
                                       {"dial", node_dial},
                                       {"open", node_open},
                                       {"give_up", node_give_up},
                                       {"drain", node_drain},
                                       {"leave", node_leave},
                                       {"poll", node_poll},
                                       {"address", node_address},
                                       {"invitation", node_invitation},
                                       {"peer", node_peer},
                                       {"now", node_now},
                                       {"report", node_report},
                                       {"connection", node_connection},
                                       {"log", node_log},
                                       {"limits", node_limits},
                                       {"statistics", node_statistics},
                                       {NULL, NULL}};
    static const luaL_Reg words[] = {{"key_generate", word_key_generate},
                                     {"key_load", word_key_load},
                                     {"key_save", word_key_save},
                                     {"key_peer", word_key_peer},
                                     {"address", word_address},
                                     {"node", word_node},
                                     {NULL, NULL}};

    command_class(L, NODE, methods, node_close);
    luaL_setfuncs(L, words, 0);
}
