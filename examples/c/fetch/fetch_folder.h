/* SPDX-License-Identifier: MIT */
#ifndef FETCH_FOLDER_H
#define FETCH_FOLDER_H
/*
 * The folder that a server gives: which names lead to a file, and what each file's hash is.
 *
 * A name is untrusted. It is opened part by part from the folder's own descriptor, and no part may
 * be "..", or a link: so there is no moment between a check and an open in which somebody could put
 * a link in the way.
 *
 * A hash is made once per content and kept; a content is device, file number, size and time of the
 * last change. It is made in small pieces between two polls, so that a big file stops no other
 * client. Requests of one content share one descriptor. What is kept is bounded: at most
 * FOLDER_FILES contents, and the one that was used longest ago makes room.
 */
#include "fetch.h"
#include <sys/stat.h>

enum { FOLDER_FILES = 256 };

struct folder_file {
    int fd;                /* -1: nobody uses it now */
    uint32_t users;
    bool is_taken;         /* the place holds a content */
    bool is_hashed;
    enum fetch_code error; /* not 0: the hash cannot be made */
    dev_t device;
    ino_t number;
    struct timespec changed;
    uint64_t used_turn;    /* to find the one that was used longest ago */
    uint64_t hashed_bytes;
    weir_hash hash;
    struct fetch_file facts;
};

struct folder {
    int root;
    uint64_t turn;
    uint32_t unhashed;  /* files in use that have no hash and no error yet */
    uint32_t hash_next; /* where the search for them goes on */
    struct folder_file files[FOLDER_FILES];
};

/* Returns whether the path is a folder; if not, errno says why. */
bool folder_open(struct folder *folder, const char *path);
/* Take a file into use. Returns 0 and *file, or why not. */
enum fetch_code folder_take(struct folder *folder, const char *name, struct folder_file **file);
void folder_release(struct folder *folder, struct folder_file *file);
/* Hash one piece of one file that is in use. Returns whether there is more to hash; *finished is
 * set to the file whose hash was completed or failed by this, or NULL. */
bool folder_hash(struct folder *folder, struct folder_file **finished);

#endif
