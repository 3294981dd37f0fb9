/* SPDX-License-Identifier: MIT */
/* The terminal, signals, files and the clock, for the commands. */
#include "command.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A signal handler has nothing but these. The node is set by the one thread that runs commands. */
static volatile sig_atomic_t signals_count, signals_last;
static weir_node *volatile signals_node;

static void on_signal(int number)
{
    int kept = errno;

    signals_count++;
    signals_last = number;
    if (signals_node) weir_node_wake(signals_node);
    errno = kept;
}

/* weir.signals(node): from now on SIGINT and SIGTERM are counted, and end what the node waits for.
 * weir.signals(): how many came, and the last. weir.signals(false): the node will be closed. */
static int word_signals(lua_State *L)
{
    if (lua_isboolean(L, 1)) {
        signals_node = NULL;
    } else if (!lua_isnone(L, 1)) {
        struct sigaction action = {.sa_handler = on_signal};
        signals_node = command_node_check(L, 1);
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
    }
    lua_pushinteger(L, signals_count);
    lua_pushinteger(L, signals_last);
    return 2;
}

static int word_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

static int word_width(lua_State *L)
{
    struct winsize size = {0};

    if (ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        size.ws_col = 80;
    lua_pushinteger(L, size.ws_col);
    return 1;
}

static int word_clock(lua_State *L)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushinteger(L, (lua_Integer)t.tv_sec * 1000000 + t.tv_nsec / 1000);
    return 1;
}

/* weir.look(path): size, when it was changed (nanoseconds), "file" or "folder" or "other"; nil. */
static int word_look(lua_State *L)
{
    struct stat s;

    if (stat(luaL_checkstring(L, 1), &s) < 0) return 0;
    lua_pushinteger(L, (lua_Integer)s.st_size);
    lua_pushinteger(L, (lua_Integer)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec);
    lua_pushstring(L, S_ISREG(s.st_mode) ? "file" : S_ISDIR(s.st_mode) ? "folder" : "other");
    return 3;
}

/* weir.make_folder(path): and those above it, for this user alone. */
static int word_make_folder(lua_State *L)
{
    size_t len;
    const char *path = luaL_checklstring(L, 1, &len);
    char part[4096];

    if (len == 0 || len >= sizeof part) return luaL_error(L, "the path is too long");
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST) {
            lua_pushnil(L);
            lua_pushfstring(L, "%s: %s", part, strerror(errno));
            return 2;
        }
    }
    lua_pushboolean(L, true);
    return 1;
}

/* weir.wait(node, timeout): until the node has something to do, standard input can be read, a
 * signal came, or the time is over (negative: never). @return whether input can be read */
static int word_wait(lua_State *L)
{
    struct pollfd ways[2] = {{.fd = weir_node_fd(command_node_check(L, 1)), .events = POLLIN},
                             {.fd = STDIN_FILENO, .events = POLLIN}};
    lua_Integer timeout_us = luaL_checkinteger(L, 2);
    int timeout_ms = timeout_us < 0 ? -1 : (int)((timeout_us + 999) / 1000);
    int count = poll(ways, 2, timeout_ms);

    lua_pushboolean(L, count > 0 && ways[1].revents != 0);
    return 1;
}

/* weir.read(): what standard input has; "" at its end. */
static int word_read(lua_State *L)
{
    char bytes[4096];
    ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);

    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
    lua_pushlstring(L, bytes, count > 0 ? (size_t)count : 0);
    return 1;
}

void command_term_open(lua_State *L)
{
    static const luaL_Reg words[] = {{"signals", word_signals},
                                     {"is_terminal", word_is_terminal},
                                     {"width", word_width},
                                     {"clock", word_clock},
                                     {"look", word_look},
                                     {"make_folder", word_make_folder},
                                     {"wait", word_wait},
                                     {"read", word_read},
                                     {NULL, NULL}};

    luaL_setfuncs(L, words, 0);
}
