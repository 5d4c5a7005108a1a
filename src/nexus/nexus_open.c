/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_open.c - opens and closes the devices of children for the requests that need it. Main.
 *
 * Invariants:
 *  1. child->bdev is set exactly while the nexus has to give that bdev back.
 *  2. A child's device fits: same block size, large enough, and able to do what the nexus promised
 *     to its hosts when it was created.
 *  3. A volume is never smaller than the record says that its hosts have seen it.
 */
#include "nexus/nexus_impl.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool kind_is_create(const struct nexus_request *request)
{
	ASSERT(request->work.kind < REQUEST_KIND_COUNT);
	return request->work.kind == REQUEST_CREATE;
}

/* Is there a device already that @uri means? */
static bool open_exists(const struct nexus *nexus, const char *uri)
{
	struct bdev_registry *registry = nexus->set->options.registry;
	char name[NAME_BYTES_MAX];
	char error[ERROR_TEXT_BYTES];

	ASSERT(uri[0] != '\0');
	return bdev_registry_name(registry, uri, name, error) == 0 &&
	       bdev_find(registry, name) != NULL;
}

enum op_flow nexus_open_start(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct turn *turn = &nexus->turn;

	ASSERT(nexus->is_running);
	ASSERT(op_is_idle(&request->work.op));
	ASSERT(request->result == NEXUS_DONE);
	turn->opening_count = 0;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		bool is_meant = kind_is_create(request) ? nexus->children[slot].is_used
							: slot == request->work.slot;

		if (is_meant)
			turn->opening_slots[turn->opening_count++] = slot;
	}
	ASSERT(turn->opening_count > 0);
	ASSERT(turn->openings == NULL);
	ASSERT(turn->opening_count <= NEXUS_CHILDREN_MAX);
	turn->openings = memory_alloc_array(turn->opening_count, sizeof(turn->openings[0]));
	if (turn->openings == NULL) {
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL,
				   "nexus %s: no memory; free some and try again", nexus->name);
		return OP_NEXT;
	}
	for (uint32_t i = 0; i < turn->opening_count; i++) {
		struct bdev_create *create = &turn->openings[i].create;

		turn->openings[i].is_existing =
			open_exists(nexus, nexus->children[turn->opening_slots[i]].uri);
		create->parent = &request->work.op;
		create->registry = nexus->set->options.registry;
		memcpy(create->uri_text, nexus->children[turn->opening_slots[i]].uri,
		       sizeof(create->uri_text));
		op_wait(&request->work.op);
		bdev_create_submit(create);
	}
	return op_join(&request->work.op);
}

/* Takes what was opened, so that it is given back whatever comes. */
static void open_take(struct nexus_child *child, const struct opening *opening)
{
	const struct bdev_create *create = &opening->create;

	ASSERT(child->is_used);
	ASSERT(!child->is_claimed);
	ASSERT(child->channel == NULL);
	ASSERT(child->bdev == NULL);
	if (create->result != 0)
		return;
	child->bdev = create->bdev;
	child->is_reference = create->is_reference;
	if (opening->is_existing && !create->is_reference) {
		bdev_ref(child->bdev); /* somebody else made it, and shall destroy it */
		child->is_reference = true;
	}
	child->is_claimed = false;
	list_init(&child->listener.link);
}

static bool child_can_do(const struct nexus *nexus, const struct bdev *bdev)
{
	bool can_unmap =
		(bdev->can_unmap && bdev->reads_zero_after_unmap) || bdev->can_write_zeroes;

	ASSERT(nexus->is_listed);
	return (!nexus->bdev.can_unmap || can_unmap) &&
	       (!nexus->bdev.can_write_zeroes || bdev->can_write_zeroes) &&
	       bdev->memory_alignment <= nexus->bdev.memory_alignment;
}

/* Refuses a device that has no room for @block_count blocks of the volume. */
static void open_check_size(struct nexus_request *request, const struct nexus_child *child,
			    uint64_t block_count)
{
	const struct nexus *nexus = request->work.nexus;
	uint64_t reserved = nexus_layout_reserved_blocks(nexus->block_bytes);
	uint64_t has = child->bdev->block_count;

	ASSERT(child->is_used);
	ASSERT(child->bdev->block_bytes == nexus->block_bytes);
	if (has > reserved && has - reserved >= block_count)
		return;
	REACHED("child_is_too_small");
	nexus_request_fail(request, NEXUS_ERROR_INVALID,
			   "child %s of nexus %s is too small: its device %s has %" PRIu64
			   " blocks of %u bytes, %" PRIu64 " are needed: enlarge it, or use "
			   "another device",
			   child->uri, nexus->name, child->bdev->name, has, nexus->block_bytes,
			   block_count + reserved);
}

/* Of a child that joins a nexus which serves. */
static void open_check_fits(struct nexus_request *request, const struct nexus_child *child)
{
	struct nexus *nexus = request->work.nexus;
	const struct bdev *bdev = child->bdev;

	ASSERT(!kind_is_create(request));
	ASSERT(nexus->block_count > 0);
	if (bdev->block_bytes != nexus->block_bytes)
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "child %s has blocks of %u bytes, nexus %s of %u: use a device "
				   "with the same block size",
				   child->uri, bdev->block_bytes, nexus->name, nexus->block_bytes);
	else if (!child_can_do(nexus, bdev))
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "child %s cannot zero or unmap blocks, or needs other memory, "
				   "as nexus %s has promised to its hosts: use another device",
				   child->uri, nexus->name);
	else
		open_check_size(request, child, nexus->block_count);
}

static void open_check_child(struct nexus_request *request, struct nexus_child *child)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(child->is_used);
	ASSERT(child->bdev != NULL);
	ASSERT(!child->is_claimed);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *other = nexus_child_at(nexus, slot);

		if (other == child || other->bdev != child->bdev)
			continue;
		nexus_request_fail(request,
				   kind_is_create(request) ? NEXUS_ERROR_INVALID
							   : NEXUS_ERROR_ALREADY_EXISTS,
				   "%s is the device of another child of nexus %s already: name "
				   "each device once",
				   child->uri, nexus->name);
		return;
	}
	if (bdev_claim(child->bdev, nexus->name) < 0) {
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "child %s is in use by %s: free it there, or use another device",
				   child->uri, child->bdev->claimed_by);
		return;
	}
	child->is_claimed = true;
	child->was_interrupted = false;
	child->listener.event = nexus_child_event;
	bdev_listen(child->bdev, &child->listener);
	if (uuid_is_nil(&child->uuid))
		child->uuid = child->bdev->uuid;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *other = nexus_child_at(nexus, slot);

		if (other != child && other->is_used && other->bdev != NULL &&
		    uuid_is_equal(&other->uuid, &child->uuid))
			nexus_request_fail(request, NEXUS_ERROR_INVALID,
					   "two children of nexus %s have the same uuid: give each "
					   "its own in the URI",
					   nexus->name);
	}
	if (!kind_is_create(request))
		open_check_fits(request, child);
}

/* Of the volume, as its hosts have seen it by the record; 0: nobody knows. */
static uint64_t create_blocks_needed(const struct nexus *nexus)
{
	const struct nexus_record *record = nexus->turn.create->options.stored_record;
	uint64_t size_bytes;

	if (record == NULL)
		return 0;
	size_bytes = record->block_count * record->block_bytes;
	return size_bytes / nexus->block_bytes + (size_bytes % nexus->block_bytes != 0);
}

/*
 * What hosts have seen stays, whoever is believed in the end: a smaller copy cannot hold it, and a
 * smaller size in the request comes from somebody who has not heard of a resize.
 */
static void create_keep_size(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	uint64_t needed = create_blocks_needed(nexus);

	ASSERT(kind_is_create(request));
	ASSERT(!nexus->is_listed);
	if (request->result != NEXUS_DONE || needed == 0)
		return;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX && nexus->children[slot].is_used; slot++)
		open_check_size(request, &nexus->children[slot], needed);
	if (request->result != NEXUS_DONE || nexus->size_bytes / nexus->block_bytes > needed)
		return;
	log_warn(nexus->log,
		 "nexus %s: its hosts have seen %" PRIu64 " blocks of %u bytes, which the size "
		 "asked for, %" PRIu64 " bytes, does not give: it keeps what they have seen",
		 nexus->name, needed, nexus->block_bytes, nexus->size_bytes);
	nexus->size_bytes = (needed + 1) * nexus->block_bytes;
}

/* What the children have in common is what the new nexus offers. */
static void create_shape(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct bdev *bdev = &nexus->bdev;
	uint64_t blocks_min = UINT64_MAX;
	int rc;

	ASSERT(kind_is_create(request));
	ASSERT(nexus->children[0].is_used);
	ASSERT(!nexus->is_listed);
	nexus->block_bytes = nexus->children[0].bdev->block_bytes;
	*bdev = (struct bdev){.can_unmap = true, .can_write_zeroes = true, .is_local = true};
	bdev->memory_alignment = nexus->block_bytes;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX && nexus->children[slot].is_used;
	     slot++) {
		const struct bdev *child = nexus->children[slot].bdev;

		if (child->block_bytes != nexus->block_bytes)
			nexus_request_fail(request, NEXUS_ERROR_INVALID,
					   "the children of nexus %s have different block sizes: "
					   "use devices with the same",
					   nexus->name);
		if (child->block_count < blocks_min)
			blocks_min = child->block_count;
		if (child->memory_alignment > bdev->memory_alignment)
			bdev->memory_alignment = child->memory_alignment;
		if (child->physical_block_bytes > bdev->physical_block_bytes)
			bdev->physical_block_bytes = child->physical_block_bytes;
		bdev->can_unmap &= (child->can_unmap && child->reads_zero_after_unmap) ||
				   child->can_write_zeroes;
		bdev->can_write_zeroes &= child->can_write_zeroes;
		bdev->has_volatile_cache |= child->has_volatile_cache;
	}
	bdev->reads_zero_after_unmap = bdev->can_unmap;
	create_keep_size(request);
	rc = nexus_layout(blocks_min, nexus->block_bytes, nexus->size_bytes, &nexus->turn.data);
	if (rc < 0)
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "a child of nexus %s is %s: use larger devices or a smaller "
				   "size",
				   nexus->name,
				   rc == -ENOSPC ? "smaller than the size asked for"
						 : "too small for the reserved areas");
	nexus->data_offset_blocks = nexus->turn.data.first;
	nexus->block_count = nexus->turn.data.count;
	nexus->recorded_block_count = nexus->block_count;
}

enum op_flow nexus_open_check(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct turn *turn = &nexus->turn;

	ASSERT(nexus->is_running);
	ASSERT(turn->opening_count > 0);
	ASSERT(turn->openings != NULL);
	ASSERT(op_is_idle(&request->work.op));
	for (uint32_t i = 0; i < turn->opening_count; i++)
		open_take(nexus_child_at(nexus, turn->opening_slots[i]), &turn->openings[i]);
	for (uint32_t i = 0; i < turn->opening_count; i++) {
		const struct bdev_create *create = &turn->openings[i].create;

		if (create->result == 0)
			open_check_child(request, nexus_child_at(nexus, turn->opening_slots[i]));
		else
			nexus_request_fail(request,
					   request->work.kind == REQUEST_ONLINE
						   ? NEXUS_ERROR_INTERNAL
						   : NEXUS_ERROR_INVALID,
					   "%s",
					   create->error[0] != '\0' ? create->error
								    : strerror(-create->result));
	}
	if (kind_is_create(request) && request->result == NEXUS_DONE)
		create_shape(request);
	return OP_NEXT;
}

static bool fence_is_wanted(const struct nexus *nexus, const struct bdev *bdev)
{
	const struct nexus_fence_options *fence = &nexus->fence;

	ASSERT(bdev->claimed_by[0] != '\0');
	return nexus->set->options.fence != NULL && !bdev->is_local &&
	       (fence->key != 0 || fence->preempt_key != 0 || fence->policy != 0);
}

enum op_flow nexus_open_fence(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct turn *turn = &nexus->turn;

	ASSERT(request->result == NEXUS_DONE);
	ASSERT(op_is_idle(&request->work.op));
	ASSERT(turn->openings != NULL);
	for (uint32_t i = 0; i < turn->opening_count; i++) {
		struct nexus_child *child = nexus_child_at(nexus, turn->opening_slots[i]);
		struct nexus_fence_io *io = &turn->openings[i].fence;

		ASSERT(child->bdev != NULL);
		ASSERT(child->is_claimed);
		if (!fence_is_wanted(nexus, child->bdev))
			continue;
		io->parent = &request->work.op;
		io->bdev = child->bdev;
		io->options = nexus->fence;
		op_wait(&request->work.op);
		nexus->set->options.fence->acquire(nexus->set->options.fence, io);
	}
	return op_join(&request->work.op);
}

/* The last step of an opening: also lets go of its memory. */
enum op_flow nexus_open_fenced(struct nexus_request *request)
{
	struct turn *turn = &request->work.nexus->turn;

	ASSERT(op_is_idle(&request->work.op));
	ASSERT(request->work.nexus->is_running);
	for (uint32_t i = 0; i < turn->opening_count && turn->openings != NULL; i++) {
		const struct nexus_fence_io *io = &turn->openings[i].fence;

		if (io->result == 0)
			continue;
		nexus_request_fail(request, NEXUS_ERROR_INTERNAL, "%s",
				   io->error[0] != '\0' ? io->error : strerror(-io->result));
	}
	memory_free(turn->openings);
	turn->openings = NULL;
	return OP_NEXT;
}

static bool close_is_meant(const struct nexus_request *request, uint32_t slot)
{
	uint32_t kind = request->work.kind;

	ASSERT(slot < NEXUS_CHILDREN_MAX);
	if (kind == REQUEST_CREATE || kind == REQUEST_DESTROY || kind == REQUEST_SHUTDOWN)
		return true;
	return slot == request->work.slot;
}

/* Gives the devices back; no channel of the nexus is open on them any more. */
enum op_flow nexus_close_start(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(nexus->is_running);
	ASSERT(op_is_idle(&request->work.op));
	memory_free(nexus->turn.openings);
	nexus->turn.openings = NULL;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);
		struct bdev_destroy *destroy = &nexus->turn.destroys[slot];

		destroy->bdev = NULL;
		if (child->bdev == NULL || !close_is_meant(request, slot))
			continue;
		ASSERT(child->channel == NULL);
		ASSERT(child->is_used);
		if (child->is_claimed) {
			bdev_unlisten(&child->listener);
			bdev_unclaim(child->bdev);
		}
		*destroy = (struct bdev_destroy){.parent = &request->work.op,
						 .bdev = child->bdev,
						 .is_reference = child->is_reference};
		op_wait(&request->work.op);
		bdev_destroy_submit(nexus->set->options.registry, destroy);
	}
	return op_join(&request->work.op);
}

enum op_flow nexus_close_finish(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.op));
	ASSERT(nexus->turn.openings == NULL);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct bdev_destroy *destroy = &nexus->turn.destroys[slot];

		if (destroy->bdev == NULL)
			continue;
		if (destroy->result != 0)
			log_warn(nexus->log, "nexus %s: device of %s is left open: %s", nexus->name,
				 nexus->children[slot].uri, destroy->error);
		ASSERT(nexus->children[slot].bdev == destroy->bdev);
		ASSERT(list_is_empty(&nexus->children[slot].listener.link));
		nexus->children[slot].bdev = NULL;
		nexus->children[slot].is_claimed = false;
	}
	return OP_NEXT;
}
