/* SPDX-License-Identifier: MIT */
/* How failures are told: to a script as nil, a sentence and a name; to the program as facts; to
 * people in the log. The names are few, and say what a script can do about it. */
#include "lines.h"
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LOGGED_PER_SECOND = 10, SECOND_US = 1000000 };

struct name_of {
    int64_t number;
    const char *name;
    const char *sentence; /* NULL: that of the error number */
};

/* What the other side said weighs more than what became of it here. */
static const struct name_of by_reason[] = {
    {WEIR_REASON_OVERLOAD, "busy", "the peer is busy"},
    {WEIR_REASON_FULL, "busy", "the peer has no room for another"},
    {WEIR_REASON_SCRIPT, "failed", "the script at the other side failed"},
    {WEIR_REASON_SCRIPT_LIMIT, "failed",
     "the script at the other side used up its instructions or its memory"},
    {WEIR_REASON_FORMAT, "format", "the other side cannot read it"},
    {WEIR_REASON_TOO_LARGE, "limit", "it is longer than the other side allows"},
    {WEIR_REASON_LIMIT, "limit", "a limit was reached"},
    {WEIR_REASON_TOO_SLOW, "timeout", "less came than the least progress"},
    {WEIR_REASON_DEADLINE, "timeout", "there was no answer in time"},
    {WEIR_REASON_PROTOCOL_NOT_SERVED, "unsupported", "the peer does not serve that protocol"},
    {WEIR_REASON_KIND, "unsupported", "the peer serves that protocol in another way"},
    {WEIR_REASON_UNREACHABLE, "unreachable", NULL},
    {WEIR_REASON_REFUSED, "refused", NULL},
    {WEIR_REASON_NETWORK, "refused", NULL},
};
static const struct name_of by_error[] = {
    {WEIR_E_REFUSED, "refused", NULL},
    {WEIR_E_PERMISSION, "refused", NULL},
    {WEIR_E_TIMEOUT, "timeout", NULL},
    {WEIR_E_UNREACHABLE, "unreachable", NULL},
    {WEIR_E_HOST_UNKNOWN, "unreachable", NULL},
    {WEIR_E_ADDRESS, "unreachable", NULL},
    {WEIR_E_PEER_ID, "unreachable", NULL},
    {WEIR_E_IDENTITY, "unreachable", NULL},
    {WEIR_E_HANDSHAKE, "unreachable", NULL},
    {WEIR_E_SOCKET, "unreachable", NULL},
    {WEIR_E_LIMIT, "limit", NULL},
    {WEIR_E_BUDGET, "limit", NULL},
    {WEIR_E_MEMORY, "limit", NULL},
    {WEIR_E_ARGUMENT, "limit", NULL},
    {WEIR_E_PROTOCOL, "format", NULL},
    {WEIR_E_UNSUPPORTED, "unsupported", NULL},
    {WEIR_E_NOT_FOUND, "absent", NULL},
    {WEIR_E_EXISTS, "exists", NULL},
    {WEIR_E_IO, "failed", NULL},
    {WEIR_E_END, "end", NULL},
};

static const struct name_of *look_up(const struct name_of *table, size_t count, int64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].number == number) return &table[i];
    return NULL;
}

int task_fail(lua_State *L, const char *sentence, const char *name)
{
    lua_pushnil(L);
    lua_pushstring(L, sentence);
    lua_pushstring(L, name);
    return 3;
}

int task_fail_code(lua_State *L, weir_node *node, int32_t error, uint32_t reason)
{
    const struct name_of *of = look_up(by_reason, sizeof by_reason / sizeof by_reason[0], reason);
    weir_error facts = {.size = sizeof facts};
    char text[400];

    if (!of) of = look_up(by_error, sizeof by_error / sizeof by_error[0], error);
    if (node && weir_last_error(node, &facts) == 0 && facts.code == error && facts.detail[0])
        snprintf(text, sizeof text, "%s", facts.detail);
    else if (of && of->sentence)
        snprintf(text, sizeof text, "%s", of->sentence);
    else if (reason >= 0x10000000u)
        snprintf(text, sizeof text, "%s (%s)", weir_strerror(error), weir_reason_name(reason));
    else
        snprintf(text, sizeof text, "%s", weir_strerror(error));
    return task_fail(L, text, of ? of->name : "closed");
}

int32_t error_fill(weir_error *error, int32_t code, const char *format, ...)
{
    weir_error facts = {.code = code};
    uint32_t size;
    va_list list;

    if (!error || error->size < sizeof error->size) return code;
    size = error->size < sizeof facts ? error->size : (uint32_t)sizeof facts;
    facts.size = error->size;
    va_start(list, format);
    vsnprintf(facts.detail, sizeof facts.detail, format, list);
    va_end(list);
    memcpy(error, &facts, size);
    return code;
}

void fail_log(struct instance *in, const char *text)
{
    struct script *script = in->script;
    weir_lua *lua = script->lua;
    uint64_t second = place_now(in->place) / SECOND_US;

    if (second != script->log_window) {
        if (script->log_held > 0)
            runtime_logf(lua, in->place, script, 1, "%u more failures were not logged",
                         script->log_held);
        script->log_window = second;
        script->log_count = script->log_held = 0;
    }
    if (script->log_count == LOGGED_PER_SECOND) {
        script->log_held++;
        return;
    }
    script->log_count++;
    runtime_log(lua, in->place, script, 1, text);
}
