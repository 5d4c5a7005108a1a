/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_impl.h - what the files of the nemesis share: a fault, its numbers, its kind.
 *
 * nemesis.c draws when and whom; nemesis_line.c reads and writes scripts; the others have tables of
 * kinds: how each is drawn, begins, goes on, and ends.
 */
#ifndef SIM_NEMESIS_IMPL_H
#define SIM_NEMESIS_IMPL_H

#include "sim/nemesis.h"
#include "sim/sim_impl.h"
#include "sim/stream.h"

#define LINKS_BLOCKED_MAX (MACHINES_MAX * MACHINES_MAX * SIM_PLANES)

/* What stands in a line of a script. */
struct fault_line {
	enum fault fault;
	uint32_t burst;
	uint32_t one;
	uint32_t other;
	uint64_t at_us;
	uint64_t for_us;
	uint64_t a;
	uint64_t b;
	uint64_t c;
};

/* One direction of a plane between two machines. */
struct way {
	uint8_t from;
	uint8_t to;
	uint8_t plane;
	bool is_blocked; /* by this fault */
};

/* A kind's place for the one fault of it that is active. */
struct active {
	struct nemesis *nemesis;
	struct fault_line line;
	bool is_active;
	uint32_t count;
	struct sim_event step; /* of those that act again and again */
	struct sim_event end;
	struct prng stream; /* for the steps, seeded with line.c */
	uint32_t step_count;
	struct way ways[LINKS_BLOCKED_MAX];
	uint32_t way_count;
	struct sim_disk_copy *copy; /* of a disk's content */
	uint64_t size_bytes;	    /* of a disk, before */
};

enum fault_scope {
	SCOPE_DISK,    /* line.one: an engine's disk */
	SCOPE_STORE,   /* nobody */
	SCOPE_ENGINE,  /* line.one, and line.other where two are hit */
	SCOPE_HOST,    /* line.one: its machine's number */
	SCOPE_MACHINE, /* line.one: engine or host */
	SCOPE_PAIR,    /* line.one and line.other: engines or hosts */
	SCOPE_ALL,     /* whoever is not spared */
};

struct fault_kind {
	enum fault fault;
	const char *name; /* NULL: the table's end */
	enum fault_scope scope;
	bool is_local_too;
	uint64_t long_ns_max; /* 0: as most */
	/* Draws a, b and c; NULL: has none. c is drawn before, for those that need a seed. */
	void (*draw)(struct cluster *cluster, struct prng *stream, struct fault_line *line);
	/* Return: false if it cannot be done now; nothing has happened then. */
	bool (*begin)(struct cluster *cluster, struct active *active);
	/* Return: ns to the next step, 0: no more. NULL: has none; the first one comes at once. */
	uint64_t (*step)(struct cluster *cluster, struct active *active);
	/* NULL: is over by itself. */
	void (*end)(struct cluster *cluster, struct active *active);
};

extern const struct fault_kind nemesis_disk_kinds[];
extern const struct fault_kind nemesis_silent_kinds[];
extern const struct fault_kind nemesis_process_kinds[];
extern const struct fault_kind nemesis_host_kinds[];
extern const struct fault_kind nemesis_net_kinds[];

/* nemesis.c */
const struct fault_kind *fault_kind(enum fault fault);
/** Is the engine left alone, with its process? */
bool nemesis_spares_engine(const struct nemesis *nemesis, uint32_t engine);
/** Is what goes between the two machines? */
bool nemesis_spares_pair(const struct nemesis *nemesis, uint32_t one, uint32_t other);

/* nemesis_line.c */
void fault_line_write(const struct fault_line *line, FILE *file);
uint32_t nemesis_script_count(const struct nemesis_script *script);
/** In the order of bursts and times. */
const struct fault_line *nemesis_script_line(const struct nemesis_script *script, uint32_t index);

/* nemesis_process.c */
/** The process that has the disk: in the local shape the only one. */
struct engine *fault_engine(struct cluster *cluster, uint32_t index);
/** The engine of the nexus dies and comes back, if it runs. */
void nexus_bounce(struct cluster *cluster);

#endif
