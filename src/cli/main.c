/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program `mayastor`: chooses the group of commands, prints what went wrong. */
#include "cli/dev_cluster.h"

#include <stdio.h>
#include <string.h>

static void help_print(FILE *out)
{
	fputs("Usage: mayastor GROUP COMMAND [OPTIONS]\n\n"
	      "Groups:\n"
	      "  dev        a whole storage cluster on this machine; see `mayastor dev --help`\n\n"
	      "Options:\n"
	      "  -h, --help     show this text\n"
	      "  -V, --version  show the version\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong arguments, 3 not there or not running.\n",
	      out);
}

static enum cli_exit dev_main(int argc, char **argv)
{
	struct dev_options options;
	struct cli_error error;
	enum cli_exit rc;

	switch (dev_options_parse(argc, argv, &options, stdout, stderr)) {
	case DEV_PARSE_DONE:
		return CLI_OK;
	case DEV_PARSE_WRONG:
		return CLI_USAGE;
	case DEV_PARSE_RUN:
		break;
	}
	rc = dev_command_run(&options, &error);
	fflush(stdout);
	if (rc != CLI_OK && error.text[0] != '\0')
		fprintf(stderr, "mayastor: %s\n", error.text);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("mayastor: a command is missing; see `mayastor --help`\n", stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help_print(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("mayastor " MAYASTOR_VERSION);
		return CLI_OK;
	}
	if (strcmp(argv[1], "dev") == 0)
		return dev_main(argc - 1, argv + 1);
	fprintf(stderr, "mayastor: '%s' is unknown; see `mayastor --help`\n", argv[1]);
	return CLI_USAGE;
}
