/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_keeper.c - one state, replaced as a whole.
 *
 * Invariants:
 *  1. Nothing of an incarnation that is gone replaces the state any more.
 *  2. A state is either kept as it was given or not at all.
 */
#include "sim/reservation_keeper.h"

#include "sim/sim_impl.h"
#include "sim/stream.h"

#include <errno.h>
#include <stdlib.h>

#define LATENCY_NS_MIN (50 * SIM_US)
#define LATENCY_NS_MAX (5 * SIM_MS)
#define ERROR_CHANCE   50 /* one of so many changes */

struct reservation_keeper {
	struct sim *sim;
	struct prng prng;
	struct list_node requests;
	bool has_state;
	struct target_reservation_state state;
};

struct keeper_request { /* of the world: outlives a crash of who asked */
	struct list_node link;
	struct reservation_keeper *keeper;
	struct sim_process *process;
	uint32_t incarnation;
	struct os_ring *ring;
	struct target_reservation_request *request;
	struct target_reservation_state state;
	bool is_load;
	bool is_kept;
	int result;
	struct sim_event event;
	struct sim_completion completion;
};

struct reservation_keeper *reservation_keeper_create(struct sim *sim)
{
	struct reservation_keeper *keeper = sim_allocate(sizeof(*keeper));

	keeper->sim = sim;
	stream_init(&keeper->prng, sim->seed, "reservations", 0);
	list_init(&keeper->requests);
	return keeper;
}

void reservation_keeper_destroy(struct reservation_keeper *keeper)
{
	if (keeper == NULL)
		return;
	/* The simulation is over before its keeper: the events went with it. */
	list_for_each (node, &keeper->requests)
		free(list_entry(node, struct keeper_request, link));
	free(keeper);
}

static void request_complete(struct sim_completion *completion)
{
	struct keeper_request *kept = container_of(completion, struct keeper_request, completion);
	struct target_reservation_request *request = kept->request;

	request->result = kept->result;
	if (kept->is_load && kept->result == 0)
		request->state = kept->state;
	list_remove(&kept->link);
	free(kept);
	op_done(request->parent);
}

static uint64_t delay_draw_ns(struct reservation_keeper *keeper)
{
	return LATENCY_NS_MIN + prng_below(&keeper->prng, LATENCY_NS_MAX - LATENCY_NS_MIN);
}

/* Twice: when it takes effect, and when that is answered. */
static void request_fire(struct sim_event *event)
{
	struct keeper_request *kept = container_of(event, struct keeper_request, event);
	struct reservation_keeper *keeper = kept->keeper;

	if (!kept->process->is_running || kept->process->incarnation != kept->incarnation) {
		list_remove(&kept->link);
		free(kept);
		return;
	}
	if (kept->is_kept) {
		sim_completion_push(kept->ring, &kept->completion);
		return;
	}
	kept->is_kept = true;
	if (kept->is_load) {
		kept->result = keeper->has_state ? 0 : -ENOENT;
		kept->state = keeper->state;
	} else if (prng_chance(&keeper->prng, 1, ERROR_CHANCE)) {
		kept->result = -EIO;
	} else {
		keeper->has_state = true;
		keeper->state = kept->state;
	}
	sim_trace(keeper->sim, "reservations kept", kept->is_load, kept->state.generation,
		  kept->result == 0);
	sim_event_schedule(keeper->sim, &kept->event, delay_draw_ns(keeper));
}

static void request_submit(struct target_reservation_store *store,
			   struct target_reservation_request *request, bool is_load)
{
	struct reservation_keeper_client *client =
		container_of(store, struct reservation_keeper_client, store);
	struct reservation_keeper *keeper = client->keeper;
	struct keeper_request *kept = sim_allocate(sizeof(*kept));

	ASSERT(request->parent != NULL && client->process->is_running);
	kept->keeper = keeper;
	kept->process = client->process;
	kept->incarnation = client->process->incarnation;
	kept->ring = client->ring;
	kept->request = request;
	kept->state = request->state;
	kept->is_load = is_load;
	kept->event.fire = request_fire;
	sim_completion_init(&kept->completion, request_complete);
	list_init(&kept->link);
	list_push_back(&keeper->requests, &kept->link);
	sim_event_schedule(keeper->sim, &kept->event, delay_draw_ns(keeper));
}

static void client_load(struct target_reservation_store *store,
			struct target_reservation_request *request)
{
	request_submit(store, request, true);
}

static void client_store(struct target_reservation_store *store,
			 struct target_reservation_request *request)
{
	request_submit(store, request, false);
}

void reservation_keeper_client_init(struct reservation_keeper_client *client,
				    struct reservation_keeper *keeper, struct sim_process *process,
				    struct os_ring *ring)
{
	ASSERT(keeper != NULL && ring != NULL);
	*client = (struct reservation_keeper_client){
		.store = {.load = client_load, .store = client_store},
		.keeper = keeper,
		.process = process,
		.ring = ring,
	};
}
