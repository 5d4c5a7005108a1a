/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - one record, compared and replaced as a store with transactions would do.
 *
 * Invariant: (epoch, sequence) of the record never goes down, and no record of an epoch below the
 * last one taken is accepted.
 */
#include "sim/store.h"

#include "sim/sim_impl.h"

#include <stdlib.h>

#define LATENCY_NS_MIN (200 * SIM_US)
#define LATENCY_NS_MAX (20 * SIM_MS)
#define AWAY_NS	       (500 * SIM_MS)

struct store {
	struct sim *sim;
	struct list_node requests;
	bool is_away;
	uint32_t lost_answer_chance;
	uint64_t extra_ns;
	uint64_t epoch;
	bool has_record;
	struct nexus_record record;
	void (*stored)(void *argument);
	void *argument;
};

struct store_request { /* of the world: outlives a crash of who asked */
	struct list_node link;
	struct store *store;
	struct sim_process *process;
	uint32_t incarnation;
	struct os_ring *ring;
	struct nexus_record_io *io;
	struct nexus_record record;
	bool is_load;
	enum nexus_record_result result;
	struct sim_event event;
	struct sim_completion completion;
};

struct store *store_create(struct sim *sim)
{
	struct store *store = sim_allocate(sizeof(*store));

	store->sim = sim;
	list_init(&store->requests);
	return store;
}

void store_destroy(struct store *store)
{
	list_for_each (node, &store->requests) {
		/* The simulation is over before its store: the event went with it. */
		free(list_entry(node, struct store_request, link));
	}
	free(store);
}

void store_set_away(struct store *store, bool is_away)
{
	sim_trace(store->sim, "store away", is_away, 0, 0);
	store->is_away = is_away;
}

void store_set_lost_answers(struct store *store, uint32_t chance)
{
	store->lost_answer_chance = chance;
}

void store_set_slow(struct store *store, uint64_t extra_ns)
{
	sim_trace(store->sim, "store slow", extra_ns, 0, 0);
	store->extra_ns = extra_ns;
}

bool store_is_idle(const struct store *store)
{
	list_for_each (node, &store->requests) {
		if (sim_event_is_scheduled(&list_entry(node, struct store_request, link)->event))
			return false;
	}
	return true;
}

uint64_t store_take_epoch(struct store *store)
{
	store->epoch++;
	return store->epoch;
}

const struct nexus_record *store_record(const struct store *store)
{
	return store->has_record ? &store->record : NULL;
}

void store_watch(struct store *store, void (*stored)(void *argument), void *argument)
{
	store->stored = stored;
	store->argument = argument;
}

static uint64_t healthy_mask(const struct nexus_record *record)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < record->child_count; i++)
		mask |= (uint64_t)record->children[i].is_healthy
			<< record->children[i].uuid.bytes[15];
	return mask;
}

static enum nexus_record_result record_store(struct store *store, const struct nexus_record *record)
{
	if (record->epoch < store->epoch)
		return NEXUS_RECORD_FENCED;
	if (store->has_record && store->record.epoch == record->epoch &&
	    store->record.sequence >= record->sequence)
		return NEXUS_RECORD_OK; /* it is there already, or a later one is */
	store->record = *record;
	store->has_record = true;
	if (store->stored != NULL)
		store->stored(store->argument);
	return NEXUS_RECORD_OK;
}

static void request_complete(struct sim_completion *completion)
{
	struct store_request *request = container_of(completion, struct store_request, completion);
	struct nexus_record_io *io = request->io;

	io->result = request->result;
	if (request->is_load && request->result == NEXUS_RECORD_OK)
		io->record = request->record;
	list_remove(&request->link);
	free(request);
	op_done(io->parent);
}

static void request_fire(struct sim_event *event)
{
	struct store_request *request = container_of(event, struct store_request, event);
	struct store *store = request->store;
	bool is_alive = request->process->is_running &&
			request->process->incarnation == request->incarnation;

	if (store->is_away) {
		request->result = NEXUS_RECORD_FAILED;
	} else if (request->is_load) {
		request->result = store->has_record ? NEXUS_RECORD_OK : NEXUS_RECORD_NONE;
		request->record = store->record;
	} else {
		request->result = record_store(store, &request->record);
		if (sim_chance(store->sim, store->lost_answer_chance, 10000))
			request->result = NEXUS_RECORD_FAILED;
	}
	sim_trace(store->sim, "record", request->record.sequence, healthy_mask(&request->record),
		  request->result);
	if (is_alive) {
		sim_completion_push(request->ring, &request->completion);
		return;
	}
	list_remove(&request->link);
	free(request);
}

static void request_submit(struct nexus_recorder *recorder, struct nexus_record_io *io,
			   bool is_load)
{
	struct store_client *client = container_of(recorder, struct store_client, recorder);
	struct store_request *request = sim_allocate(sizeof(*request));
	struct store *store = client->store;
	uint64_t delay_ns = sim_draw(store->sim, LATENCY_NS_MIN, LATENCY_NS_MAX);

	request->store = store;
	request->process = client->process;
	request->incarnation = client->process->incarnation;
	request->ring = client->ring;
	request->io = io;
	request->is_load = is_load;
	if (!is_load)
		request->record = io->record;
	request->event.fire = request_fire;
	sim_completion_init(&request->completion, request_complete);
	list_init(&request->link);
	list_push_back(&store->requests, &request->link);
	delay_ns += store->extra_ns;
	sim_event_schedule(store->sim, &request->event, store->is_away ? AWAY_NS : delay_ns);
}

static void client_store(struct nexus_recorder *recorder, struct nexus_record_io *io)
{
	request_submit(recorder, io, false);
}

static void client_load(struct nexus_recorder *recorder, struct nexus_record_io *io)
{
	request_submit(recorder, io, true);
}

static const struct nexus_recorder_ops client_ops = {.store = client_store, .load = client_load};

void store_client_init(struct store_client *client, struct store *store,
		       struct sim_process *process, struct os_ring *ring)
{
	*client = (struct store_client){
		.recorder = {.ops = &client_ops},
		.store = store,
		.process = process,
		.ring = ring,
	};
}
