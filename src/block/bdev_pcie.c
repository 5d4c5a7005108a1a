/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_pcie.c - `pcie:///<address>`: refused, with what to use instead.
 *
 * A user-space NVMe driver would take the whole device, huge pages and a core of its own. The
 * kernel's driver under io_uring serves the same disk without.
 *
 * Invariant: never makes a bdev.
 */
#include "block/bdev_uri_impl.h"

#include <errno.h>

static void pcie_create(struct bdev_create *create)
{
	ASSERT(create->result == 0);
	ASSERT(create->bdev == NULL);
	create->result = bdev_uri_refuse(create->error, -ENOTSUP,
					 "not supported: device 'pcie:///%.200s' by PCI address; "
					 "bind it to the kernel's nvme "
					 "driver and use aio:///dev/nvmeXn1",
					 create->name);
	ASSERT(create->result == -ENOTSUP);
	ASSERT(create->error[0] != '\0');
	op_done(create->parent);
}

static const char *const pcie_schemes[] = {"pcie", NULL};

int bdev_pcie_register(struct bdev_registry *registry)
{
	const struct bdev_driver driver = {
		.schemes = pcie_schemes,
		.name = bdev_uri_plain_name,
		.create = pcie_create,
	};

	return bdev_driver_register(registry, &driver);
}
