/* SPDX-License-Identifier: MIT */
#include "fetch_folder.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { HASH_PIECE_BYTES = 1 << 20 }; /* about a millisecond's work */

bool folder_open(struct folder *folder, const char *path)
{
    memset(folder, 0, sizeof *folder);
    for (int i = 0; i < FOLDER_FILES; i++) folder->files[i].fd = -1;
    folder->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder->root >= 0;
}

static enum fetch_code code_of(int reason)
{
    switch (reason) {
    case ELOOP: /* a link, refused by O_NOFOLLOW */
    case ENOTDIR: /* the same in the middle of a name, or a file there */ return FETCH_BAD_NAME;
    case ENOENT:
    case ENAMETOOLONG:
    case EACCES:
    case ENXIO: return FETCH_NOT_FOUND;
    case EMFILE:
    case ENFILE:
    case ENOMEM: return FETCH_BUSY;
    default: return FETCH_READ_FAILED;
    }
}

/* Open one part of a name. O_NONBLOCK: the open of a pipe would wait for its writer. */
static int open_part(int at, const char *name, size_t len, bool is_last)
{
    char part[FETCH_NAME_MAX + 1];
    memcpy(part, name, len);
    part[len] = 0;
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    return openat(at, part, is_last ? flags : flags | O_DIRECTORY);
}

static bool part_is_allowed(const char *part, size_t len)
{
    if (len == 0 || (len == 1 && part[0] == '.')) return false;
    return !(len == 2 && part[0] == '.' && part[1] == '.');
}

static enum fetch_code open_name(int root, const char *name, int *fd)
{
    int at = root;
    for (;;) {
        size_t len = strcspn(name, "/");
        bool is_last = name[len] == 0;
        int next = -1, reason = ELOOP;
        if (part_is_allowed(name, len)) {
            next = open_part(at, name, len, is_last);
            reason = errno;
        }
        if (at != root) close(at);
        if (next < 0) return code_of(reason);
        if (is_last) {
            *fd = next;
            return 0;
        }
        at = next;
        name += len + 1;
    }
}

static bool is_same(const struct folder_file *file, const struct stat *now)
{
    return file->device == now->st_dev && file->number == now->st_ino &&
           file->facts.size == (uint64_t)now->st_size &&
           file->changed.tv_sec == now->st_mtim.tv_sec &&
           file->changed.tv_nsec == now->st_mtim.tv_nsec;
}

/* The place of a content: its own, else a free one, else that of the content used longest ago. */
static struct folder_file *place_of(struct folder *folder, const struct stat *now)
{
    struct folder_file *best = NULL;
    for (int i = 0; i < FOLDER_FILES; i++) {
        struct folder_file *file = &folder->files[i];
        if (file->is_taken && file->error == 0 && is_same(file, now)) return file;
        if (file->users > 0) continue;
        if (best == NULL ||
            (best->is_taken && (!file->is_taken || file->used_turn < best->used_turn))) {
            best = file;
        }
    }
    if (best == NULL) return NULL;
    memset(best, 0, sizeof *best);
    best->fd = -1;
    best->is_taken = true;
    best->device = now->st_dev;
    best->number = now->st_ino;
    best->changed = now->st_mtim;
    best->facts.size = (uint64_t)now->st_size;
    weir_hash_init(&best->hash);
    return best;
}

enum fetch_code folder_take(struct folder *folder, const char *name, struct folder_file **out)
{
    struct stat now;
    int fd = -1;
    enum fetch_code code = open_name(folder->root, name, &fd);
    if (code != 0) return code;
    if (fstat(fd, &now) != 0 || !S_ISREG(now.st_mode)) {
        close(fd);
        return FETCH_NOT_FOUND;
    }
    struct folder_file *file = place_of(folder, &now);
    if (file == NULL) {
        close(fd);
        return FETCH_BUSY;
    }
    if (file->fd < 0) {
        file->fd = fd;
    } else {
        close(fd);
    }
    if (file->users == 0 && !file->is_hashed) folder->unhashed++;
    file->users++;
    file->used_turn = ++folder->turn;
    *out = file;
    return 0;
}

void folder_release(struct folder *folder, struct folder_file *file)
{
    if (--file->users > 0) return;
    if (!file->is_hashed && file->error == 0) folder->unhashed--;
    close(file->fd);
    file->fd = -1;
    /* Only a complete hash is worth its place; half of one would need a descriptor. */
    if (!file->is_hashed) file->is_taken = false;
}

static void hash_piece(struct folder_file *file)
{
    static uint8_t piece[HASH_PIECE_BYTES];
    struct stat now;
    ssize_t got = pread(file->fd, piece, sizeof piece, (off_t)file->hashed_bytes);
    if (got < 0) {
        file->error = FETCH_READ_FAILED;
        return;
    }
    weir_hash_update(&file->hash, piece, (uint64_t)got);
    file->hashed_bytes += (uint64_t)got;
    if (got > 0 && file->hashed_bytes < file->facts.size) return;
    if (fstat(file->fd, &now) != 0 || !is_same(file, &now) ||
        file->hashed_bytes != file->facts.size) {
        file->error = FETCH_CHANGED;
        return;
    }
    weir_hash_final(&file->hash, file->facts.digest);
    file->is_hashed = true;
}

bool folder_hash(struct folder *folder, struct folder_file **finished)
{
    *finished = NULL;
    for (uint32_t i = 0; i < FOLDER_FILES && folder->unhashed > 0; i++) {
        struct folder_file *file = &folder->files[folder->hash_next++ % FOLDER_FILES];
        if (file->users == 0 || file->is_hashed || file->error != 0) continue;
        hash_piece(file);
        if (file->is_hashed || file->error != 0) {
            *finished = file;
            folder->unhashed--;
        }
        break;
    }
    return folder->unhashed > 0;
}
