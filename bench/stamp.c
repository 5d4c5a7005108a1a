/* SPDX-License-Identifier: Apache-2.0 */
/* stamp.c - layout and check of stamped blocks, and the ledger of generations.
 *
 *	 0  8  magic
 *	 8  8  block
 *	16  8  seed
 *	24  4  generation
 *	28  4  CRC-32C of all other bytes of the block
 *	32  -  words that follow from the three numbers
 *
 * Invariants of the ledger:
 *  1. oldest <= newest; newest is the last generation that a write began with.
 *  2. oldest < newest only while a write is under way or its outcome is in doubt.
 *  3. oldest 0 means that no write of the unit was acknowledged yet: anything may be read.
 */
#include "bench/stamp.h"

#include "base/assert.h"
#include "base/bitmap.h"
#include "base/crc32c.h"
#include "base/le.h"
#include "base/memory.h"

#include <errno.h>

#define STAMP_MAGIC 0x64616f6c6179616dull /* "mayaload" */

struct stamp_layout {
	struct le64 magic;
	struct le64 block;
	struct le64 seed;
	struct le32 generation;
	struct le32 crc;
};
STATIC_ASSERT(sizeof(struct stamp_layout) == 32);

struct ledger {
	struct ledger_expectation *units;
	struct bitmap *acquired;
	uint64_t unit_count;
	uint64_t doubtful_count;
};

static uint32_t stamp_crc(const uint8_t *bytes, uint32_t block_bytes)
{
	const size_t crc_offset = offsetof(struct stamp_layout, crc);
	const size_t rest_offset = sizeof(struct stamp_layout);
	uint32_t crc = crc32c_update(CRC32C_INIT, bytes, crc_offset);

	return crc32c_finish(crc32c_update(crc, bytes + rest_offset, block_bytes - rest_offset));
}

/* Different for every place and generation, so that a torn block shows in the checksum. */
static uint64_t stamp_word(const struct stamp *stamp)
{
	return (stamp->seed ^ stamp->block * 0x9e3779b97f4a7c15ull) +
	       (uint64_t)stamp->generation * 0xd1342543de82ef95ull;
}

void stamp_write(uint8_t *bytes, uint32_t block_bytes, const struct stamp *stamp)
{
	struct stamp_layout *layout = (struct stamp_layout *)bytes;
	uint64_t word = stamp_word(stamp);

	ASSERT(block_bytes >= sizeof(*layout) && block_bytes % sizeof(word) == 0);
	ASSERT(stamp->generation > 0);
	for (uint32_t at = sizeof(*layout); at < block_bytes; at += sizeof(word)) {
		word += 0x9e3779b97f4a7c15ull;
		memcpy(bytes + at, &word, sizeof(word));
	}
	layout->magic = le64_store(STAMP_MAGIC);
	layout->block = le64_store(stamp->block);
	layout->seed = le64_store(stamp->seed);
	layout->generation = le32_store(stamp->generation);
	layout->crc = le32_store(stamp_crc(bytes, block_bytes));
}

enum stamp_verdict stamp_check(const uint8_t *bytes, uint32_t block_bytes,
			       const struct stamp *wanted,
			       const struct ledger_expectation *expectation,
			       struct stamp *ret_found)
{
	const struct stamp_layout *layout = (const struct stamp_layout *)bytes;

	ASSERT(expectation->oldest > 0 && expectation->oldest <= expectation->newest);
	ret_found->block = le64_load(layout->block);
	ret_found->seed = le64_load(layout->seed);
	ret_found->generation = le32_load(layout->generation);
	if (le64_load(layout->magic) != STAMP_MAGIC)
		return STAMP_NOT_STAMPED;
	if (le32_load(layout->crc) != stamp_crc(bytes, block_bytes))
		return STAMP_DAMAGED;
	if (ret_found->seed != wanted->seed)
		return STAMP_OTHER_RUN;
	if (ret_found->block != wanted->block)
		return STAMP_OTHER_BLOCK;
	if (ret_found->generation < expectation->oldest)
		return STAMP_TOO_OLD;
	if (ret_found->generation > expectation->newest)
		return STAMP_TOO_NEW;
	return STAMP_OK;
}

const char *stamp_verdict_text(enum stamp_verdict verdict)
{
	switch (verdict) {
	case STAMP_OK:
		return "as expected";
	case STAMP_NOT_STAMPED:
		return "not a block of this program: an acknowledged write was lost or overwritten";
	case STAMP_DAMAGED:
		return "damaged or torn: the checksum does not hold";
	case STAMP_OTHER_BLOCK:
		return "holds what belongs to another block: a misdirected write or read";
	case STAMP_OTHER_RUN:
		return "holds data of another run or device: an acknowledged write was lost";
	case STAMP_TOO_OLD:
		return "too old: an acknowledged write was lost";
	case STAMP_TOO_NEW:
		return "too new: holds a generation that was never written";
	}
	return "unknown verdict";
}

int ledger_create(uint64_t unit_count, struct ledger **ret_ledger)
{
	struct ledger *ledger;
	int rc = -ENOMEM;

	if (unit_count == 0 || unit_count > LEDGER_UNITS_MAX)
		return -EINVAL;
	ledger = memory_alloc(sizeof(*ledger));
	if (ledger == NULL)
		return -ENOMEM;
	ledger->unit_count = unit_count;
	ledger->units = memory_alloc_array(unit_count, sizeof(ledger->units[0]));
	if (ledger->units == NULL)
		goto fail_ledger;
	rc = bitmap_create(unit_count, &ledger->acquired);
	if (rc < 0)
		goto fail_units;
	*ret_ledger = ledger;
	return 0;

fail_units:
	memory_free(ledger->units);
fail_ledger:
	memory_free(ledger);
	return rc;
}

void ledger_destroy(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	ASSERT(bitmap_set_count(ledger->acquired) == 0);
	bitmap_destroy(ledger->acquired);
	memory_free(ledger->units);
	memory_free(ledger);
}

bool ledger_acquire(struct ledger *ledger, uint64_t unit)
{
	ASSERT(unit < ledger->unit_count);
	if (bitmap_is_set(ledger->acquired, unit))
		return false;
	bitmap_set(ledger->acquired, unit);
	return true;
}

void ledger_release(struct ledger *ledger, uint64_t unit)
{
	ASSERT(bitmap_is_set(ledger->acquired, unit));
	bitmap_clear(ledger->acquired, unit);
}

bool ledger_is_unknown(const struct ledger *ledger, uint64_t unit)
{
	ASSERT(unit < ledger->unit_count);
	return ledger->units[unit].oldest == 0;
}

uint32_t ledger_write_begin(struct ledger *ledger, uint64_t unit)
{
	struct ledger_expectation *expectation = &ledger->units[unit];

	ASSERT(bitmap_is_set(ledger->acquired, unit));
	ASSERT(expectation->newest < UINT32_MAX);
	/* What was in doubt stays so until an answer tells more. */
	if (expectation->oldest < expectation->newest)
		ledger->doubtful_count--;
	expectation->newest++;
	return expectation->newest;
}

void ledger_write_end(struct ledger *ledger, uint64_t unit, bool is_acknowledged)
{
	struct ledger_expectation *expectation = &ledger->units[unit];

	ASSERT(bitmap_is_set(ledger->acquired, unit));
	ASSERT(expectation->oldest < expectation->newest);
	if (is_acknowledged)
		expectation->oldest = expectation->newest;
	else
		ledger->doubtful_count++;
}

struct ledger_expectation ledger_expectation(const struct ledger *ledger, uint64_t unit)
{
	ASSERT(unit < ledger->unit_count);
	return ledger->units[unit];
}

uint64_t ledger_doubtful_count(const struct ledger *ledger)
{
	return ledger->doubtful_count;
}
