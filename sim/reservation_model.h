/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_model.h - the rules of reservations for a few hosts, as the standard has them (NVMe
 * base 2.0, sections 7.2 to 7.5 and 8.19); pure. Written without a look at the target's.
 */
#ifndef SIM_RESERVATION_MODEL_H
#define SIM_RESERVATION_MODEL_H

#include "sim/reservation_check.h"

struct reservation_state {
	uint32_t generation;
	uint8_t keys[HISTORY_HOSTS_MAX]; /* 0: not registered */
	uint8_t type;			 /* enum nvme_reservation_type */
	uint8_t holder;			 /* 0 with types 5 and 6, and without a reservation */
	uint8_t is_persistent;
	uint8_t unused;
};

/** Changes @state if it is granted. Not for reports. @can_persist: the target keeps on request. */
enum reservation_answer reservation_model_apply(struct reservation_state *state, uint32_t host,
						const struct nvme_reservation *request,
						bool can_persist);
bool reservation_model_allows(const struct reservation_state *state, uint32_t host, bool is_write);
bool reservation_model_is_holder(const struct reservation_state *state, uint32_t host);

#endif
