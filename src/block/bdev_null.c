/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_null.c - `null:///name`: any size, no content.
 *
 * Writes are discarded, reads give zeroes. They could leave the caller's buffer as it is, which
 * would be faster and show one client what another one's I/O left there; zeroing 4 KiB costs some
 * 40 ns, and measurements over this device pay it too.
 *
 * Invariant: every I/O is complete when submit returns.
 */
#include "base/memory.h"
#include "block/bdev_uri_impl.h"

#include <errno.h>
#include <string.h>

static void null_submit(struct bdev_channel *channel, struct bdev_io *io)
{
	ASSERT(channel->inflight > 0);
	ASSERT(channel->driver == NULL);
	ASSERT(io->channel == channel);
	if (io->type == IO_READ) {
		for (uint32_t i = 0; i < io->iov_count; i++)
			memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
	}
	bdev_io_done(io, IO_OK);
}

static int null_channel_open(struct bdev_channel *channel)
{
	ASSERT(channel->driver == NULL);
	return 0;
}

static void null_channel_close(struct bdev_channel *channel)
{
	ASSERT(channel->driver == NULL);
	ASSERT(channel->inflight == 0);
}

static void null_destroy(struct bdev *bdev, struct op *parent)
{
	ASSERT(bdev->reference_count == 0);
	ASSERT(bdev->claimed_by[0] == '\0');
	ASSERT(list_is_empty(&bdev->registry_link));
	ASSERT(bdev_channel_count(bdev) == 0);
	memory_free(bdev);
	op_done(parent);
}

static const struct bdev_ops null_ops = {
	.product_name = "null disk",
	.channel_open = null_channel_open,
	.channel_close = null_channel_close,
	.submit = null_submit,
	.destroy = null_destroy,
};

static int null_resize(struct bdev_create *create, const struct bdev_uri_options *options)
{
	uint64_t block_count;
	int rc = bdev_uri_resize(create, options, &null_ops, &block_count);

	ASSERT(create->bdev != NULL);
	if (rc == 0 && block_count > create->bdev->block_count)
		bdev_grow(create->bdev, block_count);
	return rc;
}

static int null_make(struct bdev_create *create, const struct bdev_uri_options *options)
{
	struct bdev *bdev = memory_alloc(sizeof(*bdev));
	int rc;

	ASSERT(create->bdev == NULL);
	if (bdev == NULL)
		return bdev_uri_refuse(create->error, -ENOMEM,
				       "device '%.200s': out of memory; free some", create->name);
	rc = bdev_uri_geometry(create->name, options, bdev, create->error);
	if (rc < 0) {
		memory_free(bdev);
		return rc;
	}
	memcpy(bdev->name, create->name, sizeof(bdev->name));
	bdev->uuid = bdev_uri_uuid(create, options);
	bdev->ops = &null_ops;
	bdev->main = bdev_registry_main(create->registry);
	bdev->physical_block_bytes = bdev->block_bytes;
	bdev->memory_alignment = 1;
	bdev->can_unmap = true;
	bdev->can_write_zeroes = true;
	bdev->reads_zero_after_unmap = true;
	bdev->is_local = true;
	bdev_init(bdev);
	create->bdev = bdev;
	return 0;
}

static void null_create(struct bdev_create *create)
{
	bdev_uri_sized_create(create, null_make, null_resize);
}

static const char *const null_schemes[] = {"null", NULL};

int bdev_null_register(struct bdev_registry *registry)
{
	const struct bdev_driver driver = {
		.schemes = null_schemes,
		.name = bdev_uri_plain_name,
		.create = null_create,
		.handles_existing = true,
	};

	return bdev_driver_register(registry, &driver);
}
