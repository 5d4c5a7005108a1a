/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_registry.c - the list of bdevs, and creating and destroying them by URI.
 *
 * Invariants:
 *  1. Names and uuids in the list are unique.
 *  2. A name is being created by one operation at a time; the second one is refused (-EBUSY), so
 *     that no device is opened twice.
 *  3. What a driver made is either listed or destroyed again before the caller hears about it.
 */
#include "block/bdev_registry.h"

#include "base/memory.h"
#include "block/bdev_uri_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct bdev_registry {
	struct reactor *main;
	struct list_node bdevs;
	struct list_node drivers;
	struct list_node creating; /* struct bdev_create, between submit and answer */
};

enum create_step {
	CREATE_PARSE, /* which driver and which name? */
	CREATE_CHECK, /* is the name free? */
	CREATE_OPEN,  /* the driver's work */
	CREATE_LIST,  /* the result becomes visible */
	CREATE_UNDO,  /* or, when it cannot be listed, goes away */
	CREATE_REPLY,
};

static struct bdev_driver *driver_find(struct bdev_registry *registry, const char *scheme)
{
	list_for_each (node, &registry->drivers) {
		struct bdev_driver *driver = list_entry(node, struct bdev_driver, link);

		ASSERT(driver->create != NULL);
		for (const char *const *known = driver->schemes; *known != NULL; known++) {
			if (strcmp(*known, scheme) == 0)
				return driver;
		}
	}
	return NULL;
}

static int scheme_refuse(struct bdev_registry *registry, const struct uri *uri,
			 char ret_error[ERROR_TEXT_BYTES])
{
	size_t used = 0;
	int rc = bdev_uri_refuse(ret_error, -EINVAL,
				 "device '%.200s': scheme '%.32s' is not known; use", uri->path,
				 uri->scheme);

	used = strlen(ret_error);
	ASSERT(used < ERROR_TEXT_BYTES);
	list_for_each (node, &registry->drivers) {
		const struct bdev_driver *driver = list_entry(node, struct bdev_driver, link);

		for (const char *const *known = driver->schemes; *known != NULL; known++) {
			int more = snprintf(ret_error + used, ERROR_TEXT_BYTES - used, " %s",
					    (*known)[0] == '\0' ? "a path," : *known);

			if (more < 0 || (size_t)more >= ERROR_TEXT_BYTES - used)
				return rc;
			used += (size_t)more;
		}
	}
	return rc;
}

/* Pure but for the list of drivers: the driver and the name that @uri_text means. */
static int uri_resolve(struct bdev_registry *registry, const char *uri_text, struct uri *ret_uri,
		       char ret_name[NAME_BYTES_MAX], char ret_error[ERROR_TEXT_BYTES])
{
	const struct bdev_driver *driver;
	int rc;

	if (strnlen(uri_text, URI_TEXT_BYTES_SHOWN) == URI_TEXT_BYTES_SHOWN)
		return bdev_uri_refuse(ret_error, -EINVAL,
				       "device URI is longer than %d bytes; use a shorter one",
				       URI_TEXT_BYTES_SHOWN - 1);
	rc = uri_parse(uri_text, ret_uri, ret_error, ERROR_TEXT_BYTES);
	if (rc < 0)
		return rc;
	driver = driver_find(registry, ret_uri->scheme);
	if (driver == NULL)
		return scheme_refuse(registry, ret_uri, ret_error);
	ASSERT(driver->name != NULL);
	ASSERT(driver->create != NULL);
	return driver->name(ret_uri, ret_name, ret_error);
}

static bool name_is_being_created(struct bdev_registry *registry, const char *name)
{
	ASSERT(name[0] != '\0');
	list_for_each (node, &registry->creating) {
		if (strcmp(list_entry(node, struct bdev_create, link)->name, name) == 0)
			return true;
	}
	return false;
}

static enum create_step create_parse(struct bdev_create *create)
{
	ASSERT(list_is_empty(&create->link));
	ASSERT(create->driver == NULL);
	ASSERT(create->result == 0);
	ASSERT(create->bdev == NULL);

	create->result = uri_resolve(create->registry, create->uri_text, &create->uri, create->name,
				     create->error);
	if (create->result < 0)
		return CREATE_REPLY;
	create->driver = driver_find(create->registry, create->uri.scheme);
	ASSERT(create->driver != NULL);
	ASSERT(strnlen(create->name, NAME_BYTES_MAX) < NAME_BYTES_MAX);
	return CREATE_CHECK;
}

static enum create_step create_check(struct bdev_create *create)
{
	struct bdev_registry *registry = create->registry;

	ASSERT(create->result == 0);
	ASSERT(create->bdev == NULL);
	ASSERT(create->driver != NULL);
	ASSERT(list_is_empty(&create->link));
	if (name_is_being_created(registry, create->name)) {
		create->result = bdev_uri_refuse(
			create->error, -EBUSY,
			"device '%.300s' is being created by another request; try again",
			create->name);
		return CREATE_REPLY;
	}
	create->bdev = bdev_find(registry, create->name);
	if (create->bdev != NULL && !create->driver->handles_existing) {
		create->result = bdev_uri_refuse(
			create->error, -EEXIST,
			"device '%.300s' exists; use it or choose another name", create->name);
		return CREATE_REPLY;
	}
	list_push_back(&registry->creating, &create->link);
	return CREATE_OPEN;
}

static enum op_flow create_open(struct bdev_create *create)
{
	ASSERT(!list_is_empty(&create->link));
	ASSERT(create->bdev == NULL || create->driver->handles_existing);
	ASSERT(op_is_idle(&create->op));
	ASSERT(create->parent == &create->op);
	ASSERT(create->result == 0);
	op_wait(&create->op);
	create->driver->create(create);
	return op_join(&create->op);
}

static enum create_step create_list(struct bdev_create *create)
{
	struct bdev *bdev = create->bdev;

	ASSERT(op_is_idle(&create->op));
	ASSERT(create->unlisted == NULL);
	ASSERT(!list_is_empty(&create->link));
	ASSERT(create->result <= 0);
	if (create->result < 0) {
		ASSERT(create->error[0] != '\0');
		return CREATE_REPLY;
	}
	ASSERT(bdev != NULL);
	ASSERT(bdev->main == create->registry->main);
	ASSERT(!create->is_reference || bdev->reference_count > 0);
	if (!list_is_empty(&bdev->registry_link))
		return CREATE_REPLY; /* one that existed before */
	memcpy(bdev->uri, create->uri_text, sizeof(bdev->uri));
	create->result = bdev_registry_add(create->registry, bdev);
	if (create->result == 0)
		return CREATE_REPLY;
	create->unlisted = bdev;
	create->bdev = bdev_find(create->registry, bdev->name);
	if (create->bdev == NULL)
		create->bdev = bdev_find_by_uuid(create->registry, &bdev->uuid);
	ASSERT(create->bdev != NULL);
	bdev_uri_refuse(
		create->error, create->result,
		"device '%.150s': its name or uuid belongs to device '%.150s'; choose another",
		create->name, create->bdev->name);
	return CREATE_UNDO;
}

static enum op_flow create_undo(struct bdev_create *create)
{
	ASSERT(list_is_empty(&create->unlisted->registry_link));
	ASSERT(create->unlisted != create->bdev);
	ASSERT(bdev_channel_count(create->unlisted) == 0);
	ASSERT(create->result < 0);
	ASSERT(create->unlisted != NULL);

	op_wait(&create->op);
	create->unlisted->ops->destroy(create->unlisted, &create->op);
	return op_join(&create->op);
}

static void create_reply(struct bdev_create *create)
{
	ASSERT(create->result < 0 || create->bdev != NULL);
	ASSERT(!create->is_reference || create->result == 0);

	list_remove(&create->link);
	if (create->result < 0 && create->result != -EEXIST)
		create->bdev = NULL;
	create->parent = create->caller;
	op_done(create->caller);
}

static void create_run(struct op *op)
{
	struct bdev_create *create = container_of(op, struct bdev_create, op);

	for (;;) {
		switch ((enum create_step)create->step) {
		case CREATE_PARSE:
			create->step = create_parse(create);
			break;
		case CREATE_CHECK:
			create->step = create_check(create);
			break;
		case CREATE_OPEN:
			create->step = CREATE_LIST;
			if (create_open(create) == OP_WAIT)
				return;
			break;
		case CREATE_LIST:
			create->step = create_list(create);
			break;
		case CREATE_UNDO:
			create->step = CREATE_REPLY;
			if (create_undo(create) == OP_WAIT)
				return;
			break;
		case CREATE_REPLY:
			create_reply(create);
			return;
		}
	}
}

void bdev_create_submit(struct bdev_create *create)
{
	ASSERT(create->parent == NULL || create->parent->pending > 0);
	ASSERT(create->parent != &create->op);
	ASSERT(create->registry != NULL);

	create->result = 0;
	create->error[0] = '\0';
	create->bdev = NULL;
	create->is_reference = false;
	create->driver = NULL;
	create->driver_state = NULL;
	create->unlisted = NULL;
	list_init(&create->link);
	create->step = CREATE_PARSE;
	op_init(&create->op, reactor_ready(create->registry->main), create_run);
	create->caller = create->parent;
	create->parent = &create->op;
	op_start(&create->op);
}

/* Return: 0, or -EBUSY and -ENOTSUP with what to do first. */
static int destroy_judge(const struct bdev *bdev, char ret_error[ERROR_TEXT_BYTES])
{
	if (bdev->claimed_by[0] != '\0')
		return bdev_uri_refuse(ret_error, -EBUSY,
				       "device '%.200s' is claimed by '%.200s'; stop that first",
				       bdev->name, bdev->claimed_by);
	if (bdev->reference_count > 0)
		return bdev_uri_refuse(ret_error, -EBUSY,
				       "device '%.200s' has %u users that refer to it; remove them "
				       "first",
				       bdev->name, bdev->reference_count);
	if (bdev_channel_count(bdev) > 0)
		return bdev_uri_refuse(ret_error, -EBUSY,
				       "device '%.200s' is open; stop its users first", bdev->name);
	if (bdev->ops->destroy == NULL)
		return bdev_uri_refuse(ret_error, -ENOTSUP,
				       "not supported: device '%.200s' (%s) goes away with what "
				       "provides it; destroy that",
				       bdev->name, bdev->ops->product_name);
	return 0;
}

void bdev_destroy_submit(struct bdev_registry *registry, struct bdev_destroy *destroy)
{
	struct bdev *bdev = destroy->bdev;

	ASSERT(destroy->parent == NULL || destroy->parent->pending > 0);
	ASSERT(bdev != NULL);
	ASSERT(bdev->main == registry->main);
	destroy->result = 0;
	destroy->error[0] = '\0';
	if (destroy->is_reference) {
		bdev_unref(bdev);
		op_done(destroy->parent);
		return;
	}
	destroy->result = destroy_judge(bdev, destroy->error);
	if (destroy->result < 0) {
		op_done(destroy->parent);
		return;
	}
	ASSERT(bdev->reference_count == 0);
	ASSERT(bdev_channel_count(bdev) == 0);
	bdev_registry_remove(registry, bdev);
	bdev_notify(bdev, BDEV_REMOVED);
	/* Whoever still listens hears nothing any more, and may stop listening at any time. */
	while (list_pop_front(&bdev->listeners) != NULL)
		;
	ASSERT(bdev_is_removed(bdev));
	bdev->ops->destroy(bdev, destroy->parent);
}

/* The list. */

int bdev_registry_create(struct reactor *main, struct bdev_registry **ret_registry)
{
	struct bdev_registry *registry = memory_alloc(sizeof(*registry));

	ASSERT(main != NULL);
	if (registry == NULL)
		return -ENOMEM;
	registry->main = main;
	list_init(&registry->bdevs);
	list_init(&registry->drivers);
	list_init(&registry->creating);
	*ret_registry = registry;
	return 0;
}

void bdev_registry_destroy(struct bdev_registry *registry)
{
	struct list_node *node;

	if (registry == NULL)
		return;
	ASSERT(list_is_empty(&registry->bdevs));
	ASSERT(list_is_empty(&registry->creating));
	while ((node = list_pop_front(&registry->drivers)) != NULL) {
		struct bdev_driver *driver = list_entry(node, struct bdev_driver, link);

		if (driver->release != NULL)
			driver->release(driver);
	}
	memory_free(registry);
}

struct reactor *bdev_registry_main(struct bdev_registry *registry)
{
	return registry->main;
}

void bdev_registry_add_driver(struct bdev_registry *registry, struct bdev_driver *driver)
{
	ASSERT(driver->schemes != NULL);
	ASSERT(driver->name != NULL);
	ASSERT(driver->create != NULL);
	for (const char *const *scheme = driver->schemes; *scheme != NULL; scheme++)
		ASSERT(driver_find(registry, *scheme) == NULL);
	list_init(&driver->link);
	list_push_back(&registry->drivers, &driver->link);
}

int bdev_registry_add(struct bdev_registry *registry, struct bdev *bdev)
{
	ASSERT(bdev->main == registry->main);
	ASSERT(bdev->block_count > 0);
	ASSERT(list_is_empty(&bdev->registry_link));
	ASSERT(bdev->name[0] != '\0');

	if (bdev_find(registry, bdev->name) != NULL ||
	    bdev_find_by_uuid(registry, &bdev->uuid) != NULL)
		return -EEXIST;
	list_push_back(&registry->bdevs, &bdev->registry_link);
	return 0;
}

void bdev_registry_remove(struct bdev_registry *registry, struct bdev *bdev)
{
	ASSERT(bdev->main == registry->main);
	ASSERT_SLOW(bdev_find(registry, bdev->name) == bdev);
	ASSERT(!list_is_empty(&registry->bdevs));
	ASSERT(!list_is_empty(&bdev->registry_link));
	list_remove(&bdev->registry_link);
}

int bdev_registry_name(struct bdev_registry *registry, const char *uri_text,
		       char ret_name[NAME_BYTES_MAX], char ret_error[ERROR_TEXT_BYTES])
{
	struct uri uri;

	return uri_resolve(registry, uri_text, &uri, ret_name, ret_error);
}

struct bdev *bdev_find(struct bdev_registry *registry, const char *name)
{
	ASSERT(name != NULL);
	list_for_each (node, &registry->bdevs) {
		struct bdev *bdev = list_entry(node, struct bdev, registry_link);

		ASSERT(bdev->main == registry->main);
		if (strcmp(bdev->name, name) == 0)
			return bdev;
	}
	return NULL;
}

struct bdev *bdev_find_by_uuid(struct bdev_registry *registry, const struct uuid *uuid)
{
	list_for_each (node, &registry->bdevs) {
		struct bdev *bdev = list_entry(node, struct bdev, registry_link);

		ASSERT(bdev->main == registry->main);
		if (uuid_is_equal(&bdev->uuid, uuid))
			return bdev;
	}
	return NULL;
}

struct bdev *bdev_next(struct bdev_registry *registry, struct bdev *previous)
{
	struct list_node *node = registry->bdevs.next;

	ASSERT(previous == NULL || previous->main == registry->main);
	if (previous != NULL) {
		ASSERT(!list_is_empty(&previous->registry_link));
		node = previous->registry_link.next;
	}
	return node == &registry->bdevs ? NULL : list_entry(node, struct bdev, registry_link);
}
