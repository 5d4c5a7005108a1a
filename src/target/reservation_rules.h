/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_rules.h - who may do what under reservations, and how they change; pure functions
 * over struct target_reservation_state (NVMe base 2.0, section 8.19).
 */
#ifndef TARGET_RESERVATION_RULES_H
#define TARGET_RESERVATION_RULES_H

#include "nvme/nvme_command.h"
#include "target/reservation_store.h"

/* Whom to tell what: one entry for each host that a change concerns. */
struct reservation_notices {
	uint32_t count;
	struct {
		struct uuid host_id;
		enum nvme_reservation_notice type;
	} of[TARGET_REGISTRANTS_MAX + 1];
};

/** The table of figure 528: true when @host_id's command conflicts. */
bool reservation_conflicts(const struct target_reservation_state *state, const struct uuid *host_id,
			   bool is_write);

bool reservation_is_holder(const struct target_reservation_state *state, uint32_t index);

/** Index of @host_id, TARGET_REGISTRANTS_MAX when it is not registered. */
uint32_t reservation_find(const struct target_reservation_state *state, const struct uuid *host_id);

/**
 * reservation_change - register, acquire or release by @host_id
 * @can_persist: the namespace can keep reservations through power loss.
 * Return: SUCCESS with *state changed and @ret_notices filled, or the status with *state as it was.
 */
uint16_t reservation_change(struct target_reservation_state *state, const struct uuid *host_id,
			    const struct nvme_reservation *change, bool can_persist,
			    struct reservation_notices *ret_notices);

#endif
