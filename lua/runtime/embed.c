/* SPDX-License-Identifier: MIT */
/* Build tool: writes Lua files into a C file, as the table behind embedded.h.
 *
 *   embed OUT FOLDER [NAME...]     reads FOLDER/NAME, and calls it NAME
 *
 * The texts become numbers, since C11 promises string literals of 4095 bytes only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "embed: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static unsigned long copy(FILE *out, const char *folder, const char *name)
{
    char path[4096];
    unsigned long len = 0;
    FILE *in;
    int c;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    in = fopen(path, "rb");
    if (!in) fail("cannot read", path);
    while ((c = getc(in)) != EOF) fprintf(out, "%d,%s", c, ++len % 24 ? "" : "\n");
    if (ferror(in)) fail("cannot read", path);
    fclose(in);
    return len;
}

static void functions(FILE *out, int count)
{
    fprintf(out,
            "const struct embedded *embedded_at(size_t index)\n{\n"
            "    return index < %d ? &files[index] : 0;\n}\n\n"
            "const struct embedded *embedded_find(const char *name)\n{\n"
            "    size_t i;\n\n"
            "    for (i = 0; i < %d; i++)\n"
            "        if (strcmp(files[i].name, name) == 0) return &files[i];\n"
            "    return 0;\n}\n",
            count, count);
}

int main(int argc, char **argv)
{
    int i, count = argc - 3;
    unsigned long *lens;
    FILE *out;

    if (argc < 3) {
        fprintf(stderr, "usage: embed OUT FOLDER [NAME...]\n");
        return 2;
    }
    qsort(argv + 3, (size_t)count, sizeof *argv, by_name);
    lens = calloc((size_t)count + 1, sizeof *lens);
    out = fopen(argv[1], "wb");
    if (!out || !lens) fail("cannot write", argv[1]);
    fprintf(out,
            "/* Written by embed.c. */\n#include \"runtime/embedded.h\"\n#include <string.h>\n\n");
    for (i = 0; i < count; i++) {
        fprintf(out, "static const unsigned char text_%d[] = {\n", i);
        lens[i] = copy(out, argv[2], argv[3 + i]);
        fprintf(out, "0};\n");
    }
    fprintf(out, "static const struct embedded files[%d] = {\n", count + 1);
    for (i = 0; i < count; i++)
        fprintf(out, "    {\"%s\", (const char *)text_%d, %lu},\n", argv[3 + i], i, lens[i]);
    fprintf(out, "    {0, 0, 0}};\n\n");
    functions(out, count);
    if (fclose(out) != 0) fail("cannot write", argv[1]);
    free(lens);
    return 0;
}
