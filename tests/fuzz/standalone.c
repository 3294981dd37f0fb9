/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target without libFuzzer: over the empty input and every file that is named, or that
 * stands in a folder that is named. Each file is also cut at every length and has every byte
 * inverted (the first 512 of each), so that even a small corpus walks the error paths. Inputs lie
 * in blocks of exactly their size, where AddressSanitizer sees the first byte read past the end.
 * Prints what it ran; fails when a name cannot be read. */
#include "fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EDITS_MAX = 512, INPUT_MAX = 1 << 20 };
static unsigned long runs, files;

static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL) abort();
    if (size > 0) memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    runs++;
}

static void run_edited(uint8_t *data, size_t size)
{
    size_t edits = size < EDITS_MAX ? size : EDITS_MAX;
    run(data, size);
    for (size_t i = 0; i < edits; i++) {
        run(data, i);
        data[i] ^= 0xff;
        run(data, size);
        data[i] ^= 0xff;
    }
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    size_t size = 0;
    int failed = file == NULL || data == NULL;
    if (!failed) {
        size = fread(data, 1, INPUT_MAX, file);
        failed = ferror(file) || size == INPUT_MAX;
    }
    if (failed)
        fprintf(stderr, "%s: cannot be read, or is not under 1 MiB\n", path);
    else
        run_edited(data, size);
    files++;
    free(data);
    if (file != NULL) fclose(file);
    return failed;
}

static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int failed = folder == NULL;
    char name[4096];
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        failed |= run_file(name);
    }
    if (folder != NULL)
        closedir(folder);
    else
        fprintf(stderr, "%s: cannot be read\n", path);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    struct stat facts;
    run(NULL, 0);
    for (int i = 1; i < argc; i++) {
        if (stat(argv[i], &facts) == 0 && S_ISDIR(facts.st_mode))
            failed |= run_folder(argv[i]);
        else
            failed |= run_file(argv[i]);
    }
    printf("%lu files, %lu inputs\n", files, runs);
    return failed;
}
