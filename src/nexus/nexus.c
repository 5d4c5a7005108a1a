/* SPDX-License-Identifier: Apache-2.0 */
/* nexus.c - the set of an engine's nexuses, creation's checks, and the public calls. Main.
 *
 * Invariants:
 *  1. Names and uuids in a set are unique, those being created included.
 *  2. A nexus is found only while it is listed.
 */
#include "nexus/nexus.h"

#include "base/memory.h"
#include "nexus/nexus_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECORD_RETRY_NS	 100000000ull
#define FENCE_TYPE_MAX	 6
#define FENCE_POLICY_MAX 1

int nexus_set_create(const struct nexus_set_options *options, struct nexus_set **ret_set)
{
	struct nexus_set *set = memory_alloc(sizeof(*set));

	ASSERT(options->registry != NULL);
	ASSERT(options->recorder != NULL);
	ASSERT(options->log != NULL);
	if (set == NULL)
		return -ENOMEM;
	set->options = *options;
	if (set->options.record_wait_ns == 0)
		set->options.record_wait_ns = NEXUS_RECORD_WAIT_NS;
	if (set->options.record_retry_ns == 0)
		set->options.record_retry_ns = RECORD_RETRY_NS;
	set->main = bdev_registry_main(options->registry);
	list_init(&set->nexuses);
	list_init(&set->opening);
	ASSERT(set->main != NULL);
	ASSERT(set->options.record_wait_ns > 0);
	*ret_set = set;
	return 0;
}

void nexus_set_destroy(struct nexus_set *set)
{
	if (set == NULL)
		return;
	ASSERT(list_is_empty(&set->nexuses));
	ASSERT(list_is_empty(&set->opening));
	memory_free(set);
}

struct nexus *nexus_next(struct nexus_set *set, struct nexus *previous)
{
	struct list_node *node = previous == NULL ? set->nexuses.next : previous->link.next;

	ASSERT(previous == NULL || previous->set == set);
	ASSERT(previous == NULL || !list_is_empty(&previous->link));
	for (; node != &set->nexuses; node = node->next) {
		struct nexus *nexus = list_entry(node, struct nexus, link);

		ASSERT(nexus->set == set);
		if (nexus->is_listed)
			return nexus;
	}
	return NULL;
}

struct nexus *nexus_find(struct nexus_set *set, const char *name)
{
	struct nexus *nexus = nexus_next(set, NULL);

	while (nexus != NULL && strcmp(nexus->name, name) != 0)
		nexus = nexus_next(set, nexus);
	return nexus;
}

struct nexus *nexus_find_by_uuid(struct nexus_set *set, const struct uuid *uuid)
{
	struct nexus *nexus = nexus_next(set, NULL);

	while (nexus != NULL && !uuid_is_equal(&nexus->uuid, uuid))
		nexus = nexus_next(set, nexus);
	return nexus;
}

const char *nexus_name(const struct nexus *nexus)
{
	ASSERT(nexus->name[0] != '\0');
	return nexus->name;
}

const struct uuid *nexus_uuid(const struct nexus *nexus)
{
	ASSERT(!uuid_is_nil(&nexus->uuid));
	return &nexus->uuid;
}

struct bdev *nexus_bdev(struct nexus *nexus)
{
	ASSERT(nexus->bdev.ops == &nexus_bdev_ops);
	return &nexus->bdev;
}

struct reactor *nexus_home(const struct nexus *nexus)
{
	ASSERT(nexus->home != NULL);
	return nexus->home;
}

uint32_t nexus_controller_id_min(const struct nexus *nexus)
{
	ASSERT(nexus->controller_id_min >= 1);
	ASSERT(nexus->controller_id_min <= nexus->controller_id_max);
	return nexus->controller_id_min;
}

uint32_t nexus_controller_id_max(const struct nexus *nexus)
{
	ASSERT(nexus->controller_id_max <= NEXUS_CONTROLLER_ID_MAX);
	return nexus->controller_id_max;
}

uint64_t nexus_size_bytes(const struct nexus *nexus)
{
	ASSERT(bdev_size_bytes(&nexus->bdev) <= nexus->size_bytes);
	return nexus->size_bytes;
}

/* Creation. */

static void create_fail(struct nexus_create *create, enum nexus_error error, const char *what,
			const char *way_out)
{
	ASSERT(error != NEXUS_DONE);
	if (create->result != NEXUS_DONE)
		return;
	create->result = error;
	snprintf(create->error, sizeof(create->error), "nexus %.200s: %s: %s",
		 create->options.name != NULL ? create->options.name : "(no name)", what, way_out);
}

static void create_check_unique(struct nexus_set *set, struct nexus_create *create,
				const struct list_node *head)
{
	ASSERT(head == &set->nexuses || head == &set->opening);
	for (const struct list_node *node = head->next; node != head; node = node->next) {
		const struct nexus *nexus =
			list_entry((struct list_node *)(uintptr_t)node, struct nexus, link);

		ASSERT(nexus->set == set);
		ASSERT(head == &set->nexuses || !nexus->is_listed);
		if (strcmp(nexus->name, create->options.name) == 0)
			create_fail(create, NEXUS_ERROR_ALREADY_EXISTS, "the name is in use",
				    "destroy that nexus, or choose another name");
		else if (uuid_is_equal(&nexus->uuid, &create->options.uuid))
			create_fail(create, NEXUS_ERROR_INTERNAL,
				    "the uuid is in use by a nexus of another name",
				    "destroy that nexus, or choose another uuid");
	}
}

static void create_check(struct nexus_set *set, struct nexus_create *create)
{
	const struct nexus_options *options = &create->options;

	ASSERT(create->result == NEXUS_DONE);
	if (options->name == NULL || options->name[0] == '\0' ||
	    strlen(options->name) >= NAME_BYTES_MAX) {
		create_fail(create, NEXUS_ERROR_INVALID, "the name is empty or too long",
			    "use up to 511 bytes");
		return;
	}
	create_check_unique(set, create, &set->nexuses);
	create_check_unique(set, create, &set->opening);
	if (uuid_is_nil(&options->uuid))
		create_fail(create, NEXUS_ERROR_INVALID, "the uuid is nil", "give a real one");
	if (options->controller_id_min == 0 ||
	    options->controller_id_min > options->controller_id_max ||
	    options->controller_id_max > NEXUS_CONTROLLER_ID_MAX)
		create_fail(create, NEXUS_ERROR_INVALID, "the controller ids are no range",
			    "use 1 to 65519, the smaller one first");
	if (options->fence.type > FENCE_TYPE_MAX || options->fence.policy > FENCE_POLICY_MAX)
		create_fail(create, NEXUS_ERROR_INVALID,
			    "the reservation type or preemption policy is unknown",
			    "use type 0 to 6 and policy 0 or 1");
	if (options->fence.key == 0 &&
	    (options->fence.preempt_key != 0 || options->fence.policy != 0))
		create_fail(create, NEXUS_ERROR_INVALID, "a reservation without a key",
			    "give a key, or neither preempt key nor policy");
	if (options->child_count == 0 || options->child_count > NEXUS_CHILDREN_MAX)
		create_fail(create, NEXUS_ERROR_INVALID, "the number of children does not do",
			    "give 1 to 16");
	if (options->info_key != NULL && strlen(options->info_key) >= NAME_BYTES_MAX)
		create_fail(create, NEXUS_ERROR_INVALID, "the info key is too long",
			    "use up to 511 bytes");
}

static void create_init(struct nexus_set *set, struct nexus *nexus,
			const struct nexus_options *options)
{
	const struct nexus_record *record = options->stored_record;
	char uuid_text[UUID_TEXT_BYTES];
	uint64_t sequence = 0;

	ASSERT(nexus->set == NULL);
	ASSERT(options->home != NULL);
	ASSERT(options->child_count >= 1);
	ASSERT(options->child_count <= NEXUS_CHILDREN_MAX);
	uuid_format(&options->uuid, uuid_text);
	nexus->set = set;
	nexus->main = set->main;
	nexus->home = options->home;
	nexus->log = set->options.log;
	snprintf(nexus->name, sizeof(nexus->name), "%s", options->name);
	nexus->uuid = options->uuid;
	snprintf(nexus->info_key, sizeof(nexus->info_key), "%s",
		 options->info_key != NULL && options->info_key[0] != '\0' ? options->info_key
									   : uuid_text);
	nexus->controller_id_min = options->controller_id_min;
	nexus->controller_id_max = options->controller_id_max;
	nexus->fence = options->fence;
	nexus->epoch = options->epoch;
	nexus->size_bytes = options->size_bytes;
	list_init(&nexus->link);
	list_init(&nexus->requests);
	nexus->mask[CHILD_EMPTY] = CHILD_BIT(NEXUS_CHILDREN_MAX) - 1;
	ASSERT(mask_count(nexus->mask[CHILD_EMPTY]) == NEXUS_CHILDREN_MAX);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		child->nexus = nexus;
		child->slot = slot;
		nexus_rebuild_init(child);
	}
	if (record != NULL && record->epoch >= options->epoch)
		sequence = record->sequence;
	nexus_io_init(nexus);
	membership_init(nexus, sequence);
}

void nexus_create_submit(struct nexus_set *set, struct nexus_create *create)
{
	struct nexus *nexus;

	ASSERT(create->parent == NULL || create->parent->pending > 0);
	create->result = NEXUS_DONE;
	create->error[0] = '\0';
	create->nexus = NULL;
	create_check(set, create);
	if (create->result != NEXUS_DONE) {
		op_done(create->parent);
		return;
	}
	nexus = memory_alloc(sizeof(*nexus));
	if (nexus == NULL) {
		create_fail(create, NEXUS_ERROR_INTERNAL, "no memory", "free some and try again");
		op_done(create->parent);
		return;
	}
	create_init(set, nexus, &create->options);
	ASSERT(nexus->turn.create == NULL);
	ASSERT(!nexus->is_listed);
	nexus->turn.create = create;
	list_push_back(&set->opening, &nexus->link);
	nexus_request_submit(nexus, &nexus->own_request, REQUEST_CREATE);
}

void nexus_free(struct nexus *nexus)
{
	ASSERT(!nexus->is_listed);
	ASSERT(nexus->turn.create == NULL);
	ASSERT(nexus->turn.openings == NULL);
	ASSERT(nexus->membership.step == RECORD_IDLE);
	ASSERT(list_is_empty(&nexus->membership.waiters));
	ASSERT(!reactor_timer_is_armed(&nexus->membership.backoff_timer));
	ASSERT(!reactor_timer_is_armed(&nexus->membership.deadline_timer));
	ASSERT(list_is_empty(&nexus->drains));
	ASSERT(list_is_empty(&nexus->area_waiters));
	ASSERT(!nexus->is_area_busy);
	ASSERT(op_is_idle(&nexus->admit_op));
	ASSERT(op_is_idle(&nexus->membership.op));
	ASSERT(nexus->active[0] + nexus->active[1] == 0);
	ASSERT(list_is_empty(&nexus->requests));
	ASSERT(list_is_empty(&nexus->io_waiting));
	ASSERT(range_locks_is_empty(&nexus->locks));

	list_remove(&nexus->link);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		ASSERT(child->channel == NULL);
		ASSERT(child->job == NULL);
		ASSERT(child->bdev == NULL);
		ASSERT(!child->is_claimed);
		ASSERT(op_is_idle(&child->job_op));
		ASSERT(!atomic_load(&child->is_close_sent));
		ASSERT(!atomic_load(&child->is_removed_sent));
		ASSERT(!atomic_load(&child->is_interruption_sent));
		bitmap_destroy(child->stale);
	}
	for (uint32_t i = 0; i < 2; i++)
		bitmap_destroy(nexus->recent[i].map);
	memory_free(nexus->turn.openings);
	memory_free(nexus->history.entries);
	if (nexus->area != NULL)
		memory_free_pages(nexus->area, (size_t)2 * REBUILD_SEGMENT_BYTES);
	slab_destroy(nexus->io_slab);
	memory_free(nexus);
}

/* Requests. */

static void request_refuse(struct nexus_request *request, enum nexus_error error, const char *name,
			   const char *text)
{
	ASSERT(error != NEXUS_DONE);
	request->result = error;
	snprintf(request->error, sizeof(request->error), "nexus %.200s %s", name, text);
	op_done(request->parent);
}

/* For kinds that change something. */
static void request_change(struct nexus *nexus, struct nexus_request *request,
			   enum request_kind kind)
{
	ASSERT(kind < REQUEST_REBUILD_STATS);
	if (nexus->is_shut_down || nexus->is_shutdown_out) {
		request_refuse(request, NEXUS_ERROR_PRECONDITION, nexus->name,
			       "is shut down: destroy it, or create it anew");
		return;
	}
	nexus_request_submit(nexus, request, kind);
}

void nexus_destroy_submit(struct nexus *nexus, struct nexus_request *request)
{
	nexus_request_submit(nexus, request, REQUEST_DESTROY);
}

void nexus_shutdown_submit(struct nexus *nexus, struct nexus_request *request)
{
	ASSERT(!nexus->is_shutdown_out || !nexus->is_shut_down);
	if (nexus->is_shutdown_out) {
		request_refuse(request, NEXUS_ERROR_PRECONDITION, nexus->name,
			       "is being shut down already: wait for that");
		return;
	}
	if (nexus->is_shut_down) {
		request->result = NEXUS_DONE;
		request->error[0] = '\0';
		if (request->info == NULL)
			op_done(request->parent);
		else
			nexus_request_submit(nexus, request, REQUEST_INFO);
		return;
	}
	nexus->is_shutdown_out = true;
	nexus_request_submit(nexus, request, REQUEST_SHUTDOWN);
}

void nexus_child_add_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_ADD);
}

void nexus_child_remove_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_REMOVE);
}

void nexus_child_action_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request,
		       request->action == NEXUS_ACTION_ONLINE ? REQUEST_ONLINE : REQUEST_OFFLINE);
}

void nexus_child_fault_submit(struct nexus *nexus, struct nexus_request *request)
{
	request->action = NEXUS_ACTION_OFFLINE_PERMANENT;
	request_change(nexus, request, REQUEST_OFFLINE);
}

void nexus_resize_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_RESIZE);
}

void nexus_rebuild_start_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_REBUILD_START);
}

void nexus_rebuild_stop_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_REBUILD_STOP);
}

void nexus_rebuild_pause_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_REBUILD_PAUSE);
}

void nexus_rebuild_resume_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_REBUILD_RESUME);
}

void nexus_rebuild_stats_submit(struct nexus *nexus, struct nexus_request *request)
{
	nexus_request_submit(nexus, request, REQUEST_REBUILD_STATS);
}

void nexus_info_submit(struct nexus *nexus, struct nexus_request *request)
{
	nexus_request_submit(nexus, request, REQUEST_INFO);
}

void nexus_history_submit(struct nexus *nexus, struct nexus_request *request)
{
	nexus_request_submit(nexus, request, REQUEST_HISTORY);
}

void nexus_pause_submit(struct nexus *nexus, struct nexus_request *request)
{
	request_change(nexus, request, REQUEST_IO_PAUSE);
}

void nexus_resume_submit(struct nexus *nexus, struct nexus_request *request)
{
	nexus_request_submit(nexus, request, REQUEST_IO_RESUME);
}
