/* SPDX-License-Identifier: Apache-2.0 */
/* text_fuzz.c - any text as a size, a duration, an identifier and a log level.
 *
 * What is accepted must survive being written and read again.
 */
#include "base/assert.h"
#include "base/log.h"
#include "base/size.h"
#include "base/uuid.h"

#include <string.h>
#include <strings.h>

#define TEXT_BYTES 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void uuid_check(const char *text)
{
	char again[UUID_TEXT_BYTES];
	struct uuid uuid;

	if (!uuid_parse(text, &uuid))
		return;
	uuid_format(&uuid, again);
	ASSERT(strcasecmp(text, again) == 0);
}

/* A size that is a whole number of its unit is read back as itself; others are shown rounded. */
static void size_check(const char *text)
{
	char shown[SIZE_TEXT_BYTES];
	uint64_t size_bytes, again_bytes;

	if (size_parse(text, &size_bytes) != 0)
		return;
	size_format(size_bytes, shown);
	ASSERT(memchr(shown, '\0', sizeof(shown)) != NULL);
	/* Rounded up, the largest of all would be 16 EiB, which is one byte too many to read. */
	if (size_parse(shown, &again_bytes) != 0)
		ASSERT(size_bytes > UINT64_MAX - (UINT64_MAX >> 7));
	else if (size_bytes < 1024)
		ASSERT(again_bytes == size_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	char text[TEXT_BYTES] = {0};
	enum log_level level;
	uint64_t duration_ns;

	memcpy(text, bytes, size_bytes < sizeof(text) ? size_bytes : sizeof(text) - 1);
	size_check(text);
	uuid_check(text);
	(void)!duration_parse(text, &duration_ns);
	(void)log_level_parse(text, &level);
	return 0;
}
