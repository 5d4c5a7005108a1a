/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.h - one seed's life, and many of them. */
#ifndef SIM_CAMPAIGN_H
#define SIM_CAMPAIGN_H

#include "sim/campaign_shape.h"
#include "sim/reached_report.h"

struct campaign_options {
	uint64_t faults;		      /* FAULT_BIT()s */
	const struct campaign_script *script; /* NULL: everything is drawn */
	const char *script_written;	      /* path, NULL: none */
	bool is_local;
	bool is_twice;
	bool is_strict;
	bool is_canary; /* spoils an answer: the seed has to fail */
	bool is_traced;
	bool is_verbose;
	struct reached_report *report; /* of the marks that seeds come to */
	const char *replay;	       /* the command line without the seed */
};

/* Plain data: goes through pipes. */
struct campaign_result {
	uint64_t seed;
	bool is_good;
	uint64_t hash;
	uint64_t virtual_ns;
	uint64_t operations;
	uint64_t failed;
	uint64_t repeats;
	uint32_t faults[FAULT_COUNT];
	uint32_t actions[OPERATOR_COUNT];
};

/** Runs a seed (twice if asked for) and prints what is wrong, to stdout. */
void campaign_seed_run(const struct campaign_options *options, uint64_t seed,
		       struct campaign_result *ret_result);
/** Last words, when a signal ends the process in a seed: prints what can be said. */
void campaign_last_words(void);

/** Sums of what has been run. */
struct campaign_sum {
	uint64_t seeds;
	uint64_t virtual_ns;
	uint64_t operations;
	uint64_t failed;
	uint64_t repeats;
	uint64_t faults[FAULT_COUNT];
	uint64_t actions[OPERATOR_COUNT];
};
void campaign_sum_add(struct campaign_sum *sum, const struct campaign_result *result);
void campaign_sum_print(const struct campaign_sum *sum, double seconds);

/**
 * campaign_jobs_run - seeds first .. first + count - 1, in @job_count processes
 * Output and result are as of one: in the order of seeds, up to the first that fails.
 * Return: false if one failed.
 */
bool campaign_jobs_run(const struct campaign_options *options, uint64_t first, uint64_t count,
		       uint32_t job_count, struct campaign_sum *sum);

#endif
