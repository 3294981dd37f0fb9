/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_LIST_H
#define WEIR_LUA_LIST_H
#include <stdbool.h>
#include <stddef.h>

/** Doubly linked lists inside the things they hold; a link that is in no list has next NULL. */
struct list {
    struct list *next, *prev;
};
static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}
static inline bool list_is_linked(const struct list *l)
{
    return l->next != NULL;
}
static inline void list_push(struct list *l, struct list *item)
{
    item->prev = l->prev;
    item->next = l;
    l->prev->next = item;
    l->prev = item;
}
static inline void list_remove(struct list *item)
{
    if (item->next == NULL) return;
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = NULL;
}
#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
#define list_first(l, type, member) (list_is_empty(l) ? NULL : list_entry((l)->next, type, member))
#endif
