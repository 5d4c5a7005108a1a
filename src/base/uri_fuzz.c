/* SPDX-License-Identifier: Apache-2.0 */
/* uri_fuzz.c - any text either is refused or has parts that are texts inside the storage. */
#include "base/uri.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void text_check(const struct uri *uri, const char *text)
{
	if (text[0] == '\0')
		return; /* may be a constant */
	ASSERT(text >= uri->storage && text < uri->storage + sizeof(uri->storage));
	ASSERT(memchr(text, '\0', (size_t)(uri->storage + sizeof(uri->storage) - text)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	char text[URI_TEXT_BYTES_MAX + 16] = {0};
	char error[64] = {0};
	struct uri uri;

	memcpy(text, bytes, size_bytes < sizeof(text) ? size_bytes : sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	if (uri_parse(text, &uri, error, sizeof(error)) < 0) {
		ASSERT(error[0] != '\0');
		return 0;
	}
	text_check(&uri, uri.scheme);
	text_check(&uri, uri.host);
	text_check(&uri, uri.path);
	ASSERT(uri.parameter_count <= URI_PARAMETERS_MAX);
	for (uint32_t i = 0; i < uri.parameter_count; i++) {
		text_check(&uri, uri.parameters[i].name);
		text_check(&uri, uri.parameters[i].value);
	}
	return 0;
}
