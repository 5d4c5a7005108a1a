/* SPDX-License-Identifier: Apache-2.0 */
/* export.c - a bdev becomes a subsystem of the target, under the names hosts know.
 *
 * Invariants:
 *  1. A bdev has at most one export.
 *  2. The reservations' file lives longer than the subsystem that uses it.
 */
#include "engine/engine_impl.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum export_create_step {
	EXPORT_PREPARE, /* names, reservations */
	EXPORT_OPEN,	/* the subsystem */
	EXPORT_KEEP,
	EXPORT_HOSTS, /* it is exported already: change the hosts */
	EXPORT_HOSTS_KEPT,
	EXPORT_ANSWER,
};

struct export *export_find(struct engine *engine, const struct bdev *bdev)
{
	list_for_each (node, &engine->exports) {
		struct export *export = list_entry(node, struct export, link);

		if (export->bdev == bdev)
			return export;
	}
	return NULL;
}

void export_uri(const struct export *export, char ret_uri[SHARE_URI_BYTES])
{
	const struct engine_options *options = export->engine->options;
	bool is_ipv6 = strchr(options->target_ip, ':') != NULL;
	struct os_address listening;

	ASSERT(export->subsystem != NULL);
	target_listener_address(export->engine->target, 0, &listening);
	snprintf(ret_uri, SHARE_URI_BYTES, "nvmf+tcp://%s%s%s:%u/%s", is_ipv6 ? "[" : "",
		 options->target_ip, is_ipv6 ? "]" : "", os_address_port(&listening),
		 target_subsystem_nqn(export->subsystem));
}

static int export_fail(struct export_create *create, int result, const char *text)
{
	create->result = result;
	snprintf(create->error, sizeof(create->error), "%.300s: %s", create->bdev->name, text);
	return result;
}

/* Reservations persist when a directory was given, for nexuses. */
static int reservations_prepare(struct export_create *create)
{
	const struct engine_options *options = create->engine->options;
	struct reactor *home = create->subsystem.home;
	char uuid[UUID_TEXT_BYTES];
	char path[OPTIONS_PATH_BYTES + 64];
	int rc;

	if (options->ptpl_directory[0] == '\0' || create->nexus == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/nexus", options->ptpl_directory);
	rc = os_directory_create(reactor_os(create->engine->main), path);
	if (rc != 0)
		return export_fail(create, rc, "the directory for reservations cannot be made");
	uuid_format(nexus_uuid(create->nexus), uuid);
	snprintf(path, sizeof(path), "%s/nexus/%s.json", options->ptpl_directory, uuid);
	rc = reservation_file_create(home, path, create->engine->log,
				     &create->export->reservations);
	if (rc != 0)
		return export_fail(create, rc, "no memory");
	create->subsystem.reservation_store = reservation_file_store(create->export->reservations);
	return 0;
}

static void subsystem_fill(struct export_create *create)
{
	struct target_subsystem_create *subsystem = &create->subsystem;
	struct bdev *bdev = create->bdev;

	memset(subsystem, 0, sizeof(*subsystem));
	subsystem->parent = &create->op;
	subsystem->target = create->engine->target;
	subsystem->bdev = bdev;
	subsystem->uuid = bdev->uuid;
	subsystem->home = bdev->home != NULL ? bdev->home : engine_home_choose(create->engine);
	subsystem->error_class = TARGET_ERRORS_OF_REPLICA;
	subsystem->allowed_hosts = create->allowed_hosts;
	subsystem->allowed_host_count = create->allowed_host_count;
	target_serial_from_uuid(&bdev->uuid, subsystem->serial);
	if (create->nexus == NULL)
		return;
	subsystem->error_class = TARGET_ERRORS_OF_NEXUS;
	subsystem->is_ana_reporting = create->engine->options->is_ana_enabled;
	subsystem->cntlid_min = (uint16_t)nexus_controller_id_min(create->nexus);
	subsystem->cntlid_max = (uint16_t)nexus_controller_id_max(create->nexus);
}

static int export_prepare(struct export_create *create)
{
	struct export *export = memory_alloc(sizeof(*export));

	if (export == NULL)
		return export_fail(create, -ENOMEM, "no memory");
	list_init(&export->link);
	export->engine = create->engine;
	export->bdev = create->bdev;
	export->is_nexus = create->nexus != NULL;
	create->export = export;
	subsystem_fill(create);
	if (target_nqn_format(create->bdev->name, create->subsystem.nqn) != 0)
		return export_fail(create, -EINVAL,
				   "the name is too long for an NQN of 223 characters");
	return reservations_prepare(create);
}

static void export_forget(struct export *export)
{
	if (export == NULL)
		return;
	reservation_file_destroy(export->reservations);
	memory_free(export);
}

/* Lists the export, or undoes what was prepared. */
static void export_keep(struct export_create *create)
{
	create->result = create->subsystem.result;
	if (create->result == 0) {
		create->export->subsystem = create->subsystem.subsystem;
		list_push_back(&create->engine->exports, &create->export->link);
		return;
	}
	snprintf(create->error, sizeof(create->error), "%s", create->subsystem.error);
	export_forget(create->export);
}

static void hosts_submit(struct export_create *create, struct export *export)
{
	create->change = (struct target_subsystem_change){
		.parent = &create->op,
		.subsystem = export->subsystem,
		.allowed_hosts = create->allowed_hosts,
		.allowed_host_count = create->allowed_host_count,
	};
	op_wait(&create->op);
	target_subsystem_set_allowed_hosts_submit(&create->change);
}

static void export_create_run(struct op *op)
{
	struct export_create *create = container_of(op, struct export_create, op);

	for (;;) {
		switch ((enum export_create_step)create->step) {
		case EXPORT_PREPARE:
			create->step = EXPORT_OPEN;
			if (export_find(create->engine, create->bdev) != NULL) {
				create->step = EXPORT_HOSTS;
			} else if (export_prepare(create) != 0) {
				export_forget(create->export);
				create->step = EXPORT_ANSWER;
			}
			break;
		case EXPORT_OPEN:
			create->step = EXPORT_KEEP;
			op_wait(op);
			target_subsystem_create_submit(&create->subsystem);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case EXPORT_KEEP:
			create->step = EXPORT_ANSWER;
			export_keep(create);
			break;
		case EXPORT_HOSTS:
			create->step = EXPORT_HOSTS_KEPT;
			hosts_submit(create, export_find(create->engine, create->bdev));
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case EXPORT_HOSTS_KEPT:
			create->step = EXPORT_ANSWER;
			if (create->change.result != 0)
				export_fail(create, create->change.result,
					    "the list of allowed hosts has too many or malformed "
					    "NQNs");
			break;
		case EXPORT_ANSWER:
			op_done(create->parent);
			return;
		}
	}
}

void export_create_submit(struct export_create *create)
{
	ASSERT(create->engine != NULL && create->bdev != NULL && create->parent != NULL);
	create->step = EXPORT_PREPARE;
	create->result = 0;
	create->error[0] = '\0';
	create->export = NULL;
	op_init(&create->op, reactor_ready(create->engine->main), export_create_run);
	op_start(&create->op);
}

/* Entered once, when the subsystem is gone. */
static void export_destroy_run(struct op *op)
{
	struct export_destroy *destroy = container_of(op, struct export_destroy, op);

	destroy->result = destroy->change.result;
	export_forget(destroy->export);
	destroy->export = NULL;
	op_done(destroy->parent);
}

void export_destroy_submit(struct export_destroy *destroy)
{
	struct export *export = destroy->export;

	ASSERT(export != NULL && export->subsystem != NULL);
	list_remove(&export->link);
	op_init(&destroy->op, reactor_ready(export->engine->main), export_destroy_run);
	destroy->change = (struct target_subsystem_change){
		.parent = &destroy->op,
		.subsystem = export->subsystem,
	};
	op_wait(&destroy->op);
	target_subsystem_destroy_submit(&destroy->change);
	if (op_join(&destroy->op) == OP_NEXT)
		op_wake(&destroy->op);
}
