/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - intrusive doubly linked lists; a node is in one list at a time.
 *
 * A node that is in no list points to itself, so membership can be asked and asserted.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct list_node {
	struct list_node *next;
	struct list_node *previous;
};

/* Makes an empty list head, or a node that is in no list. */
static inline void list_init(struct list_node *node)
{
	node->next = node;
	node->previous = node;
}

/* For a head: has no members. For a node: is in no list. */
static inline bool list_is_empty(const struct list_node *node)
{
	return node->next == node;
}

static inline void list_insert_between(struct list_node *node, struct list_node *previous,
				       struct list_node *next)
{
	ASSERT(list_is_empty(node));
	node->previous = previous;
	node->next = next;
	previous->next = node;
	next->previous = node;
}

static inline void list_push_back(struct list_node *head, struct list_node *node)
{
	list_insert_between(node, head->previous, head);
}

static inline void list_push_front(struct list_node *head, struct list_node *node)
{
	list_insert_between(node, head, head->next);
}

/* Safe on a node that is in no list. */
static inline void list_remove(struct list_node *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

/* First node, NULL when empty. */
static inline struct list_node *list_first(const struct list_node *head)
{
	return list_is_empty(head) ? NULL : head->next;
}

static inline struct list_node *list_pop_front(struct list_node *head)
{
	struct list_node *node = list_first(head);

	if (node != NULL)
		list_remove(node);
	return node;
}

/* Moves all members of @from to the end of @to. */
static inline void list_splice_back(struct list_node *to, struct list_node *from)
{
	if (list_is_empty(from))
		return;
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The body may remove @entry, but no other member. */
#define list_for_each(node, head)                                                              \
	for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head); \
	     node = node##_next, node##_next = node->next)

#endif
