/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_main.c - the line of management requests of a nexus, and their part on the main reactor.
 *
 * A kind of request is a list of steps; one of them goes to the home reactor and back, where
 * nexus_home.c has a list of its own. When a step fails the rest is left out and the list that
 * undoes runs.
 *
 * Invariants:
 *  1. One request of a nexus runs at a time, but for those that only look.
 *  2. A slot is given to a child before the home reactor hears of it, and taken back after it has
 *     forgotten the child.
 *  3. A request is not touched after its answer.
 */
#include "nexus/nexus_impl.h"

#include "base/planted.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef enum op_flow (*main_step)(struct nexus_request *request);

/* Keeps the first failure. */
void nexus_request_fail(struct nexus_request *request, enum nexus_error error, const char *format,
			...)
{
	va_list arguments;

	ASSERT(error != NEXUS_DONE);
	if (request->result != NEXUS_DONE)
		return;
	request->result = error;
	va_start(arguments, format);
	vsnprintf(request->error, sizeof(request->error), format, arguments);
	va_end(arguments);
}

static enum op_flow hop(struct nexus_request *request, enum request_kind home_kind)
{
	struct nexus_work *work = &request->work;

	ASSERT(work->nexus->home != NULL);
	ASSERT(home_kind < REQUEST_KIND_COUNT);
	ASSERT(op_is_idle(&work->op));
	work->home_kind = home_kind;
	work->call = (struct reactor_call){.parent = &work->op,
					   .origin = work->nexus->main,
					   .target = work->nexus->home,
					   .function = nexus_home_call};
	op_wait(&work->op);
	reactor_call_submit(&work->call);
	return op_join(&work->op);
}

static enum op_flow main_hop(struct nexus_request *request)
{
	ASSERT(request->work.kind != REQUEST_CREATE_UNDO);
	ASSERT(request->work.kind != REQUEST_ONLINE_CHECK);
	return hop(request, (enum request_kind)request->work.kind);
}

static enum op_flow main_hop_online_check(struct nexus_request *request)
{
	ASSERT(request->work.kind == REQUEST_ONLINE);
	return hop(request, REQUEST_ONLINE_CHECK);
}

static enum op_flow main_hop_undo(struct nexus_request *request)
{
	ASSERT(request->work.kind == REQUEST_CREATE);
	ASSERT(request->work.is_undoing);
	return hop(request, REQUEST_CREATE_UNDO);
}

/* To home and back once more: all that main sent there before has arrived when this returns. */
static enum op_flow main_hop_last(struct nexus_request *request)
{
	ASSERT(!request->work.nexus->is_listed);
	return hop(request, REQUEST_INFO);
}

static uint32_t child_find(const struct nexus *nexus, const char *uri)
{
	ASSERT(uri != NULL);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		if (nexus->children[slot].is_used && strcmp(nexus->children[slot].uri, uri) == 0)
			return slot;
	}
	return NO_CHILD;
}

static enum op_flow main_find(struct nexus_request *request)
{
	ASSERT(request->work.step == 1);
	ASSERT(request->work.slot == NO_CHILD);
	if (request->uri != NULL)
		request->work.slot = child_find(request->work.nexus, request->uri);
	if (request->work.slot >= NEXUS_CHILDREN_MAX)
		nexus_request_fail(request, NEXUS_ERROR_NOT_FOUND,
				   "%s is not a child of nexus %s: list the nexus to see its "
				   "children",
				   request->uri != NULL ? request->uri : "(no URI)",
				   request->work.nexus->name);
	return OP_NEXT;
}

/* To remove what is not there is no mistake. */
static enum op_flow main_find_or_skip(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(request->work.kind == REQUEST_REMOVE);
	ASSERT(!nexus->turn.is_skipped);
	request->work.slot = request->uri == NULL ? NO_CHILD : child_find(nexus, request->uri);
	if (request->work.slot == NO_CHILD)
		nexus->turn.is_skipped = true;
	return OP_NEXT;
}

static enum op_flow main_action_check(struct nexus_request *request)
{
	ASSERT(request->work.kind == REQUEST_OFFLINE);
	if ((unsigned)request->action > NEXUS_ACTION_OFFLINE_PERMANENT)
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "%u is no action on a child: use one of 0 to 3",
				   (unsigned)request->action);
	return OP_NEXT;
}

/* Uuid parameter of a child's URI; nil when it has none. Return: 0, or -1 when it is no URI. */
static int uri_uuid(const char *text, struct uuid *ret_uuid)
{
	struct uri uri;
	const char *value;

	*ret_uuid = (struct uuid){{0}};
	if (uri_parse(text, &uri, NULL, 0) < 0)
		return -1;
	value = uri_parameter(&uri, "uuid");
	if (value != NULL && !uuid_parse(value, ret_uuid))
		return -1;
	return 0;
}

/* Gives @slot to the child @uri. */
static void slot_take(struct nexus_request *request, uint32_t slot, const char *uri)
{
	struct nexus_child *child = nexus_child_at(request->work.nexus, slot);

	ASSERT(!child->is_used);
	ASSERT(child->bdev == NULL);
	ASSERT(!child->is_claimed);
	ASSERT(child->slot == slot);
	if (uri == NULL || uri[0] == '\0' || strlen(uri) >= sizeof(child->uri) ||
	    uri_uuid(uri, &child->uuid) < 0) {
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "%.256s is no valid URI of a child: give scheme, path and uuid",
				   uri != NULL ? uri : "(none)");
		return;
	}
	memcpy(child->uri, uri, strlen(uri) + 1);
	child->is_used = true;
}

static enum op_flow main_add_take(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	char name[NAME_BYTES_MAX];
	char error[ERROR_TEXT_BYTES];
	bool has_name = request->uri != NULL && bdev_registry_name(nexus->set->options.registry,
								   request->uri, name, error) == 0;

	ASSERT(request->work.kind == REQUEST_ADD);
	ASSERT(nexus->is_running);
	request->work.slot = NO_CHILD;
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);
		bool is_same =
			child->is_used && request->uri != NULL &&
			(strcmp(child->uri, request->uri) == 0 ||
			 (has_name && child->bdev != NULL && strcmp(child->bdev->name, name) == 0));

		if (is_same)
			nexus_request_fail(request, NEXUS_ERROR_ALREADY_EXISTS,
					   "%s is a child of nexus %s already", request->uri,
					   nexus->name);
		if (!child->is_used && request->work.slot == NO_CHILD)
			request->work.slot = slot;
	}
	if (request->work.slot == NO_CHILD)
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "nexus %s has %d children already: remove one first",
				   nexus->name, NEXUS_CHILDREN_MAX);
	if (request->result == NEXUS_DONE)
		slot_take(request, request->work.slot, request->uri);
	else
		request->work.slot = NO_CHILD; /* nothing to undo */
	return OP_NEXT;
}

static enum op_flow main_slot_free(struct nexus_request *request)
{
	if (request->work.slot == NO_CHILD)
		return OP_NEXT;
	ASSERT(nexus_child_at(request->work.nexus, request->work.slot)->bdev == NULL);
	ASSERT(nexus_child_at(request->work.nexus, request->work.slot)->phase == CHILD_EMPTY);
	nexus_child_at(request->work.nexus, request->work.slot)->is_used = false;
	return OP_NEXT;
}

static enum op_flow main_resize_check(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	uint64_t blocks_min = UINT64_MAX;

	ASSERT(request->work.kind == REQUEST_RESIZE);
	ASSERT(nexus->is_listed);
	if (request->size_bytes == nexus->size_bytes)
		nexus->turn.is_skipped = true;
	else if (request->size_bytes < nexus->size_bytes)
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "nexus %s cannot shrink: ask for a larger size", nexus->name);
	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		const struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->bdev != NULL && child->bdev->block_count < blocks_min)
			blocks_min = child->bdev->block_count;
	}
	if (blocks_min == UINT64_MAX ||
	    nexus_layout(blocks_min, nexus->block_bytes, request->size_bytes, &nexus->turn.data) <
		    0 ||
	    nexus->turn.data.count < nexus->bdev.block_count)
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "a child of nexus %s is too small for the new size: grow the "
				   "replicas first",
				   nexus->name);
	return OP_NEXT;
}

static enum op_flow main_resize_tell(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(request->result == NEXUS_DONE);
	ASSERT(!nexus->turn.is_skipped);
	ASSERT(request->size_bytes > nexus->size_bytes);
	ASSERT(nexus->turn.data.count >= nexus->bdev.block_count);
	nexus->size_bytes = request->size_bytes;
	if (nexus->turn.data.count > nexus->bdev.block_count)
		bdev_grow(&nexus->bdev, nexus->turn.data.count);
	return OP_NEXT;
}

/* Creation. */

static enum op_flow main_create_take(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	const struct nexus_options *options = &nexus->turn.create->options;

	ASSERT(options->child_count <= NEXUS_CHILDREN_MAX);
	ASSERT(!nexus->is_listed);
	for (uint32_t i = 0; i < options->child_count; i++) {
		slot_take(request, i, options->child_uris[i]);
		for (uint32_t other = 0; other < i && request->result == NEXUS_DONE; other++) {
			if (strcmp(nexus->children[i].uri, nexus->children[other].uri) == 0)
				nexus_request_fail(request, NEXUS_ERROR_INVALID,
						   "%s is named twice: name each child once",
						   nexus->children[i].uri);
		}
	}
	return OP_NEXT;
}

static enum op_flow main_create_trust(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	const struct nexus_record *record = nexus->turn.create->options.stored_record;

	ASSERT(request->work.kind == REQUEST_CREATE);
	ASSERT(request->result == NEXUS_DONE);
	if (PLANTED(STALE_CHILD_TRUSTED))
		record = NULL;
	nexus->turn.in_sync = nexus_trust(nexus, record);
	if (nexus->turn.in_sync == 0)
		nexus_request_fail(request, NEXUS_ERROR_INVALID,
				   "no child of nexus %s holds all of its data according to the "
				   "stored record: name a healthy one",
				   nexus->name);
	return OP_NEXT;
}

static enum op_flow main_create_list(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct bdev *bdev = &nexus->bdev;

	ASSERT(request->result == NEXUS_DONE);
	ASSERT(!list_is_empty(&nexus->link));
	ASSERT(!nexus->is_listed);
	ASSERT(nexus->turn.in_sync != 0);
	memcpy(bdev->name, nexus->name, sizeof(bdev->name));
	bdev->uuid = nexus->uuid;
	bdev->ops = &nexus_bdev_ops;
	bdev->main = nexus->main;
	bdev->home = nexus->home;
	bdev->block_bytes = nexus->block_bytes;
	bdev->block_count = nexus->block_count;
	bdev->can_compare = true;
	bdev->waits_for_engines = true;
	if (bdev->physical_block_bytes < bdev->block_bytes)
		bdev->physical_block_bytes = bdev->block_bytes;
	bdev_init(bdev);
	if (bdev_registry_add(nexus->set->options.registry, bdev) < 0) {
		nexus_request_fail(request, NEXUS_ERROR_ALREADY_EXISTS,
				   "a device with the name or uuid of nexus %s exists: choose "
				   "another",
				   nexus->name);
		return OP_NEXT;
	}
	nexus->is_listed = true;
	list_remove(&nexus->link);
	list_push_back(&nexus->set->nexuses, &nexus->link);
	return OP_NEXT;
}

/* Only what this very request has opened is given back. */
static enum op_flow main_online_undo(struct nexus_request *request)
{
	ASSERT(request->work.is_undoing);
	ASSERT(request->work.kind == REQUEST_ONLINE);
	if (request->work.nexus->turn.opening_count == 0)
		return OP_NEXT;
	return nexus_close_start(request);
}

static enum op_flow main_online_undone(struct nexus_request *request)
{
	ASSERT(request->work.is_undoing);
	ASSERT(op_is_idle(&request->work.op));
	if (request->work.nexus->turn.opening_count == 0)
		return OP_NEXT;
	return nexus_close_finish(request);
}

/* The end. */

static enum op_flow main_destroy_unlist(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;
	struct bdev *bdev = &nexus->bdev;

	ASSERT(nexus->is_listed);
	ASSERT(request->work.kind == REQUEST_DESTROY);
	if (nexus->destroyed != NULL) { /* its lister has waited for all users already */
		nexus->is_listed = false;
		return OP_NEXT;
	}
	if (bdev_channel_count(bdev) > 0 || bdev->claimed_by[0] != '\0') {
		nexus_request_fail(request, NEXUS_ERROR_PRECONDITION,
				   "nexus %s is in use%s%s: unpublish it first", nexus->name,
				   bdev->claimed_by[0] != '\0' ? " by " : "", bdev->claimed_by);
		return OP_NEXT;
	}
	nexus->is_listed = false;
	bdev_registry_remove(nexus->set->options.registry, bdev);
	bdev_notify(bdev, BDEV_REMOVED);
	op_wait(&request->work.op);
	bdev_wait_unused(bdev, &request->work.op);
	return op_join(&request->work.op);
}

static enum op_flow main_shut_down(struct nexus_request *request)
{
	ASSERT(request->work.nexus->is_shutdown_out);
	ASSERT(!request->work.nexus->is_shut_down);
	request->work.nexus->is_shut_down = true;
	return OP_NEXT;
}

#define MAIN_STEPS_MAX 10

static const main_step main_plans[REQUEST_KIND_COUNT][MAIN_STEPS_MAX] = {
	[REQUEST_CREATE] = {main_create_take, nexus_open_start, nexus_open_check, main_create_trust,
			    nexus_open_fence, nexus_open_fenced, main_hop, main_create_list},
	[REQUEST_DESTROY] = {main_destroy_unlist, main_hop, nexus_close_start, nexus_close_finish,
			     main_hop_last},
	[REQUEST_SHUTDOWN] = {main_hop, nexus_close_start, nexus_close_finish, main_shut_down},
	[REQUEST_ADD] = {main_add_take, nexus_open_start, nexus_open_check, nexus_open_fence,
			 nexus_open_fenced, main_hop},
	[REQUEST_REMOVE] = {main_find_or_skip, main_hop, nexus_close_start, nexus_close_finish,
			    main_slot_free},
	[REQUEST_OFFLINE] = {main_find, main_action_check, main_hop, nexus_close_start,
			     nexus_close_finish},
	[REQUEST_ONLINE] = {main_find, main_hop_online_check, nexus_close_start, nexus_close_finish,
			    nexus_open_start, nexus_open_check, nexus_open_fence, nexus_open_fenced,
			    main_hop},
	[REQUEST_CLOSE] = {main_hop, nexus_close_start, nexus_close_finish},
	[REQUEST_RESIZE] = {main_resize_check, main_hop, main_resize_tell},
	[REQUEST_REBUILD_START] = {main_find, main_hop},
	[REQUEST_REBUILD_STOP] = {main_find, main_hop},
	[REQUEST_REBUILD_PAUSE] = {main_find, main_hop},
	[REQUEST_REBUILD_RESUME] = {main_find, main_hop},
	[REQUEST_IO_PAUSE] = {main_hop},
	[REQUEST_IO_RESUME] = {main_hop},
	[REQUEST_REBUILD_STATS] = {main_find, main_hop},
	[REQUEST_INFO] = {main_hop},
	[REQUEST_HISTORY] = {main_hop},
};

/* After a failure. Devices that were opened go back; what the home reactor took it let go of. */
static const main_step undo_plans[REQUEST_KIND_COUNT][MAIN_STEPS_MAX] = {
	[REQUEST_CREATE] = {main_hop_undo, nexus_close_start, nexus_close_finish, main_hop_last},
	[REQUEST_ADD] = {nexus_close_start, nexus_close_finish, main_slot_free},
	[REQUEST_ONLINE] = {main_online_undo, main_online_undone},
};

static bool main_is_in_line(const struct nexus_request *request)
{
	ASSERT(request->work.kind < REQUEST_KIND_COUNT);
	return request->work.kind < REQUEST_REBUILD_STATS;
}

/* The present state for whoever wants it, as the last step. */
static enum op_flow main_tell(struct nexus_request *request)
{
	ASSERT(request->work.is_told);
	ASSERT(op_is_idle(&request->work.op));
	if (request->info == NULL || request->result != NEXUS_DONE ||
	    request->work.kind == REQUEST_DESTROY || request->work.kind == REQUEST_CREATE)
		return OP_NEXT;
	return hop(request, REQUEST_INFO);
}

/* The size asked for is known on main alone. */
static void main_tell_size(struct nexus_request *request)
{
	ASSERT(request->work.is_told);
	if (request->info != NULL && request->result == NEXUS_DONE &&
	    request->work.kind != REQUEST_DESTROY)
		request->info->size_bytes = request->work.nexus->size_bytes;
}

/* NULL: the list is at its end. */
static main_step main_next(struct nexus_request *request)
{
	struct nexus_work *work = &request->work;
	bool is_skipped = main_is_in_line(request) && work->nexus->turn.is_skipped;

	ASSERT(work->step <= MAIN_STEPS_MAX);
	ASSERT(work->kind < REQUEST_KIND_COUNT);
	if (request->result != NEXUS_DONE && !work->is_undoing) {
		work->is_undoing = true;
		work->step = 0;
	}
	if (work->step >= MAIN_STEPS_MAX || (is_skipped && !work->is_undoing))
		return NULL;
	return work->is_undoing ? undo_plans[work->kind][work->step]
				: main_plans[work->kind][work->step];
}

static void line_start(struct nexus *nexus)
{
	struct list_node *first = list_first(&nexus->requests);

	if (nexus->is_running || first == NULL)
		return;
	ASSERT(nexus->turn.openings == NULL);
	ASSERT(nexus->turn.pauses == 0);
	nexus->is_running = true;
	nexus->turn.is_skipped = false;
	nexus->turn.pauses = 0;
	nexus->turn.opening_count = 0;
	op_wake(&list_entry(first, struct nexus_request, work.link)->work.op);
}

/* Requests that came too late for a nexus that is gone. */
static void line_refuse(struct nexus *nexus)
{
	struct list_node *node;

	ASSERT(!nexus->is_running);
	ASSERT(!nexus->is_listed);
	while ((node = list_pop_front(&nexus->requests)) != NULL) {
		struct nexus_request *request = list_entry(node, struct nexus_request, work.link);

		nexus_request_fail(request, NEXUS_ERROR_NOT_FOUND, "nexus %s is gone", nexus->name);
		op_done(request->parent);
	}
}

static void create_answer(struct nexus *nexus, struct nexus_request *request)
{
	struct nexus_create *create = nexus->turn.create;

	ASSERT(!nexus->is_running);
	ASSERT(nexus->is_listed == (request->result == NEXUS_DONE));
	ASSERT(create != NULL);
	ASSERT(request == &nexus->own_request);
	create->result = request->result;
	memcpy(create->error, request->error, sizeof(create->error));
	create->nexus = request->result == NEXUS_DONE ? nexus : NULL;
	nexus->turn.create = NULL;
	if (request->result != NEXUS_DONE) {
		line_refuse(nexus);
		nexus_free(nexus);
	}
	op_done(create->parent);
}

static void destroy_answer(struct nexus *nexus, struct nexus_request *request)
{
	struct op *parent = request->parent;
	struct op *destroyed = nexus->destroyed;

	ASSERT(!nexus->is_running);
	ASSERT(bdev_channel_count(&nexus->bdev) == 0);
	ASSERT(!nexus->is_listed);
	ASSERT(request->result == NEXUS_DONE);
	log_info(nexus->log, "nexus %s: destroyed", nexus->name);
	line_refuse(nexus);
	nexus_free(nexus); /* @request may be a part of it */
	op_done(parent);
	op_done(destroyed);
}

/* A close that was asked for again while it was in line or running. */
static void close_answer(struct nexus *nexus, struct nexus_request *request)
{
	struct nexus_child *child = nexus_child_at(nexus, request->work.slot);
	uint32_t slot = request->work.slot;

	ASSERT(request->work.kind == REQUEST_CLOSE);
	ASSERT(request == &child->close_request);
	ASSERT(child->is_close_queued);
	child->is_close_queued = false;
	if (!child->is_close_again)
		return;
	child->is_close_again = false;
	child->is_close_queued = true;
	*request = (struct nexus_request){.work.slot = slot};
	nexus_request_submit(nexus, request, REQUEST_CLOSE);
}

/* Return: false if the nexus is gone with its request. */
static bool main_answer(struct nexus *nexus, struct nexus_request *request)
{
	bool is_done = request->result == NEXUS_DONE;

	ASSERT(list_is_empty(&request->work.link));
	ASSERT(!nexus->is_running);
	switch (request->work.kind) {
	case REQUEST_CREATE:
		create_answer(nexus, request);
		return is_done;
	case REQUEST_DESTROY:
		if (is_done)
			destroy_answer(nexus, request);
		else
			op_done(request->parent);
		return !is_done;
	case REQUEST_CLOSE:
		close_answer(nexus, request);
		return true;
	case REQUEST_SHUTDOWN:
		nexus->is_shutdown_out = false;
		break;
	}
	op_done(request->parent);
	return true;
}

static void main_finish(struct nexus_request *request)
{
	struct nexus *nexus = request->work.nexus;

	ASSERT(op_is_idle(&request->work.op));
	if (!main_is_in_line(request)) {
		op_done(request->parent);
		return;
	}
	ASSERT(list_first(&nexus->requests) == &request->work.link);
	ASSERT(nexus->is_running);
	list_remove(&request->work.link);
	nexus->is_running = false;
	if (main_answer(nexus, request))
		line_start(nexus);
}

static void main_run(struct op *op)
{
	struct nexus_request *request = container_of(op, struct nexus_request, work.op);

	ASSERT(op_is_idle(op));
	for (;;) {
		main_step step = main_next(request);

		if (step == NULL && request->work.is_told) {
			main_tell_size(request);
			main_finish(request); /* @request may be gone from here on */
			return;
		}
		if (step == NULL) {
			request->work.is_told = true;
			step = main_tell;
		}
		request->work.step++;
		if (step(request) == OP_WAIT)
			return;
	}
}

void nexus_request_submit(struct nexus *nexus, struct nexus_request *request,
			  enum request_kind kind)
{
	uint32_t slot = kind == REQUEST_CLOSE ? request->work.slot : NO_CHILD;

	ASSERT(request->parent == NULL || request->parent->pending > 0);
	ASSERT(kind < REQUEST_KIND_COUNT);
	ASSERT(kind != REQUEST_CREATE_UNDO);
	ASSERT(kind != REQUEST_CLOSE || slot < NEXUS_CHILDREN_MAX);
	request->result = NEXUS_DONE;
	request->error[0] = '\0';
	request->history_count = 0;
	request->work = (struct nexus_work){.nexus = nexus, .kind = kind, .slot = slot};
	op_init(&request->work.op, reactor_ready(nexus->main), main_run);
	list_init(&request->work.link);
	if (!main_is_in_line(request)) {
		if (nexus->is_listed) {
			op_wake(&request->work.op);
			return;
		}
		nexus_request_fail(request, NEXUS_ERROR_NOT_FOUND, "nexus %s is going away",
				   nexus->name);
		op_done(request->parent);
		return;
	}
	list_push_back(&nexus->requests, &request->work.link);
	line_start(nexus);
}

void nexus_child_close_arrived(struct reactor_message *message)
{
	struct nexus_child *child = container_of(message, struct nexus_child, close_message);

	ASSERT(atomic_load(&child->is_close_sent));
	ASSERT(!child->is_close_again || child->is_close_queued);
	atomic_store(&child->is_close_sent, false);
	if (child->is_close_queued) {
		child->is_close_again = true;
		return;
	}
	child->is_close_queued = true;
	child->close_request = (struct nexus_request){.work.slot = child->slot};
	nexus_request_submit(child->nexus, &child->close_request, REQUEST_CLOSE);
}

static void child_removed_arrived(struct reactor_message *message)
{
	struct nexus_child *child = container_of(message, struct nexus_child, removed_message);

	ASSERT(atomic_load(&child->is_removed_sent));
	atomic_store(&child->is_removed_sent, false);
	nexus_child_removed(child);
}

static void child_interrupted_arrived(struct reactor_message *message)
{
	struct nexus_child *child = container_of(message, struct nexus_child, interrupted_message);

	atomic_store(&child->is_interruption_sent, false);
	nexus_child_interrupted(child);
}

void nexus_child_event(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event)
{
	struct nexus_child *child = container_of(listener, struct nexus_child, listener);

	ASSERT(child->bdev == bdev);
	ASSERT(child->is_claimed);
	switch (event) {
	case BDEV_REMOVED:
		/* Comes once per bdev, and the next bdev of this slot after a visit to home. */
		if (atomic_exchange(&child->is_removed_sent, true))
			break;
		child->removed_message.run = child_removed_arrived;
		reactor_send(child->nexus->home, &child->removed_message);
		break;
	case BDEV_INTERRUPTED:
		/* One that is sent and not yet seen will be seen after this. */
		if (atomic_exchange(&child->is_interruption_sent, true))
			break;
		child->interrupted_message.run = child_interrupted_arrived;
		reactor_send(child->nexus->home, &child->interrupted_message);
		break;
	case BDEV_RESIZED: /* a resize of the nexus looks at it */
		break;
	}
}
