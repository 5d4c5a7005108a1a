/* SPDX-License-Identifier: Apache-2.0 */
/* engine_run.h - an engine's process: what engine*.c share. In the memory of the process. */
#ifndef SIM_ENGINE_RUN_H
#define SIM_ENGINE_RUN_H

#include "reactor/reactor.h"
#include "sim/cluster.h"
#include "sim/engine_network.h"

#define REACTORS_OF_ENGINE 2

enum boot_step {
	BOOT_TARGET,  /* listen */
	BOOT_REPLICA, /* open the own disk and export it */
	BOOT_NEXUS,   /* over the copies */
	BOOT_VOLUME,  /* export the nexus */
	BOOT_WORK,    /* local shape: begin the workload */
	BOOT_OVER,
};

enum mend_step {
	MEND_LOOK,
	MEND_JUDGE,
	MEND_ACT, /* one request to the nexus */
	MEND_UNSHARE,
	MEND_UNSHARED,
	MEND_DESTROYED,
	MEND_REST,
};

enum end_step {
	END_RESUME, /* the volume's I/O */
	END_UNSHARE,
	END_NEXUS,
	END_REPLICA,
	END_DISK,
	END_TARGET,
	END_FREE,
};

/* A request of the nexus that takes a child or nothing. */
typedef void (*nexus_call)(struct nexus *nexus, struct nexus_request *request);

struct engine_run {
	struct engine *engine;
	struct reactor *reactors[REACTORS_OF_ENGINE];
	uint32_t reactor_count;
	struct bdev_registry *registry;
	struct log log;
	/* booting */
	struct op boot;
	enum boot_step boot_step;
	bool is_asking;
	bool is_booting; /* and not resting between two tries */
	uint32_t tries;	 /* of the nexus */
	struct reactor_timer boot_timer;
	struct engine_network *network; /* NULL in the local shape */
	/* nexus */
	struct store_client store;
	struct nexus_set *set;
	struct nexus_create create;
	struct nexus_record record;
	struct nexus *nexus;
	char uris[ENGINES_MAX][URI_TEXT_BYTES_SHOWN];
	struct bdev_channel *channel; /* local shape: the workload's */
	/* mending */
	struct op mend;
	bool is_mending; /* and not resting between two looks */
	enum mend_step mend_step;
	struct reactor_timer mend_timer;
	uint64_t mend_pause_ns;
	struct nexus_request request;
	struct nexus_info info;
	char mend_uri[URI_TEXT_BYTES_SHOWN];
	nexus_call call;
	enum nexus_action action;
	enum engine_wish wish;			   /* that is being fulfilled */
	bool is_paused;				   /* the volume's I/O, by a wish */
	char rebuild_paused[URI_TEXT_BYTES_SHOWN]; /* "": none */
	/* the orderly end */
	bool is_ending;
	bool is_restarting;
	struct op end;
	enum end_step end_step;
};

/* engine.c */
/** Goes on booting at @step after a pause. */
void engine_boot_again(struct engine_run *run, enum boot_step step, uint64_t pause_ns);

/* engine_nexus.c */
void engine_child_uri(struct engine_run *run, uint32_t child, char ret_uri[URI_TEXT_BYTES_SHOWN]);
/** Begins the creation. Return: false when it must not be tried now. */
bool engine_nexus_submit(struct engine_run *run);
bool engine_nexus_judge(struct engine_run *run);

/* engine_mend.c */
void engine_mend_init(struct engine_run *run);
/** The nexus is there. */
void engine_mend_begin(struct engine_run *run);

/* engine_end.c */
void engine_end_init(struct engine_run *run);
/** Boot or mending have come to rest while the end waits for them. */
void engine_end_go_on(struct engine_run *run);

#endif
