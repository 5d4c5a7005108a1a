/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - an engine of a campaign: a machine with a disk, and what its process boots.
 *
 * Everything that an engine has lives in the memory of its process and vanishes with it; struct
 * engine is what the machine's owner knows. All functions here: between turns (sim.h).
 */
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "nexus/nexus.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"

#define ENGINES_MAX 7

struct cluster;
struct engine_run;

struct engine {
	struct cluster *cluster;
	uint32_t index;
	struct sim_process *process; /* local shape: of engine 0 only */
	struct sim_disk *disk;
	struct engine_run *run;	  /* of the incarnation; NULL while down */
	bool is_up;		  /* everything that it should serve is there */
	struct sim_event replace; /* of a nexus that has stopped itself */
	struct sim_event end;	  /* private: of an orderly end */
	uint32_t end_looks;	  /* private */
};

/* What the control plane wants from the nexus' engine, one thing at a time. */
enum engine_wish {
	WISH_NOTHING,
	WISH_OFFLINE,	    /* a child */
	WISH_FAULT,	    /* a child */
	WISH_REBUILD_PAUSE, /* of one that runs, as soon as one does; goes on after the hold */
	WISH_REBUILD_STOP,  /* likewise */
	WISH_PAUSE,	    /* the I/O of the volume, until the hold is over */
	WISH_REPUBLISH,	    /* takes it from its hosts and gives it back */
	WISH_RECREATE,	    /* destroys the nexus and makes it again */
};

void engine_init(struct engine *engine, struct cluster *cluster, uint32_t index);
/** Begins the boot of a process that runs and has nothing yet. */
void engine_boot(struct engine *engine);
void engine_crash(struct engine *engine, enum sim_crash crash);
/** Restarts the process and boots. */
void engine_restart(struct engine *engine);
/**
 * engine_shutdown - begins an orderly end
 * Whatever its process still holds in the end is a leak: cluster->error. @is_restarting: it boots
 * again at once. Return: false if it is down or ending already.
 */
bool engine_shutdown(struct engine *engine, bool is_restarting);

#endif
