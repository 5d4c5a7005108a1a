/* SPDX-License-Identifier: Apache-2.0 */
/* load_options.h - the command line of mayastor-load. */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define LOAD_URIS_MAX	     16
#define LOAD_CONNECTIONS_MAX 256
#define LOAD_DEPTH_MAX	     1023	/* of one connection */
#define LOAD_INFLIGHT_MAX    16384	/* of all connections together */
#define LOAD_RATE_MAX	     100000000u /* I/Os a second */

enum load_exit {
	LOAD_EXIT_OK = 0,
	LOAD_EXIT_MISMATCH = 1, /* --verify read what must not be there */
	LOAD_EXIT_USAGE = 2,
	LOAD_EXIT_OPEN = 3,   /* a device could not be opened or used at all */
	LOAD_EXIT_ERRORS = 4, /* I/O was answered with errors; nothing wrong was read */
};

struct load_options {
	const char *uris[LOAD_URIS_MAX];
	uint32_t uri_count;
	uint32_t connections; /* of each URI */
	uint32_t read_percent;
	uint32_t size_bytes;
	uint32_t depth; /* of each connection */
	uint64_t duration_ns;
	uint64_t count;	     /* of I/O in all; 0: until the time is over */
	uint32_t rate;	     /* I/Os a second of all connections; 0: a closed loop */
	uint64_t idle_ns;    /* connected without I/O, at the end */
	uint64_t span_bytes; /* of a device, from its start; 0: all of it */
	uint32_t flush_every;
	bool is_sequential;
	bool is_fua;
	bool is_verifying;
	bool is_retrying;
	bool has_digests;
	bool is_seeded; /* else @seed is to be chosen */
	uint64_t seed;
	int core;	       /* -1: any */
	const char *plot_path; /* NULL: none */
	bool is_json;
};

enum load_options_outcome {
	LOAD_OPTIONS_RUN,
	LOAD_OPTIONS_DONE,  /* help was shown */
	LOAD_OPTIONS_WRONG, /* the reason was written to @err */
};

enum load_options_outcome load_options_parse(int argc, char **argv,
					     struct load_options *ret_options, FILE *err);

#endif
