/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_registry.h - all bdevs of one engine by name, and their creation from URIs.
 *
 * Drivers announce the URI schemes that they serve; the registry parses, checks duplicates, lets
 * the driver open the device, and lists it. Main reactor only.
 *
 * Two ways to hold a bdev:
 *  - Most URIs make a new bdev. Whoever created it destroys it.
 *  - `bdev:///name` and `loopback:///name` mean a bdev that somebody else made. Creating such a URI
 *    gives back that very bdev with create->is_reference set, and holds a reference on it. The
 *    reference is given back by bdev_destroy_submit() with destroy->is_reference set, which
 *    leaves the bdev alone. As long as references are held the bdev itself cannot be destroyed
 *    (-EBUSY), so that forgetting the flag destroys nothing.
 * A caller that has no place to remember a reference (a management command that names an alias)
 * gives it back at once.
 */
#ifndef BLOCK_BDEV_REGISTRY_H
#define BLOCK_BDEV_REGISTRY_H

#include "base/uri.h"
#include "block/bdev.h"

struct bdev_registry;
struct bdev_create;

struct bdev_driver {
	const char *const *schemes; /* NULL-terminated; "" is the bare path */
	/** Name of the bdev that @uri means. Return: 0 or -EINVAL with @ret_error. */
	int (*name)(const struct uri *uri, char ret_name[NAME_BYTES_MAX],
		    char ret_error[ERROR_TEXT_BYTES]);
	/**
	 * Starts to open it: sets create->bdev or create->result and create->error, then
	 * op_done(create->parent). May finish before it returns.
	 */
	void (*create)(struct bdev_create *create);
	struct list_node link; /* private */
	void *user;	       /* the driver's own context */
	/**
	 * create() is also called when the name is taken, with create->bdev set to the one that
	 * exists; leaving it there with result 0 means that one. Otherwise the answer is -EEXIST.
	 */
	bool handles_existing;
	/** Frees the driver with its registry. NULL: nothing to free. */
	void (*release)(struct bdev_driver *driver);
};

struct bdev_create {
	struct op *parent; /* gets one op_done() */
	struct bdev_registry *registry;
	char uri_text[URI_TEXT_BYTES_SHOWN];
	int result;		      /* 0; -EINVAL, -ENOENT, -ENODEV, -EEXIST, ... */
	char error[ERROR_TEXT_BYTES]; /* one sentence: object, reason, way out */
	struct bdev *bdev;	      /* when result is 0; also for -EEXIST: the one that exists */
	bool is_reference;	      /* @bdev is somebody else's, a reference to it is held */
	/* for drivers */
	struct uri uri;
	char name[NAME_BYTES_MAX];
	struct bdev_driver *driver;
	void *driver_state;
	/* private */
	struct op op;
	struct op *caller;
	int step;
	struct list_node link;
	struct bdev *unlisted; /* made, but could not be listed: goes away again */
};

struct bdev_destroy {
	struct op *parent; /* gets one op_done() */
	struct bdev *bdev;
	bool is_reference; /* gives a reference back; @bdev stays */
	int result;	   /* 0; -EBUSY while claimed, referred to or channels are open; -ENOTSUP */
	char error[ERROR_TEXT_BYTES];
};

int bdev_registry_create(struct reactor *main, struct bdev_registry **ret_registry)
	__attribute__((warn_unused_result));
/** All bdevs must be gone. NULL is allowed. */
void bdev_registry_destroy(struct bdev_registry *registry);

struct reactor *bdev_registry_main(struct bdev_registry *registry);

void bdev_registry_add_driver(struct bdev_registry *registry, struct bdev_driver *driver);

/** Lists a bdev that its provider made without a URI (after bdev_init()). Return: 0 or -EEXIST
 * (name or uuid). */
int bdev_registry_add(struct bdev_registry *registry, struct bdev *bdev)
	__attribute__((warn_unused_result));
/** Takes it off the list. Its provider frees it after bdev_wait_unused(). */
void bdev_registry_remove(struct bdev_registry *registry, struct bdev *bdev);

/** @create->parent waits (op_wait) before. Fill registry, uri_text, parent. */
void bdev_create_submit(struct bdev_create *create);
/** Removes it from the list, then destroys it. */
void bdev_destroy_submit(struct bdev_registry *registry, struct bdev_destroy *destroy);

/** The name that @uri_text would get. Return: 0 or -EINVAL with @ret_error. */
int bdev_registry_name(struct bdev_registry *registry, const char *uri_text,
		       char ret_name[NAME_BYTES_MAX], char ret_error[ERROR_TEXT_BYTES])
	__attribute__((warn_unused_result));

/** NULL when there is none. */
struct bdev *bdev_find(struct bdev_registry *registry, const char *name);
struct bdev *bdev_find_by_uuid(struct bdev_registry *registry, const struct uuid *uuid);
/** @previous NULL to begin; NULL at the end. */
struct bdev *bdev_next(struct bdev_registry *registry, struct bdev *previous);

/* Drivers of this folder; each adds itself to @registry. Freed with the registry. */
int bdev_memory_register(struct bdev_registry *registry) __attribute__((warn_unused_result));
int bdev_null_register(struct bdev_registry *registry) __attribute__((warn_unused_result));
/** aio, uring, and bare paths: files and block devices. */
int bdev_uring_register(struct bdev_registry *registry) __attribute__((warn_unused_result));
/** bdev:///name and loopback:///name: refer to a bdev that exists. */
int bdev_loopback_register(struct bdev_registry *registry) __attribute__((warn_unused_result));
/** pcie:///: answers that it is not supported and what to use instead. */
int bdev_pcie_register(struct bdev_registry *registry) __attribute__((warn_unused_result));

#endif
