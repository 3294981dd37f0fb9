/* SPDX-License-Identifier: MIT */
/* A user's program: calls the library, and has functions whose names weir uses inside. */
#include <stdio.h>
#include <weir.h>

int ring_init(void);
int ring_init(void)
{
    return 42;
}

int main(void)
{
    printf("weir %s\n", weir_version());
    return weir_strerror(WEIR_E_STALE) != NULL && ring_init() == 42 ? 0 : 1;
}
