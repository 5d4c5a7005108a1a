/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_loopback.c - `bdev:///name` and `loopback:///name`: a bdev that exists already.
 *
 * Gives back that very bdev and holds a reference on it; bdev_registry.h tells how the reference
 * is given back, and that destroying an alias never destroys the bdev.
 *
 * Invariant: result 0 holds exactly one reference more than before.
 */
#include "block/bdev_uri_impl.h"

#include <errno.h>

static int loopback_judge(struct bdev_create *create)
{
	struct bdev_uri_options options;
	int rc;

	ASSERT(create->result == 0);
	ASSERT(create->bdev == NULL || !list_is_empty(&create->bdev->registry_link));
	rc = bdev_uri_options(&create->uri, BDEV_URI_UUID, &options, create->error);
	if (rc < 0)
		return rc;
	if (create->bdev == NULL)
		return bdev_uri_refuse(create->error, -ENOENT,
				       "device '%.300s' does not exist; create it first",
				       create->name);
	if ((options.given & BDEV_URI_UUID) != 0 &&
	    !uuid_is_equal(&options.uuid, &create->bdev->uuid)) {
		char uuid_text[UUID_TEXT_BYTES];

		uuid_format(&create->bdev->uuid, uuid_text);
		return bdev_uri_refuse(
			create->error, -EINVAL,
			"device '%.300s' has uuid %s, not the one asked for; correct "
			"or omit uuid=",
			create->name, uuid_text);
	}
	if (bdev_is_removed(create->bdev))
		return bdev_uri_refuse(create->error, -ENODEV,
				       "device '%.300s' is lost; destroy it and create it anew",
				       create->name);
	return 0;
}

static void loopback_create(struct bdev_create *create)
{
	create->result = loopback_judge(create);
	if (create->result == 0) {
		ASSERT(!create->is_reference);
		bdev_ref(create->bdev);
		ASSERT(create->bdev->reference_count > 0);
		ASSERT(create->bdev->main == bdev_registry_main(create->registry));
		ASSERT(!bdev_is_removed(create->bdev));
		create->is_reference = true;
	}
	op_done(create->parent);
}

static const char *const loopback_schemes[] = {"bdev", "loopback", NULL};

int bdev_loopback_register(struct bdev_registry *registry)
{
	const struct bdev_driver driver = {
		.schemes = loopback_schemes,
		.name = bdev_uri_plain_name,
		.create = loopback_create,
		.handles_existing = true,
	};

	return bdev_driver_register(registry, &driver);
}
