/* SPDX-License-Identifier: Apache-2.0 */
/* process_test.c - processes are found by their record, and only they; with real processes. */
#include "cli/process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char folder[64];
	char record[128];
	char log[128];
};

static int place_make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (place == NULL)
		return -1;
	snprintf(place->folder, sizeof(place->folder), "/tmp/process_test.XXXXXX");
	if (mkdtemp(place->folder) == NULL)
		return -1;
	snprintf(place->record, sizeof(place->record), "%s/process", place->folder);
	snprintf(place->log, sizeof(place->log), "%s/log", place->folder);
	*state = place;
	return 0;
}

static int place_remove(void **state)
{
	struct place *place = *state;
	struct cli_error error;

	if (process_stop(place->record, 1000, NULL, &error) != CLI_OK)
		return -1;
	unlink(place->log);
	rmdir(place->folder);
	free(place);
	return 0;
}

static struct process shell_start(struct place *place, const char *script)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct process_start start = {argv, place->log, place->record};
	struct process process = {0};
	struct cli_error error;

	if (process_start(&start, &process, &error) != CLI_OK)
		fail_msg("%s", error.text);
	return process;
}

static void a_started_process_is_found_and_stopped(void **state)
{
	struct place *place = *state;
	struct process process = shell_start(place, "echo hello; exec sleep 100");
	struct process found = {0};
	struct cli_error error;
	bool was_running;

	assert_true(process_find(place->record, &found));
	assert_int_equal(found.pid, process.pid);
	assert_int_equal(found.start_ticks, process.start_ticks);
	assert_int_equal(getsid(found.pid), found.pid); /* the terminal's signals miss it */
	assert_true(process_started_at(&found) > 1600000000);
	assert_int_equal(process_stop(place->record, 5000, &was_running, &error), CLI_OK);
	assert_true(was_running);
	assert_false(process_find(place->record, &found));
	assert_int_equal(access(place->record, F_OK), -1);
	assert_int_equal(process_stop(place->record, 5000, &was_running, &error), CLI_OK);
	assert_false(was_running);
}

static void a_recycled_pid_is_not_signalled(void **state)
{
	struct place *place = *state;
	struct process process = shell_start(place, "exec sleep 100");
	struct process stranger = process;
	struct process found;
	struct cli_error error;
	char text[PROCESS_RECORD_BYTES];
	FILE *file = fopen(place->record, "w");

	/* The record of a process that ended long ago and had this pid. */
	stranger.start_ticks--;
	snprintf(text, sizeof(text), "%d %llu %s\n", (int)stranger.pid,
		 (unsigned long long)stranger.start_ticks, stranger.boot);
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_false(process_find(place->record, &found));
	assert_int_equal(process_signal(&stranger, SIGKILL, 1000, &error), CLI_OK);
	assert_int_equal(process_stop(place->record, 1000, NULL, &error), CLI_OK);
	assert_int_equal(waitpid(process.pid, NULL, WNOHANG), 0); /* alive */
	assert_int_equal(process_signal(&process, SIGKILL, 5000, &error), CLI_OK);
}

static void another_boot_is_another_process(void **state)
{
	struct place *place = *state;
	struct process process = shell_start(place, "exec sleep 100");
	struct process other = process;
	struct cli_error error;

	other.boot[0] = other.boot[0] == '0' ? '1' : '0';
	assert_int_equal(process_signal(&other, SIGKILL, 1000, &error), CLI_OK);
	assert_int_equal(waitpid(process.pid, NULL, WNOHANG), 0);
}

static void a_zombie_does_not_run(void **state)
{
	struct place *place = *state;
	struct process process = shell_start(place, "exec sleep 100");
	struct process found;

	assert_int_equal(kill(process.pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)process.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_false(process_find(place->record, &found));
	assert_int_equal(waitpid(process.pid, NULL, 0), process.pid);
}

static void one_that_ignores_sigterm_is_killed(void **state)
{
	struct place *place = *state;
	struct process process;
	struct cli_error error;
	char text[8] = "";

	process = shell_start(place, "trap '' TERM; echo up; while :; do sleep 1; done");
	/* The trap is set once the word is in the log. */
	for (int i = 0; i < 500 && text[0] != 'u'; i++) {
		FILE *log = fopen(place->log, "r");

		if (log != NULL && fgets(text, sizeof(text), log) == NULL)
			usleep(10000);
		if (log != NULL)
			fclose(log);
	}
	assert_int_equal(process_signal(&process, SIGTERM, 200, &error), CLI_FAILED);
	assert_int_equal(process_stop(place->record, 100, NULL, &error), CLI_OK);
}

static void a_program_that_is_not_there_is_told(void **state)
{
	struct place *place = *state;
	const char *const argv[] = {"/nowhere/program", NULL};
	struct process_start start = {argv, place->log, place->record};
	struct process process;
	struct cli_error error;

	assert_int_equal(process_start(&start, &process, &error), CLI_FAILED);
	assert_non_null(strstr(error.text, "/nowhere/program"));
	assert_non_null(strstr(error.text, "No such file"));
}

static void a_log_that_cannot_be_written_is_told(void **state)
{
	struct place *place = *state;
	const char *const argv[] = {"/bin/true", NULL};
	struct process_start start = {argv, "/nowhere/log", place->record};
	struct process process;
	struct cli_error error;

	assert_int_equal(process_start(&start, &process, &error), CLI_FAILED);
}

static void records_are_checked(void **state)
{
	struct process process = {.pid = 42};

	(void)state;
	assert_true(process_record_parse("17 99 0a1b-2c\n", &process));
	assert_int_equal(process.pid, 17);
	assert_int_equal(process.start_ticks, 99);
	assert_string_equal(process.boot, "0a1b-2c");
	assert_false(process_record_parse("", &process));
	assert_false(process_record_parse("1 99 0a1b\n", &process));
	assert_false(process_record_parse("-1 99 0a1b\n", &process));
	assert_false(process_record_parse("17 99\n", &process));
	assert_false(process_record_parse("17 99 0a1b more\n", &process));
	assert_false(process_record_parse("17 99 zz\n", &process));
	assert_int_equal(process.pid, 17);
}

static void a_program_can_be_run_to_its_end(void **state)
{
	const char *const fails[] = {"sh", "-c", "exit 3", NULL};
	const char *const missing[] = {"/nowhere/program", NULL};

	(void)state;
	assert_int_equal(process_run(fails), 3);
	assert_int_equal(process_run(missing), 127);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_started_process_is_found_and_stopped, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(a_recycled_pid_is_not_signalled, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(another_boot_is_another_process, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(a_zombie_does_not_run, place_make, place_remove),
		cmocka_unit_test_setup_teardown(one_that_ignores_sigterm_is_killed, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(a_program_that_is_not_there_is_told, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(a_log_that_cannot_be_written_is_told, place_make,
						place_remove),
		cmocka_unit_test(records_are_checked),
		cmocka_unit_test(a_program_can_be_run_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
