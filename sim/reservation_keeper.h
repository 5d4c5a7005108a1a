/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_keeper.h - keeps reservations through crashes of their target, outside of all
 * machines.
 *
 * It stands for the files of the engine. A change is kept a little before the target hears of it; a
 * crash in between leaves it kept and not answered. Some changes fail and are not kept. One that is
 * kept although it failed is not modelled: it would come to light with the next target.
 */
#ifndef SIM_RESERVATION_KEEPER_H
#define SIM_RESERVATION_KEEPER_H

#include "sim/sim.h"
#include "target/reservation_store.h"

struct reservation_keeper;

struct reservation_keeper *reservation_keeper_create(struct sim *sim);
void reservation_keeper_destroy(struct reservation_keeper *keeper);

/* Of an incarnation of the target's process. */
struct reservation_keeper_client {
	struct target_reservation_store store;
	struct reservation_keeper *keeper;
	struct sim_process *process;
	struct os_ring *ring; /* of the subsystem's home reactor */
};

void reservation_keeper_client_init(struct reservation_keeper_client *client,
				    struct reservation_keeper *keeper, struct sim_process *process,
				    struct os_ring *ring);

#endif
