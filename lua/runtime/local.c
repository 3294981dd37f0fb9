/* SPDX-License-Identifier: MIT */
/* This machine, as far as it was granted: files of one folder, children, Unix sockets, standard
 * input, the environment. Whatever is opened is a stream like any other.
 *
 * A path is relative, has no "..", and must not leave the folder through a symbolic link: its
 * folder is resolved when it is opened, and so is the file if there is one. Where the granted
 * folder has no name (in a world, whose files are in memory), a path is used as it is. */
#include "sandbox.h"
#include "store_state.h"
#include "stream_state.h"
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ARGUMENTS_MAX = 64, COST = 50 };
static const char not_granted[] = "files are not granted: run with --allow fs=DIR";

/* ---- paths */

static const char *check_form(const char *path)
{
    if (path[0] == 0 || strlen(path) > 1024) return "a path has 1 to 1024 bytes";
    if (path[0] == '/') return "a path is relative to the folder that is granted";
    for (const char *at = path; at; at = strchr(at, '/')) {
        while (*at == '/') at++;
        if (strncmp(at, "..", 2) == 0 && (at[2] == 0 || at[2] == '/'))
            return "a path does not lead out of the folder that is granted";
        if (*at == 0) return "a path does not end with '/'";
    }
    return NULL;
}

static bool is_inside(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    if (strcmp(folder, "/") == 0) return true;
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0);
}

/* The one place here that asks the system about files: where a path leads. */
static const char *resolve(const char *files, const char *path, char *out, const char **name)
{
    char folder[PATH_MAX], given[LOCAL_PATH_MAX], real[PATH_MAX], *last;
    struct stat info;

    *name = "refused";
    if (!realpath(files, folder)) return "the folder that is granted does not exist";
    if ((size_t)snprintf(given, sizeof given, "%s/%s", folder, path) >= sizeof given)
        return "the path is too long";
    last = strrchr(given, '/');
    *last = 0;
    if (!realpath(given, real)) {
        *name = "absent";
        return "there is no such folder";
    }
    if (!is_inside(real, folder)) return "a path does not lead out of the folder that is granted";
    if ((size_t)snprintf(out, LOCAL_PATH_MAX, "%s/%s", real, last + 1) >= LOCAL_PATH_MAX)
        return "the path is too long";
    if (realpath(out, real)) {
        if (!is_inside(real, folder))
            return "a path does not lead out of the folder that is granted";
        return NULL;
    }
    /* Whoever makes what a dangling link names makes it elsewhere. */
    if (errno != ENOENT || (lstat(out, &info) == 0 && S_ISLNK(info.st_mode)))
        return "the file is out of reach";
    return NULL;
}

const char *local_path(const weir_lua *lua, const char *path, char *out, const char **name)
{
    const char *why;

    *name = "refused";
    if (!lua->files) return not_granted;
    why = check_form(path);
    if (why) return why;
    if (lua->files[0]) return resolve(lua->files, path, out, name);
    strcpy(out, path);
    return NULL;
}

/* ---- file */

static const uint32_t flags_of[] = {WEIR_FILE_READ, WEIR_FILE_WRITE, WEIR_FILE_APPEND,
                                    WEIR_FILE_WRITE | WEIR_FILE_NEW};

/* A new stream of a file, on top. @return NULL: nil, sentence and name are there instead */
static struct stream_state *open_path(lua_State *L, const char *path, uint32_t flags,
                                      uint64_t offset)
{
    struct instance *in = task_check(L)->instance;
    struct stream_state *s = stream_new(L, in);
    int64_t handle = weir_file_open(in->place->node, path, flags, offset, s->waiter.tag);

    if (handle < 0) {
        stream_free(s);
        task_fail_code(L, in->place->node, (int32_t)handle, 0);
        return NULL;
    }
    s->has_in = (flags & WEIR_FILE_READ) != 0;
    s->has_out = !s->has_in;
    stream_began(s, (uint64_t)handle);
    return s;
}

static int fail_to_open(lua_State *L, struct stream_state *s)
{
    int32_t error = s->error;

    stream_free(s);
    if (error == WEIR_E_NOT_FOUND) return task_fail(L, "there is no such file", "absent");
    if (error == WEIR_E_EXISTS) return task_fail(L, "the file exists already", "exists");
    if (error == WEIR_E_IO)
        return task_fail(L, "that is no file, or it cannot be opened", "failed");
    return task_fail_code(L, NULL, error, 0);
}

/* Stack: the stream. */
static int opened(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *s = stream_state_at(L, 1);

    (void)status;
    (void)context;
    if (!s) return stream_fail(L, s, 0);
    if (!s->is_open && s->is_over && s->error < 0) return fail_to_open(L, s);
    if (!s->is_open && !s->is_over) return stream_wait(L, s, STREAM_OPENS, 0, opened);
    lua_settop(L, 1);
    return 1;
}

static int word_file(lua_State *L)
{
    static const char *const modes[] = {"read", "write", "append", "new", NULL};
    char path[LOCAL_PATH_MAX];
    const char *why, *name;
    lua_Integer offset;
    int mode;
    size_t len;

    task_check(L);
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_tolstring(L, 1, &len);
    luaL_argcheck(L, strlen(lua_tostring(L, 1)) == len, 1, "a path has no zero byte");
    mode = sandbox_option(L, 2, NULL, modes);
    offset = luaL_optinteger(L, 3, 0);
    luaL_argcheck(L, offset >= 0 && (offset == 0 || mode <= 1), 3,
                  "0 or more, with \"read\" or \"write\"");
    vm_charge(L, COST);
    task_check_may_wait(L);
    why = local_path(runtime_of(L), lua_tostring(L, 1), path, &name);
    if (why) return task_fail(L, why, name);
    lua_settop(L, 0);
    if (!open_path(L, path, flags_of[mode], (uint64_t)offset)) return 3;
    return opened(L, LUA_OK, 0);
}

/* ---- child, unix, input, env */

static bool is_allowed(lua_State *L, uint32_t what)
{
    return (runtime_of(L)->options.allow & what) != 0;
}

static int open_other(lua_State *L, struct stream_state *s, int64_t handle)
{
    weir_node *node = s->instance->place->node;

    if (handle < 0) {
        stream_free(s);
        return task_fail_code(L, node, (int32_t)handle, 0);
    }
    stream_began(s, (uint64_t)handle);
    return 1;
}

static int word_child(lua_State *L)
{
    const char *arguments[ARGUMENTS_MAX + 1] = {NULL};
    struct instance *in = task_check(L)->instance;
    struct stream_state *s;
    lua_Integer count;

    luaL_checktype(L, 1, LUA_TTABLE);
    count = (lua_Integer)lua_rawlen(L, 1);
    luaL_argcheck(L, count >= 1 && count <= ARGUMENTS_MAX, 1,
                  "a program and its arguments, at most 64: child { \"ls\", \"-l\" }");
    luaL_checkstack(L, ARGUMENTS_MAX + 8, NULL);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 1, i) != LUA_TSTRING) return luaL_argerror(L, 1, "texts stand here");
        arguments[i - 1] = lua_tostring(L, -1);
        luaL_argcheck(L, strlen(arguments[i - 1]) == lua_rawlen(L, -1), 1, "no zero bytes");
    }
    vm_charge(L, COST);
    if (!is_allowed(L, WEIR_LUA_ALLOW_EXEC))
        return task_fail(L, "children are not granted: run with --allow exec", "refused");
    s = stream_new(L, in);
    s->is_child = true;
    return open_other(L, s, weir_child_open(in->place->node, arguments, s->waiter.tag));
}

static int word_unix(lua_State *L)
{
    struct instance *in = task_check(L)->instance;
    const char *path = luaL_checkstring(L, 1);
    struct stream_state *s;

    vm_charge(L, COST);
    if (!is_allowed(L, WEIR_LUA_ALLOW_UNIX))
        return task_fail(L, "Unix sockets are not granted: run with --allow unix", "refused");
    s = stream_new(L, in);
    return open_other(L, s, weir_unix_open(in->place->node, path, s->waiter.tag));
}

static int word_input(lua_State *L)
{
    task_check(L);
    if (!is_allowed(L, WEIR_LUA_ALLOW_INPUT))
        return task_fail(L, "standard input is not granted: run with --allow input", "refused");
    return open_path(L, "/dev/stdin", WEIR_FILE_READ, 0) ? 1 : 3;
}

static int word_env(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    if (!is_allowed(L, WEIR_LUA_ALLOW_ENV))
        return task_fail(L, "the environment is not granted: run with --allow env", "refused");
    lua_pushstring(L, getenv(name));
    return 1;
}

void words_local(lua_State *L)
{
    static const luaL_Reg words[] = {{"file", word_file}, {"child", word_child},
                                     {"unix", word_unix}, {"input", word_input},
                                     {"env", word_env},   {NULL, NULL}};

    store_class(L);
    for (const luaL_Reg *w = words; w->name; w++) {
        lua_pushcfunction(L, w->func);
        sandbox_set(L, w->name);
    }
}
