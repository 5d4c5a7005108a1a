/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_diagnostics.c - the Diagnostics service: what the reactors did, for operators and benchmarks.
 *
 * Counters are read where they are: asking sends no message and takes no lock, so that two answers
 * differ by what the I/O between them cost, and by this call's own work on the main reactor.
 */
#include "engine/engine_impl.h"

#include "api/mayastor_c/v1/diagnostics.pb-c.h"

static void reactor_message_fill(const struct reactor *reactor,
				 MayastorC__V1__ReactorStats *ret_message)
{
	struct reactor_stats stats;

	reactor_stats(reactor, &stats);
	mayastor_c__v1__reactor_stats__init(ret_message);
	ret_message->index = reactor_index(reactor);
	ret_message->turns = stats.turns;
	ret_message->sleeps = stats.sleeps;
	ret_message->completions = stats.completions;
	ret_message->ops = stats.ops_run;
	ret_message->messages = stats.messages;
	ret_message->enters = stats.enters;
	ret_message->spin_ns = stats.spin_ns;
	ret_message->cpu_ns = stats.cpu_ns;
	ret_message->yields = stats.yields;
}

static uint64_t device_locks(struct engine *engine)
{
	uint64_t count = 0;

	for (struct bdev *bdev = bdev_next(engine->registry, NULL); bdev != NULL;
	     bdev = bdev_next(engine->registry, bdev))
		count += bdev_lock_count(bdev);
	return count;
}

static void reactor_stats_handle(struct rpc_call *call)
{
	MayastorC__V1__GetReactorStatsResponse response =
		MAYASTOR_C__V1__GET_REACTOR_STATS_RESPONSE__INIT;
	MayastorC__V1__ReactorStats messages[REACTORS_MAX];
	MayastorC__V1__ReactorStats *list[REACTORS_MAX];
	struct engine *engine = call->user;

	ASSERT(engine->reactor_count <= REACTORS_MAX);
	for (uint32_t i = 0; i < engine->reactor_count; i++) {
		reactor_message_fill(engine->reactors[i], &messages[i]);
		list[i] = &messages[i];
	}
	response.n_reactors = engine->reactor_count;
	response.reactors = list;
	response.device_locks = device_locks(engine);
	rpc_call_reply(call, &response.base);
}

static const struct rpc_method diagnostics_methods[] = {
	{"GetReactorStats", reactor_stats_handle},
};

static const struct rpc_service diagnostics_service = {
	&mayastor_c__v1__diagnostics__descriptor,
	diagnostics_methods,
	sizeof(diagnostics_methods) / sizeof(diagnostics_methods[0]),
};

void rpc_diagnostics_register(struct engine *engine)
{
	rpc_server_add_service(engine->rpc, &diagnostics_service, engine);
}
