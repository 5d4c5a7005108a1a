/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_uri_impl.h - what the URIs of this folder's drivers have in common. Private to block/.
 *
 * Every refusal is one sentence in @ret_error that names the object, the rule and the way out.
 */
#ifndef BLOCK_BDEV_URI_IMPL_H
#define BLOCK_BDEV_URI_IMPL_H

#include "block/bdev_registry.h"

enum bdev_uri_parameter {
	BDEV_URI_UUID = 1 << 0,	      /* uuid=<uuid> */
	BDEV_URI_BLK_SIZE = 1 << 1,   /* blk_size=512|4096 */
	BDEV_URI_SIZE_MB = 1 << 2,    /* size_mb=<number>, in MiB */
	BDEV_URI_NUM_BLOCKS = 1 << 3, /* num_blocks=<number> */
	BDEV_URI_RESIZE = 1 << 4,     /* resize, or resize=true|false */
	BDEV_URI_RESCAN = 1 << 5,     /* rescan, or rescan=true|false */
	BDEV_URI_LOWER = 1 << 6,      /* lower=<bdev name> */
};

struct bdev_uri_options {
	uint32_t given; /* of enum bdev_uri_parameter */
	struct uuid uuid;
	uint32_t block_bytes;
	uint64_t size_mb;
	uint64_t num_blocks;
	bool is_resize;
	bool is_rescan;
	const char *lower;
};

/** Writes the sentence. Return: @error, so that refusing is one statement. */
int bdev_uri_refuse(char ret_error[ERROR_TEXT_BYTES], int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * bdev_uri_options - read all parameters of @uri
 * @allowed: of enum bdev_uri_parameter; others are refused, repeated ones too.
 * Return: 0 or -EINVAL.
 */
int bdev_uri_options(const struct uri *uri, uint32_t allowed, struct bdev_uri_options *ret_options,
		     char ret_error[ERROR_TEXT_BYTES]) __attribute__((warn_unused_result));

/**
 * bdev_uri_geometry - blocks from size_mb or num_blocks, and blk_size (512 when not given)
 * Return: 0 or -EINVAL: both or none given, zero, or beyond 2^63 bytes.
 */
int bdev_uri_geometry(const char *name, const struct bdev_uri_options *options,
		      struct bdev *ret_bdev, char ret_error[ERROR_TEXT_BYTES])
	__attribute__((warn_unused_result));

/**
 * bdev_uri_resize - what a URI with `resize` asks of create->bdev, which exists
 * @ops: of the driver asked; a bdev of another driver is in the way (-EEXIST).
 * Return: 0 with the new number of blocks, at least the present one; -EEXIST, -EINVAL.
 */
int bdev_uri_resize(struct bdev_create *create, const struct bdev_uri_options *options,
		    const struct bdev_ops *ops, uint64_t *ret_block_count)
	__attribute__((warn_unused_result));

/**
 * bdev_uri_sized_create - the create() of drivers whose URIs give a size
 * @make, @resize: for a name that is free or taken; return 0 with create->bdev set, or -errno.
 */
void bdev_uri_sized_create(struct bdev_create *create,
			   int (*make)(struct bdev_create *, const struct bdev_uri_options *),
			   int (*resize)(struct bdev_create *, const struct bdev_uri_options *));

/** The path as a name, with its leading slash. Return: 0 or -EINVAL. */
int bdev_uri_path_name(const struct uri *uri, char ret_name[NAME_BYTES_MAX],
		       char ret_error[ERROR_TEXT_BYTES]);
/** The same without the slash: of `malloc:///name` it is "name". */
int bdev_uri_plain_name(const struct uri *uri, char ret_name[NAME_BYTES_MAX],
			char ret_error[ERROR_TEXT_BYTES]);

/** The uuid that was given, or a random one. */
struct uuid bdev_uri_uuid(const struct bdev_create *create, const struct bdev_uri_options *options);

/** Makes a driver from @template and adds it to @registry. Return: 0 or -ENOMEM. */
int bdev_driver_register(struct bdev_registry *registry, const struct bdev_driver *template)
	__attribute__((warn_unused_result));

#endif
