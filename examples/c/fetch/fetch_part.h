/* SPDX-License-Identifier: MIT */
#ifndef FETCH_PART_H
#define FETCH_PART_H
/*
 * A file that is not complete yet: OUT.part, in which every range is written to its place, and
 * OUT.part.map, which says which ranges are there. The map begins with "fetchmap", the size and the
 * hash of the file that the ranges belong to; then follows one bit per range.
 *
 * A bit is written after its range. Whatever stops the program, the next run asks only for ranges
 * without a bit. After a power failure a bit may be older than its bytes; the hash of the whole,
 * compared before the file gets its name, finds that.
 */
#include "fetch.h"

enum { PART_SIZE_TIB_MAX = 16 }; /* a size is a claim; this bounds the map to 2 MiB */

struct part {
    char *out, *path, *map_path;
    int fd, map_fd;
    bool had_map;           /* an earlier run left ranges of `file` */
    struct fetch_file file; /* whose ranges these are */
    uint64_t ranges, done;  /* in all, and of them here */
    uint64_t map_bytes;
    uint8_t *map;
};

/* Open or create both files, and lock them against a second program. Returns 0, or 1 and has
 * complained. */
int part_open(struct part *part, const char *out);
/* Say which file the server has: keep the ranges that belong to it, begin anew if they belong to
 * another. Returns 0, or 1 and has complained. */
int part_begin(struct part *part, const struct fetch_file *file);
/* The first range from `from` on that is not here; UINT64_MAX: none. */
uint64_t part_next(const struct part *part, uint64_t from);
uint64_t part_range_bytes(const struct part *part, uint64_t range);
/* Write bytes of a range that is under way. Returns 0, or 1 and has complained. */
int part_write(struct part *part, uint64_t offset, const void *data, uint64_t len);
/* A range is complete. Returns 0, or 1 and has complained. */
int part_mark(struct part *part, uint64_t range);
/* All ranges are here: compare the hash, and give the file its name. Returns 0, or 1 and has
 * complained; if the hash was wrong, the next run begins anew. */
int part_finish(struct part *part);
void part_close(struct part *part);

#endif
