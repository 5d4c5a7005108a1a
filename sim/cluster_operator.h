/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_operator.h - what operators and control planes do to a volume while it works.
 *
 * As with faults, a burst is the time between operator_start() and operator_stop(), and what was
 * done is a script that can be run instead of drawing:
 *
 *     operator move burst=1 at_us=12345678 for_us=500000 one=3 other=5
 *
 *   burst, at_us	in this burst, so long after its beginning
 *   for_us		the hold: for so long nothing is mended, or the volume stays away
 *   one, other		the n-th engine of those that can be meant (those that have a copy, those
 *that have none, all), counted round
 *
 * A number that is left out is 0. An action that cannot be done then is skipped.
 */
#ifndef SIM_CLUSTER_OPERATOR_H
#define SIM_CLUSTER_OPERATOR_H

#include "sim/cluster.h"

enum operator_action {
	OPERATOR_OFFLINE,	/* of a child */
	OPERATOR_FAULT,		/* of a child */
	OPERATOR_REBUILD_PAUSE, /* of the next one, or of one that runs */
	OPERATOR_REBUILD_STOP,
	OPERATOR_PAUSE, /* of the volume's I/O */
	OPERATOR_REPUBLISH,
	OPERATOR_RECREATE, /* the nexus is destroyed in order and made again */
	OPERATOR_MOVE,	   /* a copy from @one to @other: the new one first */
	OPERATOR_SWAP,	   /* the old one first */
	OPERATOR_SHRINK,   /* one copy less */
	OPERATOR_GROW,	   /* one more */
	OPERATOR_RESTART,  /* an engine ends in order and boots again */
	OPERATOR_COUNT,
};

const char *operator_action_name(enum operator_action action);

struct operator_line {
	enum operator_action action;
	uint32_t burst;
	uint32_t one;
	uint32_t other;
	uint64_t at_ns;
	uint64_t for_ns;
};

struct operator_script {
	struct operator_line *lines;
	uint32_t count;
	uint32_t capacity;
};
void operator_script_deinit(struct operator_script *script);
bool operator_script_is_line(const char *line);
/** Return: false when it cannot be understood. */
bool operator_script_add(struct operator_script *script, const char *line);

#define OPERATOR_NOBODY UINT32_MAX

struct operator_options {
	uint32_t spared_engine; /* its copy stays, it and the nexus' engine run on; or NOBODY */
	const struct operator_script *script; /* NULL: draws. Outlives it */
};

struct operator;
struct operator* operator_create(struct cluster *cluster, const struct operator_options *options);
void operator_destroy(struct operator* operator);
void operator_start(struct operator* operator);
/** Takes back what was wished and not begun, and ends the hold. */
void operator_stop(struct operator* operator);
uint32_t operator_count(const struct operator* operator, enum operator_action action);
/** What was done up to now, one line an action. */
void operator_script_write(const struct operator* operator, FILE * file);

#endif
