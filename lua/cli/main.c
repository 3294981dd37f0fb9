/* SPDX-License-Identifier: MIT */
/* The weir command: everything is in libweir_lua. */
#include <weir_lua.h>

int main(int count, char **arguments)
{
    return weir_lua_command(count, (const char *const *)arguments);
}
