/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIM_FILES_H
#define WEIR_SIM_FILES_H
#include "sim/world.h"

/* The files of a node in a world: names and bytes in memory, which stand for its disk and are
 * charged to no budget. They outlive the node's end and go with the world. Operations take no
 * virtual time, but what comes of one is an input of its own: each open file is a happening, one
 * piece at a time. */

enum {
    FILES_MAX = 1024,                /**< of one node; the disk is full then */
    FILE_BYTES_MAX = 1 << 30,
    FILE_PIECE_BYTES = 65536         /**< read or written at a time */
};

struct files;

/** Put a file there, in place of one with that name. @return 0; WEIR_E_ARGUMENT the name is empty
 *  or it is too long; WEIR_E_LIMIT; WEIR_E_MEMORY */
int files_put(struct world_node *n, const char *path, size_t path_len, const void *data,
              uint64_t len);
/** As struct node_driver's functions of these names. */
int files_open(struct world_node *n, uint32_t kind, uint32_t flags, const char *path, size_t len,
               uint64_t offset, uint64_t token);
void files_wants(struct world_node *n, uint64_t token);
void files_end(struct world_node *n, uint64_t token);
/** It is an open file's turn. */
void files_happen(struct happening *happening);
/** The node is gone: its open files leave the world. */
void files_leave(struct world_node *n);
/** The world goes. */
void files_free(struct world_node *n);
#endif
