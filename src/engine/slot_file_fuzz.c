/* SPDX-License-Identifier: Apache-2.0 */
/* slot_file_fuzz.c - any bytes as a slot, as they are and again with a checksum that matches, for
 * otherwise hardly any input would come past it.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/le.h"
#include "engine/slot_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void slot_check(const uint8_t *slot)
{
	struct slot_view view;

	if (!slot_decode(slot, &view))
		return;
	ASSERT(view.sequence > 0);
	ASSERT(view.content >= slot + SLOT_HEADER_BYTES);
	ASSERT(view.content + view.content_bytes <= slot + SLOT_BYTES);
}

/* As slot_file.c writes it; a length beyond the slot is left to the decoder to refuse. */
static void slot_sign(uint8_t *slot)
{
	struct le32 length, crc;
	uint32_t sum = crc32c_update(CRC32C_INIT, slot + 8, 12);

	memcpy(slot, "MAYSLOT1", 8);
	memcpy(&length, slot + 16, sizeof(length));
	if (le32_load(length) <= SLOT_CONTENT_BYTES_MAX)
		sum = crc32c_update(sum, slot + SLOT_HEADER_BYTES, le32_load(length));
	crc = le32_store(crc32c_finish(sum));
	memcpy(slot + 20, &crc, sizeof(crc));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t slot[SLOT_BYTES] = {0};

	memcpy(slot, data, size < sizeof(slot) ? size : sizeof(slot));
	slot_check(slot);
	slot_sign(slot);
	slot_check(slot);
	return 0;
}
