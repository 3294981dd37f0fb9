/* SPDX-License-Identifier: MIT */
#include "fetch_part.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MAP_HEAD_BYTES = 8 + FETCH_HEADER_BYTES };

static const char magic[8] = {'f', 'e', 't', 'c', 'h', 'm', 'a', 'p'};

static int complain_of(const char *path)
{
    return fetch_complain("%s: %s", path, strerror(errno));
}

static char *join(const char *a, const char *b)
{
    size_t len = strlen(a) + strlen(b) + 1;
    char *text = malloc(len);
    if (text != NULL) snprintf(text, len, "%s%s", a, b);
    return text;
}

static bool write_all(int fd, const void *data, uint64_t len, uint64_t offset)
{
    const uint8_t *bytes = data;
    while (len > 0) {
        ssize_t put = pwrite(fd, bytes, (size_t)len, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        bytes += put;
        offset += (uint64_t)put;
        len -= (uint64_t)put;
    }
    return true;
}

/* Set the counts of a file's ranges; none of them is here. */
static bool size_map(struct part *part, const struct fetch_file *file)
{
    part->file = *file;
    part->ranges = (file->size + FETCH_RANGE_BYTES - 1) / FETCH_RANGE_BYTES;
    part->map_bytes = (part->ranges + 7) / 8;
    part->done = 0;
    free(part->map);
    part->map = calloc(1, (size_t)part->map_bytes + 1);
    return part->map != NULL;
}

static bool size_is_allowed(uint64_t size)
{
    return size <= (uint64_t)PART_SIZE_TIB_MAX << 40;
}

static bool has_range(const struct part *part, uint64_t range)
{
    return ((uint32_t)part->map[range / 8] >> range % 8 & 1u) != 0;
}

/* Take over what an earlier run left. A map that is damaged is no map. */
static void read_map(struct part *part)
{
    uint8_t head[MAP_HEAD_BYTES];
    struct fetch_file file;
    if (pread(part->map_fd, head, sizeof head, 0) != (ssize_t)sizeof head) return;
    if (memcmp(head, magic, sizeof magic) != 0) return;
    fetch_header_decode(&file, head + sizeof magic);
    off_t end = lseek(part->fd, 0, SEEK_END);
    if (!size_is_allowed(file.size) || end < 0 || (uint64_t)end != file.size) return;
    if (!size_map(part, &file)) return;
    ssize_t got = pread(part->map_fd, part->map, (size_t)part->map_bytes, MAP_HEAD_BYTES);
    if (got < 0 || (uint64_t)got != part->map_bytes) return;
    for (uint64_t i = 0; i < part->ranges; i++) part->done += has_range(part, i);
    part->had_map = true;
}

/* Leave no map behind that says nothing. */
static void part_drop(struct part *part)
{
    close(part->map_fd);
    part->map_fd = -1;
    unlink(part->map_path);
}

int part_open(struct part *part, const char *out)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    memset(part, 0, sizeof *part);
    part->fd = part->map_fd = -1;
    part->out = join(out, "");
    part->path = join(out, ".part");
    part->map_path = join(out, ".part.map");
    if (part->out == NULL || part->path == NULL || part->map_path == NULL) return complain_of(out);
    part->map_fd = open(part->map_path, flags, 0666);
    if (part->map_fd < 0) return complain_of(part->map_path);
    if (flock(part->map_fd, LOCK_EX | LOCK_NB) != 0) {
        return fetch_complain("%s: another program is getting this file", part->map_path);
    }
    part->fd = open(part->path, flags, 0666);
    if (part->fd < 0) return complain_of(part->path);
    off_t map_end = lseek(part->map_fd, 0, SEEK_END), end = lseek(part->fd, 0, SEEK_END);
    if (map_end == 0 && end > 0) {
        part_drop(part);
        return fetch_complain("%s is there and has no map, so it is another program's; move it, or "
                              "name another file with -o",
                              part->path);
    }
    read_map(part);
    return 0;
}

int part_begin(struct part *part, const struct fetch_file *file)
{
    uint8_t head[MAP_HEAD_BYTES];
    if (!size_is_allowed(file->size)) {
        return fetch_complain("%s: the server says %llu bytes; more than %d TiB are not fetched",
                              part->out, (unsigned long long)file->size, PART_SIZE_TIB_MAX);
    }
    if (part->had_map && fetch_file_equal(&part->file, file)) return 0;
    part->had_map = true;
    if (!size_map(part, file)) return complain_of(part->map_path);
    /* The old map becomes no map before the old ranges go, and the new one is a map only when all
     * of it is there. */
    memset(head, 0, sizeof head);
    if (!write_all(part->map_fd, head, sizeof magic, 0) ||
        ftruncate(part->map_fd, (off_t)sizeof magic) != 0 ||
        !write_all(part->map_fd, part->map, part->map_bytes, MAP_HEAD_BYTES)) {
        return complain_of(part->map_path);
    }
    if (ftruncate(part->fd, 0) != 0 || ftruncate(part->fd, (off_t)file->size) != 0) {
        return complain_of(part->path);
    }
    memcpy(head, magic, sizeof magic);
    fetch_header_encode(head + sizeof magic, file);
    return write_all(part->map_fd, head, sizeof head, 0) ? 0 : complain_of(part->map_path);
}

uint64_t part_next(const struct part *part, uint64_t from)
{
    while (from < part->ranges) {
        if (part->map[from / 8] == 0xff) {
            from = (from / 8 + 1) * 8;
            continue;
        }
        if (!has_range(part, from)) return from;
        from++;
    }
    return UINT64_MAX;
}

uint64_t part_range_bytes(const struct part *part, uint64_t range)
{
    uint64_t left = part->file.size - range * FETCH_RANGE_BYTES;
    return left < FETCH_RANGE_BYTES ? left : FETCH_RANGE_BYTES;
}

int part_write(struct part *part, uint64_t offset, const void *data, uint64_t len)
{
    return write_all(part->fd, data, len, offset) ? 0 : complain_of(part->path);
}

int part_mark(struct part *part, uint64_t range)
{
    uint8_t *here = &part->map[range / 8];
    *here = (uint8_t)(*here | 1u << range % 8);
    part->done++;
    return write_all(part->map_fd, here, 1, MAP_HEAD_BYTES + range / 8)
               ? 0
               : complain_of(part->map_path);
}

int part_finish(struct part *part)
{
    uint8_t digest[WEIR_HASH_BYTES];
    if (!fetch_hash_fd(part->fd, digest)) return complain_of(part->path);
    if (memcmp(digest, part->file.digest, sizeof digest) != 0) {
        if (!write_all(part->map_fd, "", 1, 0)) complain_of(part->map_path);
        return fetch_complain("%s does not have the hash that the server said; run this again to "
                              "begin anew",
                              part->path);
    }
    if (fsync(part->fd) != 0 || rename(part->path, part->out) != 0) return complain_of(part->path);
    if (unlink(part->map_path) != 0) return complain_of(part->map_path);
    return 0;
}

void part_close(struct part *part)
{
    if (part->map_fd >= 0 && part->fd >= 0 && lseek(part->map_fd, 0, SEEK_END) == 0) {
        unlink(part->path);
        unlink(part->map_path);
    }
    if (part->fd >= 0) close(part->fd);
    if (part->map_fd >= 0) close(part->map_fd);
    free(part->map);
    free(part->map_path);
    free(part->path);
    free(part->out);
}
