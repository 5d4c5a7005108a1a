/* SPDX-License-Identifier: Apache-2.0 */
/* test_catalogue.h - a catalogue of wrong input as a test program: each row of a table is a test of
 * its own, known by its name.
 *
 *	program                     runs all of them, or those that CMOCKA_TEST_FILTER names
 *	program --list              prints their names, one a line
 *	program --only PART [N]     runs those whose name has PART in it, N times
 *
 * A row is any struct whose first member is its name. Invariant: no two tests of a program have
 * one name.
 */
#ifndef NVME_TEST_CATALOGUE_H
#define NVME_TEST_CATALOGUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATALOGUE_TESTS_MAX 1024

struct catalogue {
	struct CMUnitTest tests[CATALOGUE_TESTS_MAX];
	size_t count;
};

/* A row, as seen by whoever knows only that it has a name. */
struct catalogue_row {
	const char *name;
};

static inline void catalogue_add(struct catalogue *catalogue, const char *name,
				 CMUnitTestFunction function, const void *row)
{
	if (catalogue->count == CATALOGUE_TESTS_MAX) {
		(void)fprintf(stderr, "the catalogue is full\n");
		exit(2);
	}
	for (size_t i = 0; i < catalogue->count; i++) {
		if (strcmp(catalogue->tests[i].name, name) == 0) {
			(void)fprintf(stderr, "two tests are named '%s'\n", name);
			exit(2);
		}
	}
	catalogue->tests[catalogue->count++] = (struct CMUnitTest){
		.name = name, .test_func = function, .initial_state = (void *)(uintptr_t)row};
}

/* @rows: an array of structs that begin with their name; @function gets its row as *state. */
#define CATALOGUE_ADD_ROWS(catalogue, rows, function)                                           \
	do {                                                                                    \
		for (size_t row_i = 0; row_i < sizeof(rows) / sizeof((rows)[0]); row_i++)       \
			catalogue_add(catalogue, (rows)[row_i].name, function, &(rows)[row_i]); \
	} while (0)
#define CATALOGUE_ADD(catalogue, function) catalogue_add(catalogue, #function, function, NULL)

/* Leaves only the tests whose name has @part in it. */
static inline void catalogue_choose(struct catalogue *catalogue, const char *part)
{
	size_t kept = 0;

	for (size_t i = 0; i < catalogue->count; i++) {
		if (strstr(catalogue->tests[i].name, part) != NULL)
			catalogue->tests[kept++] = catalogue->tests[i];
	}
	catalogue->count = kept;
}

/* Return: the exit code. @start and @end are run once, before and behind all tests. */
static inline int catalogue_main(struct catalogue *catalogue, int argc, char **argv,
				 CMFixtureFunction start, CMFixtureFunction end)
{
	int repeats = 1, failed = 0;

	if (argc > 1 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < catalogue->count; i++)
			(void)printf("%s\n", catalogue->tests[i].name);
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "--only") == 0)
		catalogue_choose(catalogue, argv[2]);
	if (argc > 3)
		repeats = (int)strtol(argv[3], NULL, 10);
	if (catalogue->count == 0 || repeats < 1) {
		(void)fprintf(stderr, "there is nothing to run\n");
		return 2;
	}
	for (int i = 0; i < repeats && failed == 0; i++)
		failed = _cmocka_run_group_tests("catalogue", catalogue->tests, catalogue->count,
						 start, end);
	return failed;
}

#endif
