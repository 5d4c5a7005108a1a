/* SPDX-License-Identifier: Apache-2.0 */
/* record_store_fuzz.c - any text as a record, and as reservations. */
#include "base/assert.h"
#include "engine/record_store.h"
#include "engine/reservation_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target_reservation_state reservations;
	struct nexus_record record;

	if (record_decode((const char *)data, size, "key", &record) == 0)
		ASSERT(record.child_count <= NEXUS_CHILDREN_MAX);
	if (reservation_decode((const char *)data, size, &reservations) == 0)
		ASSERT(reservations.registrant_count <= TARGET_REGISTRANTS_MAX);
	return 0;
}
