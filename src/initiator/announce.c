/* SPDX-License-Identifier: Apache-2.0 */
/* announce.c - what was read about the namespace becomes a bdev, or changes one.
 *
 * Invariants:
 *  1. Identity and block size of an announced bdev never change: another namespace at the same
 *     address is refused, since it would be the wrong data under the right name.
 *  2. A bdev never shrinks: blocks that somebody may have written would be missing.
 */
#include "initiator/initiator_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *error_word(int error)
{
	switch (-error) {
	case ECONNREFUSED:
		return "connection refused; is the target running and the port right?";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "no route to it; check address and network";
	case ETIMEDOUT:
		return "no answer in time; check address, network and target";
	case ECONNRESET:
	case ECONNABORTED:
		return "it closed the connection; its log says why";
	case EACCES:
		return "it does not allow this host NQN; add it to the allowed hosts";
	case ENODEV:
		return "no such subsystem or namespace there; check the NQN";
	case EBUSY:
		return "it is busy; try again";
	case EKEYREJECTED:
		return "not supported: it asks for authentication; turn that off for this host";
	case EPROTO:
		return "it breaks the NVMe/TCP protocol";
	default:
		return "the connection failed";
	}
}

/* The first reason of an attempt is the one that is told. */
void controller_explain(struct initiator_controller *controller, int error, const char *format, ...)
{
	char reason[ERROR_TEXT_BYTES / 2] = "";
	char address[OS_ADDRESS_TEXT_BYTES];
	va_list arguments;

	ASSERT(error < 0);
	if (controller->error_text[0] != '\0')
		return;
	if (format != NULL) {
		va_start(arguments, format);
		(void)vsnprintf(reason, sizeof(reason), format, arguments);
		va_end(arguments);
	}
	os_address_format(&controller->addresses[controller->address_index], address);
	(void)snprintf(controller->error_text, sizeof(controller->error_text),
		       "device '%.200s': controller at %s: %s", controller->bdev.name, address,
		       format != NULL ? reason : error_word(error));
}

static bool uuid_is_of(const struct namespace_identity *identity, const struct uuid *uuid)
{
	return (identity->has_uuid && uuid_is_equal(&identity->uuid, uuid)) ||
	       (!uuid_is_nil(&identity->nguid) && uuid_is_equal(&identity->nguid, uuid));
}

static struct uuid uuid_choose(struct initiator_controller *controller)
{
	const struct namespace_identity *found = &controller->found;
	uint8_t random[16];

	if (found->has_uuid)
		return found->uuid;
	if (!uuid_is_nil(&found->nguid))
		return found->nguid;
	os_entropy_fill(reactor_os(controller->main), random, sizeof(random));
	return uuid_from_random(random);
}

static int announce_new(struct initiator_controller *controller)
{
	const struct controller_identity *identity = &controller->identity;
	const struct namespace_identity *found = &controller->found;
	struct bdev *bdev = &controller->bdev;
	char text[UUID_TEXT_BYTES];

	ASSERT(!controller->is_announced && controller->create != NULL);
	ASSERT(controller->queue_count == 0);
	if (controller->has_expected_uuid && !uuid_is_of(found, &controller->expected_uuid)) {
		uuid_format(found->has_uuid ? &found->uuid : &found->nguid, text);
		controller_explain(controller, -EINVAL,
				   "its namespace has uuid %s, another one than the URI says",
				   text);
		return -EINVAL;
	}
	bdev->uuid = uuid_choose(controller);
	bdev->ops = &initiator_bdev_ops;
	bdev->main = controller->main;
	bdev->home = NULL;
	bdev->block_bytes = found->block_bytes;
	bdev->physical_block_bytes = found->physical_block_bytes;
	bdev->block_count = found->block_count;
	bdev->memory_alignment = 1;
	bdev->can_unmap = (identity->oncs & NVME_ONCS_DATASET_MANAGEMENT) != 0;
	bdev->can_write_zeroes = (identity->oncs & NVME_ONCS_WRITE_ZEROES) != 0;
	bdev->waits_for_engines = true;
	bdev->can_compare = (identity->oncs & NVME_ONCS_COMPARE) != 0;
	bdev->reads_zero_after_unmap = found->reads_zero_after_unmap;
	bdev->has_volatile_cache = (identity->vwc & NVME_VWC_PRESENT) != 0;
	bdev->is_local = false;
	ASSERT(bdev->block_bytes >= BLOCK_BYTES_MIN && bdev->block_bytes <= BLOCK_BYTES_MAX);
	ASSERT(bdev->physical_block_bytes >= bdev->block_bytes);
	ASSERT(!uuid_is_nil(&bdev->uuid));
	bdev_init(bdev);
	ASSERT(bdev_channel_count(bdev) == 0 && !bdev_is_removed(bdev));
	controller->is_announced = true;
	return 0;
}

/* Is it the namespace that we announced? */
static int announced_check(struct initiator_controller *controller)
{
	const struct namespace_identity *found = &controller->found;
	const struct namespace_identity *serving = &controller->serving;

	ASSERT(controller->is_announced && controller->create == NULL);
	ASSERT(serving->is_active && serving->block_bytes == controller->bdev.block_bytes);
	if (found->has_uuid != serving->has_uuid ||
	    (found->has_uuid && !uuid_is_equal(&found->uuid, &serving->uuid)) ||
	    !uuid_is_equal(&found->nguid, &serving->nguid)) {
		controller_explain(controller, -ESTALE, "another namespace has taken its place");
		return -ESTALE;
	}
	if (found->block_bytes != serving->block_bytes) {
		controller_explain(controller, -ESTALE, "its block size has changed from %u to %u",
				   serving->block_bytes, found->block_bytes);
		return -ESTALE;
	}
	if (found->block_count < controller->bdev.block_count) {
		controller_explain(controller, -ESTALE, "its namespace has shrunk");
		return -ESTALE;
	}
	return 0;
}

int controller_announce(struct initiator_controller *controller)
{
	struct queue_shared *shared = &controller->shared;
	bool is_first = !controller->is_announced;
	int rc;

	ASSERT(controller->found.is_active);
	ASSERT(!bdev_is_removed(&controller->bdev) || is_first);
	ASSERT(!controller->is_destroying && !controller->is_failing);
	rc = is_first ? announce_new(controller) : announced_check(controller);
	if (rc < 0)
		return rc;
	controller->serving = controller->found;
	controller->bdev.cache_id = controller->found.cache_id;
	if (!controller->identity.has_ana)
		controller->found_ana_state = NVME_ANA_OPTIMIZED;
	if (atomic_exchange(&shared->ana_state, controller->found_ana_state) !=
	    (uint32_t)controller->found_ana_state)
		log_info(controller->options.log, "initiator %s: access state is now %d",
			 controller->bdev.name, (int)controller->found_ana_state);
	if (!is_first && controller->found.block_count > controller->bdev.block_count)
		bdev_grow(&controller->bdev, controller->found.block_count);
	ASSERT(controller->bdev.block_count == controller->serving.block_count);
	ASSERT(controller->bdev.block_bytes == controller->serving.block_bytes);
	return 0;
}
