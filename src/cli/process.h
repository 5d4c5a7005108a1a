/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - background processes that a later run of the program can find and stop.
 *
 * A process writes its own identity to its record before it becomes the program that was asked
 * for, so there is no moment at which it runs and is not on record. The identity is the pid, the
 * time it was started and the boot it was started in: a pid that was given to somebody else
 * meanwhile is never signalled.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include "cli/cli_error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_BOOT_BYTES   40
#define PROCESS_RECORD_BYTES 128

struct process {
	pid_t pid;
	uint64_t start_ticks; /* since boot; field 22 of proc(5) stat */
	char boot[PROCESS_BOOT_BYTES];
};

struct process_start {
	const char *const *argv; /* argv[0] is the path of the program; ends with NULL */
	const char *log_path;	 /* standard output and error are appended to it */
	const char *record_path;
};

/** The text of a record. Return: false if @text is none. */
bool process_record_parse(const char *text, struct process *ret_process);

/**
 * process_start - start a program in a session of its own
 * Returns once it has become the program that was asked for.
 */
enum cli_exit process_start(const struct process_start *start, struct process *ret_process,
			    struct cli_error *error) __attribute__((warn_unused_result));

/** Return: true if the process on record runs. */
bool process_find(const char *record_path, struct process *ret_process);

/** Seconds since 1970 at which it was started. */
int64_t process_started_at(const struct process *process);

/**
 * process_signal - send @signal and wait until it has ended
 * @timeout_ms: how long to wait; negative: not at all, the signal is not one that ends it. Return:
 * CLI_OK when it is gone; CLI_FAILED when it still runs or may not be signalled.
 */
enum cli_exit process_signal(const struct process *process, int signal, int timeout_ms,
			     struct cli_error *error) __attribute__((warn_unused_result));

/**
 * process_stop - end the process on record: SIGTERM, after @timeout_ms SIGKILL
 * Nothing runs: done. The record is removed.
 * @ret_was_running: NULL, or told whether there was something to stop.
 */
enum cli_exit process_stop(const char *record_path, int timeout_ms, bool *ret_was_running,
			   struct cli_error *error) __attribute__((warn_unused_result));

/** Runs a program to its end. Return: its exit status, 127 if it cannot be started. */
int process_run(const char *const *argv);

#endif
