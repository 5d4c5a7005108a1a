/* SPDX-License-Identifier: Apache-2.0 */
/* dev_options_fuzz.c - any words behind `mayastor dev`, one a line. */
#include "base/assert.h"
#include "base/test_words.h"
#include "cli/dev_options.h"

#include <string.h>

#define TEXT_BYTES 1024

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void options_check(const struct dev_options *options)
{
	ASSERT((unsigned)options->command < DEV_COMMAND_COUNT);
	ASSERT(options->node_count <= DEV_NODES_MAX);
	ASSERT(options->replica_count <= options->node_count ||
	       (options->given & DEV_GIVEN_REPLICAS) == 0);
	ASSERT(options->core_count <= DEV_CORES_MAX);
	ASSERT(memchr(options->node, '\0', sizeof(options->node)) != NULL);
	ASSERT(memchr(options->volume, '\0', sizeof(options->volume)) != NULL);
	ASSERT(memchr(options->directory, '\0', sizeof(options->directory)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static FILE *nowhere;
	char text[TEXT_BYTES] = {0}, first[] = "dev";
	char *words[TEST_WORDS_MAX + 2] = {first};
	struct dev_options options;
	int count;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	ASSERT(nowhere != NULL);
	memcpy(text, bytes, size_bytes < sizeof(text) ? size_bytes : sizeof(text) - 1);
	count = test_words_split(text, words);
	if (dev_options_parse(count, words, &options, nowhere, nowhere) == DEV_PARSE_RUN)
		options_check(&options);
	return 0;
}
