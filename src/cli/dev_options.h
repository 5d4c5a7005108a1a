/* SPDX-License-Identifier: Apache-2.0 */
/* dev_options.h - the command line of `mayastor dev`: commands, options, help. */
#ifndef CLI_DEV_OPTIONS_H
#define CLI_DEV_OPTIONS_H

#include "cli/dev_state.h"

#include <stdio.h>

#define DEV_DIRECTORY_BYTES 256

enum dev_command {
	DEV_UP,
	DEV_STATUS,
	DEV_DOWN,
	DEV_ATTACH,
	DEV_DETACH,
	DEV_START,
	DEV_KILL,
	DEV_HEAL,
	DEV_REACTORS,
};
#define DEV_COMMAND_COUNT 9

enum dev_output { DEV_OUTPUT_TABLE, DEV_OUTPUT_JSON, DEV_OUTPUT_YAML };

enum dev_given { /* options that were written, for those where it matters */
		 DEV_GIVEN_NODES = 1 << 0,
		 DEV_GIVEN_REPLICAS = 1 << 1,
		 DEV_GIVEN_SIZE = 1 << 2,
		 DEV_GIVEN_DEVICE_SIZE = 1 << 3,
		 DEV_GIVEN_VOLUME = 1 << 4,
		 DEV_GIVEN_CORES = 1 << 5,
		 DEV_GIVEN_BASE_PORT = 1 << 6,
};

struct dev_options {
	enum dev_command command;
	uint32_t given;			     /* of enum dev_given */
	char directory[DEV_DIRECTORY_BYTES]; /* "": the default one */
	uint32_t node_count;
	uint32_t replica_count;
	uint64_t size_bytes;
	uint64_t device_bytes; /* 0: as small as the volume permits */
	char volume[DEV_NAME_BYTES];
	uint32_t core_count; /* 0: all, in turn */
	uint32_t cores[DEV_CORES_MAX];
	uint16_t base_port; /* 0: free ones are looked for */
	enum dev_via via;   /* DEV_VIA_NONE: the best there is */
	enum dev_output output;
	int signal;
	bool is_purge;
	bool is_forced;
	bool is_no_heal;
	char node[DEV_NAME_BYTES]; /* start, kill */
};

enum dev_parse {
	DEV_PARSE_RUN,
	DEV_PARSE_DONE,	 /* help was shown: exit 0 */
	DEV_PARSE_WRONG, /* the reason was written: exit 2 */
};

/**
 * dev_options_parse - @argv[0] is the word "dev"
 * Help goes to @out, one sentence about what is wrong to @err.
 */
enum dev_parse dev_options_parse(int argc, char **argv, struct dev_options *ret_options, FILE *out,
				 FILE *err) __attribute__((warn_unused_result));

/** "up", "status" ... */
const char *dev_command_name(enum dev_command command);

#endif
