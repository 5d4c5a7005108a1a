/* SPDX-License-Identifier: Apache-2.0 */
/* options_fuzz.c - any words behind `io-engine`, one a line, and any choice of an interface. */
#include "engine/options.h"

#include "base/assert.h"
#include "base/test_words.h"
#include "engine/interface_choice.h"
#include "os/os.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 2048

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void options_check(const struct engine_options *options)
{
	ASSERT(options->core_count >= 1 && options->core_count <= REACTORS_MAX);
	ASSERT(memchr(options->node_name, '\0', sizeof(options->node_name)) != NULL);
	ASSERT(memchr(options->state_directory, '\0', sizeof(options->state_directory)) != NULL);
	ASSERT(memchr(options->ptpl_directory, '\0', sizeof(options->ptpl_directory)) != NULL);
	ASSERT(memchr(options->host_nqn, '\0', sizeof(options->host_nqn)) != NULL);
	ASSERT(memchr(options->host_id, '\0', sizeof(options->host_id)) != NULL);
	ASSERT(options->target_queue_depth > 0);
}

static void interface_check(const char *text)
{
	static const char *const addresses[] = {"127.0.0.1", "10.1.0.3", "fe80::1"};
	struct os_interface interfaces[3] = {
		{.name = "lo", .is_up = true},
		{.name = "eth0", .mac = {2, 0, 0, 0, 0, 1}, .is_up = true},
		{.name = "eth1", .mac = {2, 0, 0, 0, 0, 2}},
	};
	char host[OS_ADDRESS_TEXT_BYTES] = {0};
	char error[ERROR_TEXT_BYTES] = {0};

	for (uint32_t i = 0; i < 3; i++)
		ASSERT(os_address_parse(addresses[i], 1, &interfaces[i].address) == 0);
	if (interface_choose(text, interfaces, 3, host, error) == 0)
		ASSERT(host[0] != '\0');
	else
		ASSERT(error[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static struct os *os;
	static FILE *nowhere;
	char text[TEXT_BYTES] = {0}, first[] = "io-engine";
	char *words[TEST_WORDS_MAX + 2] = {first};
	struct engine_options options;
	int count;

	if (os == NULL) {
		ASSERT(os_open(&os) == 0);
		nowhere = fopen("/dev/null", "w");
		/* Help goes there, and getopt's own words too. */
		ASSERT(nowhere != NULL && freopen("/dev/null", "w", stdout) != NULL);
	}
	memcpy(text, bytes, size_bytes < sizeof(text) ? size_bytes : sizeof(text) - 1);
	interface_check(text);
	count = test_words_split(text, words);
	if (options_parse(os, count, words, &options, nowhere) == OPTIONS_RUN)
		options_check(&options);
	return 0;
}
