/* SPDX-License-Identifier: Apache-2.0 */
/* subsystem_manage.c - subsystems as management sees them, on the main reactor.
 *
 *	create:  CREATE_OPEN ~~call~~> home opens the bdev -> CREATE_LIST: listed, hosts may come
 *	destroy: DESTROY_TRANSIT (nobody new, those on their way arrive) ~~call~~> home: all hosts
 *go, I/O drains, the bdev is closed -> DESTROY_FREE
 *
 * Anything else is one call to the home reactor and back. What discovery and the plain questions
 * need is kept on main as well (names, allowed hosts, ANA state), so nobody reads across threads.
 *
 * Invariants:
 *  1. A subsystem is in target->subsystems from a good create's answer to the destroy's submit.
 *  2. No connection is handed to a home that has begun to end: the transit count is 0 by then, and
 *     messages between two reactors keep their order.
 */
#include "target/reservation_rules.h"
#include "target/subsystem_impl.h"
#include "target/target_parts_impl.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum create_step { CREATE_OPEN, CREATE_LIST };
enum destroy_step { DESTROY_TRANSIT, DESTROY_END, DESTROY_QUIET, DESTROY_FREE };

void allowed_hosts_fill(struct allowed_hosts *hosts, const char *const *names, uint32_t count)
{
	ASSERT(count <= TARGET_ALLOWED_HOSTS_MAX);
	ASSERT(hosts != NULL);
	ASSERT(count == 0 || names != NULL);
	hosts->count = count;
	for (uint32_t i = 0; i < count; i++) {
		memset(hosts->nqn[i], 0, sizeof(hosts->nqn[i]));
		memcpy(hosts->nqn[i], names[i], strnlen(names[i], NQN_BYTES_MAX - 1));
	}
}

static bool host_names_are_valid(const char *const *names, uint32_t count)
{
	ASSERT(count == 0 || names != NULL);
	if (count > TARGET_ALLOWED_HOSTS_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!target_nqn_is_valid(names[i]))
			return false;
	}
	return true;
}

static void subsystem_free(struct target_subsystem *subsystem)
{
	if (subsystem == NULL)
		return;
	ASSERT(list_is_empty(&subsystem->link));
	ASSERT(subsystem->channel == NULL && subsystem->transit_count == 0);
	memory_free(subsystem->hosts);
	memory_free(subsystem->hosts_on_main);
	memory_free(subsystem->reservation_notices);
	memory_free(subsystem);
}

static struct target_subsystem *subsystem_alloc(struct target *target, struct reactor *home)
{
	struct target_subsystem *subsystem = memory_alloc(sizeof(*subsystem));

	ASSERT(target->main != NULL);
	ASSERT(home != NULL);
	if (subsystem == NULL)
		return NULL;
	subsystem_init(subsystem, target, home);
	subsystem->hosts = memory_alloc(sizeof(*subsystem->hosts));
	subsystem->hosts_on_main = memory_alloc(sizeof(*subsystem->hosts_on_main));
	subsystem->reservation_notices = memory_alloc(sizeof(*subsystem->reservation_notices));
	if (subsystem->hosts == NULL || subsystem->hosts_on_main == NULL ||
	    subsystem->reservation_notices == NULL) {
		subsystem_free(subsystem);
		return NULL;
	}
	return subsystem;
}

/* ---- the bdev speaks (main), and the hosts hear (home) ---- */

static void change_told(struct reactor_message *message);

static void change_tell(struct reactor_message *message)
{
	struct target_subsystem *subsystem =
		container_of(message, struct target_subsystem, resize_message);

	subsystem_home_changed(subsystem);
	reactor_send(subsystem->target->main, &subsystem->resize_answer);
}

static void change_send(struct target_subsystem *subsystem)
{
	ASSERT(!subsystem->is_discovery);
	ASSERT(!subsystem->is_resize_sent);
	subsystem->is_resize_sent = true;
	subsystem->is_resize_again = false;
	subsystem->resize_message.run = change_tell;
	subsystem->resize_answer.run = change_told;
	reactor_send(subsystem->home, &subsystem->resize_message);
}

static void change_told(struct reactor_message *message)
{
	struct target_subsystem *subsystem =
		container_of(message, struct target_subsystem, resize_answer);

	ASSERT(subsystem->is_resize_sent);
	subsystem->is_resize_sent = false;
	if (subsystem->is_resize_again && !subsystem->is_leaving)
		change_send(subsystem);
	/* While it waits for the home's end, that wakes it, and then it looks here. */
	else if (subsystem->transit_waiter != NULL && !subsystem->transit_waiter->is_joined)
		op_wake(subsystem->transit_waiter);
}

static void bdev_event(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event)
{
	struct target_subsystem *subsystem =
		container_of(listener, struct target_subsystem, bdev_listener);

	ASSERT(bdev == subsystem->bdev);
	ASSERT(!list_is_empty(&subsystem->link));
	log_info(subsystem->target->log, "target: %s: its device %s", subsystem->nqn,
		 event == BDEV_RESIZED ? "has another size" : "is gone");
	if (subsystem->is_resize_sent)
		subsystem->is_resize_again = true;
	else
		change_send(subsystem);
}

/* ---- create ---- */

static int create_fail(struct target_subsystem_create *create, int result, const char *reason)
{
	ASSERT(create->target != NULL);
	ASSERT(result < 0);
	create->result = result;
	(void)snprintf(create->error, sizeof(create->error), "subsystem %.223s: %s", create->nqn,
		       reason);
	return result;
}

static int create_check(struct target_subsystem_create *create)
{
	uint16_t min = create->cntlid_min == 0 ? TARGET_CNTLID_MIN : create->cntlid_min;
	uint16_t max = create->cntlid_max == 0 ? TARGET_CNTLID_MAX : create->cntlid_max;

	ASSERT(create->target != NULL);
	ASSERT(create->bdev != NULL);
	if (!target_nqn_is_valid(create->nqn))
		return create_fail(create, -EINVAL, "its NQN is not 1 to 223 printable bytes");
	if (strcmp(create->nqn, NVMF_DISCOVERY_NQN) == 0)
		return create_fail(create, -EINVAL, "this NQN belongs to discovery");
	if (target_find_subsystem(create->target, create->nqn) != NULL)
		return create_fail(create, -EEXIST, "the NQN is in use; remove the other first");
	if (min > max || max > TARGET_CNTLID_MAX)
		return create_fail(create, -EINVAL, "the range of controller ids is empty");
	if (!host_names_are_valid(create->allowed_hosts, create->allowed_host_count))
		return create_fail(create, -EINVAL,
				   "allowed hosts: at most 64 valid NQNs can be named");
	if (create->ana_state > TARGET_ANA_INACCESSIBLE)
		return create_fail(create, -EINVAL, "there is no such ANA state");
	if (create->bdev->block_bytes < BLOCK_BYTES_MIN ||
	    create->bdev->block_bytes > BLOCK_BYTES_MAX)
		return create_fail(create, -EINVAL, "blocks must have 512 to 4096 bytes");
	return 0;
}

static void create_fill(const struct target_subsystem_create *create,
			struct target_subsystem *subsystem)
{
	ASSERT(!subsystem->is_discovery);
	ASSERT(create->target != NULL);
	memcpy(subsystem->nqn, create->nqn, sizeof(subsystem->nqn));
	memcpy(subsystem->serial, create->serial, sizeof(subsystem->serial));
	memcpy(subsystem->model, create->model, sizeof(subsystem->model));
	if (subsystem->model[0] == '\0')
		memcpy(subsystem->model, TARGET_MODEL_DEFAULT, sizeof(TARGET_MODEL_DEFAULT));
	subsystem->cntlid_min = create->cntlid_min == 0 ? TARGET_CNTLID_MIN : create->cntlid_min;
	subsystem->cntlid_max = create->cntlid_max == 0 ? TARGET_CNTLID_MAX : create->cntlid_max;
	subsystem->bdev = create->bdev;
	subsystem->uuid = create->uuid;
	subsystem->is_ana_reporting = create->is_ana_reporting;
	if (create->ana_state != 0) {
		subsystem->ana_state = create->ana_state;
		subsystem->ana_state_on_main = create->ana_state;
	}
	subsystem->error_class = create->error_class;
	subsystem->reservation_store = create->reservation_store;
	allowed_hosts_fill(subsystem->hosts, create->allowed_hosts, create->allowed_host_count);
	allowed_hosts_fill(subsystem->hosts_on_main, create->allowed_hosts,
			   create->allowed_host_count);
}

static enum op_flow create_open(struct target_subsystem_create *create)
{
	struct target *target = create->target;
	struct reactor *home = create->bdev->home;

	ASSERT(create->target != NULL);
	ASSERT(create->bdev != NULL);
	ASSERT(create->parent != NULL);
	create->result = 0;
	create->subsystem = NULL;
	if (home == NULL)
		home = create->home == NULL ? target->main : create->home;
	if (create_check(create) < 0)
		return OP_NEXT;
	create->subsystem = subsystem_alloc(target, home);
	if (create->subsystem == NULL) {
		(void)create_fail(create, -ENOMEM, "no memory for it");
		return OP_NEXT;
	}
	create_fill(create, create->subsystem);
	/* Listed at once, so that nobody else takes the name; is_leaving keeps hosts out. */
	create->subsystem->is_leaving = true;
	list_push_back(&target->subsystems, &create->subsystem->link);
	create->call = (struct reactor_call){.parent = &create->op,
					     .origin = target->main,
					     .target = home,
					     .function = subsystem_home_open};
	op_wait(&create->op);
	reactor_call_submit(&create->call);
	return op_join(&create->op);
}

static void create_list(struct target_subsystem_create *create)
{
	struct target_subsystem *subsystem = create->subsystem;
	int result;

	ASSERT(create->target != NULL);
	ASSERT(subsystem == NULL || subsystem->is_leaving);
	if (create->result < 0)
		return;
	result = subsystem->home_result;
	if (result < 0) {
		(void)create_fail(create, result,
				  result == -EBADMSG ? "its kept reservations are damaged"
						     : "its device or kept reservations cannot be "
						       "opened");
		list_remove(&subsystem->link);
		subsystem_free(subsystem);
		create->subsystem = NULL;
		return;
	}
	subsystem->is_leaving = false;
	subsystem->bdev_listener.event = bdev_event;
	bdev_listen(subsystem->bdev, &subsystem->bdev_listener);
	discovery_changed(create->target);
	log_info(create->target->log, "target: %s: hosts may connect", subsystem->nqn);
}

static void create_run(struct op *op)
{
	struct target_subsystem_create *create =
		container_of(op, struct target_subsystem_create, op);

	for (;;) {
		switch ((enum create_step)create->step) {
		case CREATE_OPEN:
			create->step = CREATE_LIST;
			if (create_open(create) == OP_WAIT)
				return;
			break;
		case CREATE_LIST:
			create_list(create);
			op_done(create->parent);
			return;
		}
	}
}

void target_subsystem_create_submit(struct target_subsystem_create *create)
{
	ASSERT(create->target != NULL);
	ASSERT(create->target != NULL && create->bdev != NULL);
	op_init(&create->op, reactor_ready(create->target->main), create_run);
	create->step = CREATE_OPEN;
	op_start(&create->op);
}

/* ---- destroy ---- */

static void change_call(struct target_subsystem_change *change, struct op *parent,
			void (*function)(struct reactor_call *call))
{
	ASSERT(change->subsystem != NULL);
	ASSERT(function != NULL);
	change->call = (struct reactor_call){.parent = parent,
					     .origin = change->subsystem->target->main,
					     .target = change->subsystem->home,
					     .function = function};
	reactor_call_submit(&change->call);
}

static enum op_flow destroy_end(struct target_subsystem_change *change)
{
	ASSERT(change->subsystem != NULL);
	ASSERT(change->subsystem->transit_count == 0);
	ASSERT(change->subsystem->is_leaving);
	op_wait(&change->op);
	change_call(change, &change->op, subsystem_home_end);
	return op_join(&change->op);
}

static void destroy_run(struct op *op)
{
	struct target_subsystem_change *change =
		container_of(op, struct target_subsystem_change, op);
	struct target_subsystem *subsystem = change->subsystem;

	for (;;) {
		switch ((enum destroy_step)change->step) {
		case DESTROY_TRANSIT:
			if (subsystem->transit_count > 0)
				return; /* connect_move() wakes it */
			change->step = DESTROY_END;
			break;
		case DESTROY_END:
			change->step = DESTROY_QUIET;
			if (destroy_end(change) == OP_WAIT)
				return;
			break;
		case DESTROY_QUIET:
			if (subsystem->is_resize_sent)
				return; /* change_told() wakes it */
			change->step = DESTROY_FREE;
			break;
		case DESTROY_FREE:
			op_unwake(op);
			list_remove(&subsystem->link);
			log_info(subsystem->target->log, "target: %s: removed", subsystem->nqn);
			subsystem_free(subsystem);
			change->subsystem = NULL;
			op_done(change->parent);
			return;
		}
	}
}

void target_subsystem_destroy_submit(struct target_subsystem_change *change)
{
	struct target_subsystem *subsystem = change->subsystem;

	ASSERT(change->subsystem != NULL);
	ASSERT(!subsystem->is_leaving && subsystem->transit_waiter == NULL);
	change->result = 0;
	op_init(&change->op, reactor_ready(subsystem->target->main), destroy_run);
	change->step = DESTROY_TRANSIT;
	subsystem->is_leaving = true;
	subsystem->transit_waiter = &change->op;
	bdev_unlisten(&subsystem->bdev_listener);
	discovery_changed(subsystem->target);
	op_start(&change->op);
}

/* ---- everything else ---- */

static void change_forward(struct target_subsystem_change *change,
			   void (*function)(struct reactor_call *call))
{
	ASSERT(!change->subsystem->is_leaving);
	ASSERT(function != NULL);
	change->result = 0;
	change_call(change, change->parent, function);
}

void target_subsystem_pause_submit(struct target_subsystem_change *change)
{
	ASSERT(change->subsystem != NULL);
	ASSERT(change->parent != NULL);
	change_forward(change, subsystem_home_pause);
}

void target_subsystem_resume_submit(struct target_subsystem_change *change)
{
	ASSERT(change->subsystem != NULL);
	ASSERT(change->parent != NULL);
	change_forward(change, subsystem_home_resume);
}

void target_subsystem_set_ana_state_submit(struct target_subsystem_change *change)
{
	ASSERT(change->subsystem != NULL);
	ASSERT(change->parent != NULL);
	if (change->ana_state < TARGET_ANA_OPTIMIZED ||
	    change->ana_state > TARGET_ANA_INACCESSIBLE) {
		change->result = -EINVAL;
		op_done(change->parent);
		return;
	}
	change->subsystem->ana_state_on_main = change->ana_state;
	change_forward(change, subsystem_home_set_ana_state);
}

void target_subsystem_set_allowed_hosts_submit(struct target_subsystem_change *change)
{
	struct target_subsystem *subsystem = change->subsystem;

	ASSERT(change->subsystem != NULL);
	ASSERT(change->parent != NULL);
	ASSERT(!subsystem->is_leaving);
	if (!host_names_are_valid(change->allowed_hosts, change->allowed_host_count)) {
		change->result = -EINVAL;
		op_done(change->parent);
		return;
	}
	allowed_hosts_fill(subsystem->hosts_on_main, change->allowed_hosts,
			   change->allowed_host_count);
	discovery_changed(subsystem->target);
	change_forward(change, subsystem_home_set_allowed_hosts);
}

void target_subsystem_inspect_submit(struct target_subsystem_inspect *inspect)
{
	ASSERT(!inspect->subsystem->is_leaving);
	ASSERT(inspect->parent != NULL);
	inspect->call = (struct reactor_call){.parent = inspect->parent,
					      .origin = inspect->subsystem->target->main,
					      .target = inspect->subsystem->home,
					      .function = subsystem_home_inspect};
	reactor_call_submit(&inspect->call);
}

/* ---- plain questions ---- */

struct target_subsystem *target_find_subsystem(struct target *target, const char *nqn)
{
	ASSERT(target->main != NULL);
	ASSERT(nqn != NULL);
	list_for_each (node, &target->subsystems) {
		struct target_subsystem *subsystem =
			list_entry(node, struct target_subsystem, link);

		if (strcmp(subsystem->nqn, nqn) == 0)
			return subsystem;
	}
	return NULL;
}

struct target_subsystem *target_subsystem_next(struct target *target,
					       struct target_subsystem *previous)
{
	struct list_node *node = previous == NULL ? target->subsystems.next : previous->link.next;

	ASSERT(target->main != NULL);
	ASSERT(previous == NULL || previous->target == target);
	return node == &target->subsystems ? NULL : list_entry(node, struct target_subsystem, link);
}

const char *target_subsystem_nqn(const struct target_subsystem *subsystem)
{
	ASSERT(!subsystem->is_discovery);
	ASSERT(subsystem->nqn[0] != '\0');
	return subsystem->nqn;
}

struct bdev *target_subsystem_bdev(const struct target_subsystem *subsystem)
{
	ASSERT(!subsystem->is_discovery);
	ASSERT(subsystem->bdev != NULL);
	return subsystem->bdev;
}

enum target_ana_state target_subsystem_ana_state(const struct target_subsystem *subsystem)
{
	ASSERT(!subsystem->is_discovery);
	ASSERT(subsystem->ana_state_on_main >= TARGET_ANA_OPTIMIZED);
	return subsystem->ana_state_on_main;
}

uint32_t target_subsystem_allowed_host_count(const struct target_subsystem *subsystem)
{
	ASSERT(!subsystem->is_discovery);
	ASSERT(subsystem->hosts_on_main->count <= TARGET_ALLOWED_HOSTS_MAX);
	return subsystem->hosts_on_main->count;
}

const char *target_subsystem_allowed_host(const struct target_subsystem *subsystem, uint32_t index)
{
	ASSERT(!subsystem->is_discovery);
	ASSERT(index < subsystem->hosts_on_main->count);
	return subsystem->hosts_on_main->nqn[index];
}
