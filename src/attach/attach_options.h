/* SPDX-License-Identifier: Apache-2.0 */
/* attach_options.h - the command line of mayastor-attach. */
#ifndef ATTACH_ATTACH_OPTIONS_H
#define ATTACH_ATTACH_OPTIONS_H

#include "base/limits.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define ATTACH_PATH_BYTES 512

struct attach_options {
	char uri[URI_TEXT_BYTES_SHOWN];
	char mount[ATTACH_PATH_BYTES];
	char host_nqn[NQN_BYTES_MAX];	  /* "": made from the host's name */
	char log_path[ATTACH_PATH_BYTES]; /* "": standard error */
	uint32_t loss_timeout_ms;	  /* how long I/O waits for a lost connection */
	enum log_level log_level;
	bool is_foreground;
};

enum attach_parse {
	ATTACH_PARSE_RUN,
	ATTACH_PARSE_DONE,  /* help or version was shown: exit 0 */
	ATTACH_PARSE_WRONG, /* the reason was written: exit 2 */
};

/** Help goes to @out, one sentence about what is wrong to @err. */
enum attach_parse attach_options_parse(int argc, char **argv, struct attach_options *ret_options,
				       FILE *out, FILE *err) __attribute__((warn_unused_result));

#endif
