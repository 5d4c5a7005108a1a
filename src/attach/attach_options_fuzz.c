/* SPDX-License-Identifier: Apache-2.0 */
/* attach_options_fuzz.c - any words behind `mayastor-attach`, one a line. */
#include "attach/attach_options.h"
#include "base/assert.h"
#include "base/test_words.h"

#include <string.h>

#define TEXT_BYTES 2048

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static FILE *nowhere;
	char text[TEXT_BYTES] = {0}, first[] = "mayastor-attach";
	char *words[TEST_WORDS_MAX + 2] = {first};
	struct attach_options options;
	int count;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	ASSERT(nowhere != NULL);
	memcpy(text, bytes, size_bytes < sizeof(text) ? size_bytes : sizeof(text) - 1);
	count = test_words_split(text, words);
	if (attach_options_parse(count, words, &options, nowhere, nowhere) == ATTACH_PARSE_RUN) {
		ASSERT(options.uri[0] != '\0' && options.mount[0] != '\0');
		ASSERT(memchr(options.uri, '\0', sizeof(options.uri)) != NULL);
		ASSERT(memchr(options.mount, '\0', sizeof(options.mount)) != NULL);
		ASSERT(memchr(options.host_nqn, '\0', sizeof(options.host_nqn)) != NULL);
		ASSERT(memchr(options.log_path, '\0', sizeof(options.log_path)) != NULL);
	}
	return 0;
}
