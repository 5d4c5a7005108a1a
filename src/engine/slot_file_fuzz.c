/* SPDX-License-Identifier: Apache-2.0 */
/* slot_file_fuzz.c - any bytes as a slot. */
#include "base/assert.h"
#include "engine/slot_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t slot[SLOT_BYTES] = {0};
	struct slot_view view;

	memcpy(slot, data, size < sizeof(slot) ? size : sizeof(slot));
	if (slot_decode(slot, &view))
		ASSERT(view.content + view.content_bytes <= slot + sizeof(slot));
	return 0;
}
