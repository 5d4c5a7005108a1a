/* SPDX-License-Identifier: Apache-2.0 */
/* engine_impl.h - what the files of this folder share: the engine and its exports. */
#ifndef ENGINE_ENGINE_IMPL_H
#define ENGINE_ENGINE_IMPL_H

#include "block/bdev_registry.h"
#include "engine/engine.h"
#include "engine/name_lock.h"
#include "engine/record_store.h"
#include "engine/reservation_files.h"
#include "nexus/nexus.h"
#include "rpc/rpc_server.h"
#include "target/target.h"

#define SHARE_URI_BYTES 512

/* A bdev that is exported by the target. */
struct export
{
	struct engine *engine;
	struct target_subsystem *subsystem;
	struct reservation_file *reservations; /* NULL: they do not persist */
	struct bdev *bdev;
	bool is_nexus;
	struct list_node link;
};

/* Exports a bdev, or changes the hosts of an export; embed. */
struct export_create {
	struct op *parent; /* gets one op_done() */
	struct engine *engine;
	struct bdev *bdev;
	struct nexus *nexus;		  /* NULL for a plain bdev */
	const char *const *allowed_hosts; /* valid until done */
	uint32_t allowed_host_count;
	int result;
	char error[ERROR_TEXT_BYTES];
	/* private */
	struct op op;
	int step;
	struct export *export;
	struct target_subsystem_create subsystem;
	struct target_subsystem_change change;
};

struct export_destroy {
	struct op *parent; /* gets one op_done() */
	struct export *export;
	int result;
	/* private */
	struct op op;
	struct target_subsystem_change change;
};

struct engine {
	struct reactor *main; /* owner of everything here */
	const struct engine_options *options;
	struct log *log;
	struct reactor *reactors[REACTORS_MAX]; /* [0] is main */
	struct os_thread *threads[REACTORS_MAX];
	uint32_t reactor_count;
	uint32_t home_next; /* where the next volume goes */
	struct uuid instance_uuid;
	struct bdev_registry *registry;
	struct record_store *records;
	struct nexus_set *nexuses;
	struct target *target;
	struct rpc_server *rpc;
	struct name_locks locks;
	struct list_node exports;
	uint32_t jobs; /* management calls in work */

	/* start and stop */
	struct op op;
	bool is_stopping;
	bool is_stopped;
	uint32_t step;		 /* index into the table of steps */
	bool is_step_open;	 /* its start has begun and is not judged yet */
	int result;		 /* of the step that runs */
	uint32_t address_tries;	 /* of the step, while its address was in use */
	bool is_address_awaited; /* the step is begun again when the timer fires */
	struct reactor_timer address_timer;
	char error[ERROR_TEXT_BYTES];
	struct target_options target_options;
	struct target_create target_create;
	struct nexus_request nexus_request;
	struct bdev_destroy bdev_destroy;
	struct export_destroy export_destroy;
};

/** NULL when @bdev is not exported. */
struct export *export_find(struct engine *engine, const struct bdev *bdev);

/** Exports, or when it is exported replaces the allowed hosts. op_wait(parent) before. */
void export_create_submit(struct export_create *create);
/** Frees the export. op_wait(parent) before. */
void export_destroy_submit(struct export_destroy *destroy);

/** "nvmf+tcp://<host>:<port>/<nqn>". */
void export_uri(const struct export *export, char ret_uri[SHARE_URI_BYTES]);

/** The reactor that the next volume is to live on. */
struct reactor *engine_home_choose(struct engine *engine);

/* The services; each registers its handlers. */
void rpc_bdev_register(struct engine *engine);
void rpc_nexus_register(struct engine *engine);
void rpc_host_register(struct engine *engine);
void rpc_diagnostics_register(struct engine *engine);

#endif
