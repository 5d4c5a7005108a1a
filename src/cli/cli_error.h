/* SPDX-License-Identifier: Apache-2.0 */
/* cli_error.h - how a command ended: an exit status, and one sentence when it failed.
 *
 * The sentence names the object, the reason and the way out. Whoever finds the failure writes it;
 * main.c prints it once.
 */
#ifndef CLI_CLI_ERROR_H
#define CLI_CLI_ERROR_H

#define CLI_ERROR_BYTES 1024

/* The exit status of the program; documented in mayastor-dev(1). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,	     /* it was tried and did not work */
	CLI_USAGE = 2,	     /* wrong arguments; nothing was tried */
	CLI_NOT_RUNNING = 3, /* the cluster, node or attachment that was named is not there */
};

struct cli_error {
	char text[CLI_ERROR_BYTES];
};

/** Writes the sentence. Return: @code, so that failing is one statement. */
enum cli_exit cli_fail(struct cli_error *error, enum cli_exit code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
