/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_store.h - where reservations that persist through power loss are kept.
 *
 * The target declares it, the engine implements it (a file a subsystem). Calls come from the
 * subsystem's home reactor, one at a time; each answers with one op_done() on its parent, on that
 * same reactor, perhaps before it returns.
 */
#ifndef TARGET_RESERVATION_STORE_H
#define TARGET_RESERVATION_STORE_H

#include "base/op.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define TARGET_REGISTRANTS_MAX 64

struct target_registrant {
	struct uuid host_id; /* 128-bit host identifier */
	uint64_t key;
};

/* NVMe base 2.0, section 8.19. */
struct target_reservation_state {
	bool is_persistent; /* PTPLS */
	uint8_t type;	    /* RTYPE 1..6; 0: no reservation is held */
	uint32_t generation;
	uint32_t registrant_count;
	uint32_t holder_index; /* meaningful unless type is 0 or one of all registrants (5, 6) */
	struct target_registrant registrants[TARGET_REGISTRANTS_MAX];
};

struct target_reservation_request {
	struct op *parent;		       /* gets one op_done() */
	struct target_reservation_state state; /* load: filled in; store: what to keep */
	/* load: 0, -ENOENT when nothing was kept, or an error; store: 0 once durable, or an error
	 */
	int result;
	uint64_t private_words[16]; /* the implementation's own */
};

struct target_reservation_store {
	void (*load)(struct target_reservation_store *store,
		     struct target_reservation_request *request);
	void (*store)(struct target_reservation_store *store,
		      struct target_reservation_request *request);
	void *user;
};

#endif
