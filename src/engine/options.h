/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - what io-engine was asked to do: command line over environment over defaults.
 *
 * Option letters, environment names and defaults are those of the OpenEBS engine, so that its
 * chart and unit files start this one. Options that concern huge pages are accepted and have no
 * effect; options for what this engine cannot do are refused with the reason.
 */
#ifndef ENGINE_OPTIONS_H
#define ENGINE_OPTIONS_H

#include "base/limits.h"
#include "base/log.h"
#include "os/os_socket.h"

#include <stdio.h>

#define OPTIONS_NODE_NAME_BYTES 128
#define OPTIONS_PATH_BYTES	256

struct engine_options {
	char node_name[OPTIONS_NODE_NAME_BYTES];
	char grpc_ip[OS_ADDRESS_TEXT_BYTES];
	uint16_t grpc_port;
	char target_ip[OS_ADDRESS_TEXT_BYTES]; /* told to hosts; also listened on */
	uint16_t target_port;		       /* replicas and nexuses */
	uint16_t target_second_port;	       /* opened too, 0: not */
	uint16_t target_crdt[3];	       /* units of 100 ms */
	uint32_t target_queue_depth;
	uint32_t target_queue_pairs_max;	  /* of one controller, admin included */
	uint32_t rebuild_mib_per_second;	  /* of each rebuild; 0: no limit */
	char state_directory[OPTIONS_PATH_BYTES]; /* loss records live here */
	char ptpl_directory[OPTIONS_PATH_BYTES];  /* "": reservations do not persist */
	uint32_t core_count;
	int cores[REACTORS_MAX];
	enum log_level log_level;
	enum log_style log_style;
	bool log_has_color;
	bool log_has_date;
	bool log_has_host;
	bool is_ana_enabled;	      /* NEXUS_NVMF_ANA_ENABLE=1 */
	char host_nqn[NQN_BYTES_MAX]; /* of this node as a host of its remote children */
	char host_id[64];	      /* "": made from the node name */
	uint32_t initiator_io_timeout_ms;
	uint32_t initiator_admin_timeout_ms;
	uint32_t initiator_keep_alive_ms;
	uint32_t initiator_connect_timeout_ms;
};

enum options_outcome {
	OPTIONS_RUN,   /* start the engine */
	OPTIONS_DONE,  /* help or version was shown: exit 0 */
	OPTIONS_WRONG, /* the reason was written to the error stream: exit 2 */
};

/**
 * options_parse - read @argv and the environment of @os
 * Blocks on nothing. Messages go to @out and @err.
 */
enum options_outcome options_parse(struct os *os, int argc, char **argv,
				   struct engine_options *ret_options, FILE *err);

/** The whole --help text. */
void options_help(FILE *out);

#endif
