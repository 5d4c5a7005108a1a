/* SPDX-License-Identifier: Apache-2.0 */
/* nth_engine.c - a whole engine and its gRPC client: options, start, devices, exports, a volume,
 * stop; calls are made, cancelled, and repeated.
 *
 * Every call has a client of its own, so that all memory of the connection is back after it.
 */
#include "engine/engine_impl.h"
#include "mayastor/v1/bdev.pb-c.h"
#include "mayastor/v1/host.pb-c.h"
#include "mayastor/v1/nexus.pb-c.h"
#include "rpc/rpc_client.h"
#include "sim/net_impl.h"
#include "sim/nth.h"

#include <errno.h>
#include <string.h>

#define DISK_BYTES   (24 << 20)
#define GRPC_PORT    10124
#define QUICK_NS_MAX (5 * SIM_S)
#define DISK_UUID    "c1000000-0000-4000-8000-000000000000"
#define VOLUME	     "e0000000-0000-4000-8000-0000000000ff"
#define DISK_URI     "aio://" NTH_DISK_PATH "?blk_size=512&uuid=" DISK_UUID
#define RAM_URI	     "malloc:///ram?size_mb=4&blk_size=512"
#define MORE_URI     "malloc:///more?size_mb=16&uuid=c1000000-0000-4000-8000-000000000002"

struct engine_state {
	struct nth_box *server;
	struct nth_box *caller;
	struct reactor *main;
	struct engine_options options;
	struct engine *engine;
	struct rpc_client *client;
	struct rpc_client_call call;
	struct nexus_request request;
	struct nexus_info info;
};

static void begin(struct nth_run *run)
{
	struct engine_state *state = run->state;

	state->server = nth_box_add(run, "engine", "10.0.0.1");
	state->caller = nth_box_add(run, "client", "10.0.0.2");
	nth_disk_add(state->server, DISK_BYTES);
}

static bool caller_start(struct nth_run *run)
{
	return nth_box_start(((struct engine_state *)run->state)->caller, 1);
}

static bool caller_stop(struct nth_run *run)
{
	return nth_box_stop(((struct engine_state *)run->state)->caller);
}

/* ---- the engine ---- */

static bool engine_has_answered(void *argument)
{
	const struct engine_state *state = argument;

	return engine_is_stopped(state->engine) ||
	       listener_find(state->server->process, GRPC_PORT) != NULL;
}

static bool engine_has_stopped(void *argument)
{
	return engine_is_stopped(((const struct engine_state *)argument)->engine);
}

static void engine_free(struct engine_state *state)
{
	struct nth_box *server = state->server;

	server->registry = NULL;
	server->target = NULL;
	nth_enter(server);
	engine_destroy(state->engine);
	sim_reactor_remove(server->process, state->main);
	reactor_destroy(state->main);
	sim_leave(NULL);
	server->reactor_count = 0;
	state->engine = NULL;
	state->main = NULL;
}

static bool options_read(struct nth_run *run)
{
	static const char *const arguments[] = {
		"io-engine",   "-N",	     "node",  "--grpc-ip",   "10.0.0.1",
		"--grpc-port", "10124",	     "-T",    "ip:10.0.0.1", "--state-dir",
		"/state",      "--ptpl-dir", "/ptpl", "-l",	     "0"};
	struct engine_state *state = run->state;
	FILE *err = fmemopen(run->error, sizeof(run->error), "w");
	enum options_outcome outcome;

	ASSERT(err != NULL);
	outcome = options_parse(sim_process_os(state->server->process),
				sizeof(arguments) / sizeof(arguments[0]),
				(char **)(uintptr_t)arguments, &state->options, err);
	fclose(err);
	return outcome == OPTIONS_RUN;
}

static int engine_make(struct engine_state *state)
{
	struct nth_box *server = state->server;
	struct reactor_options options;
	int rc;

	reactor_options_default(&options);
	options.small_buffer_count = 16;
	options.large_buffer_count = 8;
	options.receive_buffer_count = 16;
	rc = reactor_create(sim_process_os(server->process), &options, &state->main);
	if (rc < 0)
		return rc;
	rc = engine_create(state->main, &state->options, &server->log, &state->engine);
	if (rc < 0) {
		reactor_destroy(state->main);
		return rc;
	}
	sim_reactor_add(server->process, state->main);
	server->reactors[0] = state->main;
	server->reactor_count = 1;
	engine_start(state->engine);
	return 0;
}

static bool engine_begin(struct nth_run *run)
{
	struct engine_state *state = run->state;
	int rc;

	nth_enter(state->server);
	rc = options_read(run) ? engine_make(state) : -EINVAL;
	sim_leave(NULL);
	if (rc < 0)
		return run->error[0] != '\0' ? false : nth_error(run, "%s", strerror(-rc));
	if (sim_run(run->sim, engine_has_answered, state, NTH_STEP_NS_MAX) != SIM_REACHED)
		nth_bad(run, "the engine neither serves nor stops");
	if (!engine_is_stopped(state->engine)) {
		state->server->registry = state->engine->registry;
		state->server->target = state->engine->target;
		return true;
	}
	nth_error(run, "%s", engine_error(state->engine));
	engine_free(state);
	return false;
}

static bool engine_end(struct nth_run *run)
{
	struct engine_state *state = run->state;

	nth_enter(state->server);
	engine_stop(state->engine);
	sim_leave(NULL);
	state->server->registry = NULL;
	state->server->target = NULL;
	if (sim_run(run->sim, engine_has_stopped, state, NTH_STEP_NS_MAX) != SIM_REACHED) {
		nth_bad(run, "the engine does not stop");
		return nth_error(run, "it runs on");
	}
	engine_free(state);
	return true;
}

/* ---- calls ---- */

static bool client_open(struct nth_run *run)
{
	struct engine_state *state = run->state;
	struct rpc_client_options options;
	struct os_address address;
	int rc = os_address_parse("10.0.0.1", GRPC_PORT, &address);

	ASSERT(rc == 0);
	rpc_client_options_default(&options);
	options.log = &state->caller->log;
	nth_enter(state->caller);
	rc = rpc_client_create(state->caller->reactors[0], &address, &options, &state->client);
	sim_leave(NULL);
	return rc == 0 || nth_error(run, "client: %s", strerror(-rc));
}

static bool client_close(struct nth_run *run)
{
	struct engine_state *state = run->state;

	nth_begin(state->caller, state->caller->reactors[0]);
	rpc_client_close(state->client, &state->caller->op);
	return nth_end(state->caller);
}

struct method {
	const char *name;
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *response;
	bool is_cancelled;	 /* as soon as it was sent */
	bool is_quick;		 /* needs no disk: a refusal comes at once, too */
	enum rpc_status settled; /* what a repeated call may answer: the first one took effect */
};

/* Return: false when the answer is none that @method may give. */
static bool call_judge(struct nth_run *run, const struct method *method)
{
	struct engine_state *state = run->state;
	const struct rpc_client_call *call = &state->call;

	if (call->status == RPC_OK || (method->is_cancelled && call->status == RPC_CANCELLED))
		return true;
	if (!run->faults->is_counting && call->status == method->settled)
		return true;
	return nth_error(run, "%s: %s: %s", method->name, rpc_status_name(call->status),
			 call->text);
}

static bool call(struct nth_run *run, const struct method *method)
{
	struct engine_state *state = run->state;
	uint64_t begun_ns = sim_now_ns(run->sim);
	bool is_ok;

	if (!client_open(run))
		return false;
	nth_begin(state->caller, state->caller->reactors[0]);
	state->call = (struct rpc_client_call){
		.parent = &state->caller->op,
		.method = method->name,
		.request = method->request,
		.response_type = method->response,
		.timeout_ns = 30 * SIM_S,
	};
	rpc_client_call_submit(state->client, &state->call);
	if (method->is_cancelled)
		rpc_client_call_cancel(&state->call);
	if (!nth_end(state->caller))
		return false;
	is_ok = call_judge(run, method);
	if (method->is_quick && run->faults->first_kind == NTH_MEMORY &&
	    sim_now_ns(run->sim) - begun_ns > QUICK_NS_MAX)
		nth_bad(run, "%s: without memory nobody tells the caller so", method->name);
	nth_enter(state->caller);
	rpc_client_call_release(&state->call);
	sim_leave(NULL);
	return client_close(run) && is_ok;
}

static bool info(struct nth_run *run)
{
	Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;

	return call(run, &(struct method){
				 .name = "/mayastor.v1.HostRpc/GetMayastorInfo",
				 .request = &request.base,
				 .response = &mayastor__v1__mayastor_info_response__descriptor,
				 .is_quick = true,
				 .is_cancelled = run->argument == 1,
			 });
}

static bool controllers_list(struct nth_run *run)
{
	Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;

	return call(run,
		    &(struct method){
			    .name = "/mayastor.v1.HostRpc/ListNvmeControllers",
			    .request = &request.base,
			    .response = &mayastor__v1__list_nvme_controllers_response__descriptor,
		    });
}

static bool device_create(struct nth_run *run)
{
	Mayastor__V1__CreateBdevRequest request = MAYASTOR__V1__CREATE_BDEV_REQUEST__INIT;

	request.uri = (char *)(uintptr_t)RAM_URI;
	return call(run, &(struct method){
				 .name = "/mayastor.v1.BdevRpc/Create",
				 .request = &request.base,
				 .response = &mayastor__v1__create_bdev_response__descriptor,
				 .settled = RPC_ALREADY_EXISTS,
			 });
}

static bool device_list(struct nth_run *run)
{
	Mayastor__V1__ListBdevOptions request = MAYASTOR__V1__LIST_BDEV_OPTIONS__INIT;

	return call(run, &(struct method){
				 .name = "/mayastor.v1.BdevRpc/List",
				 .request = &request.base,
				 .response = &mayastor__v1__list_bdev_response__descriptor,
				 .is_quick = true,
			 });
}

static bool device_share(struct nth_run *run)
{
	Mayastor__V1__BdevShareRequest request = MAYASTOR__V1__BDEV_SHARE_REQUEST__INIT;

	request.name = (char *)(uintptr_t) "ram";
	request.protocol = MAYASTOR__V1__SHARE_PROTOCOL__NVMF;
	return call(run, &(struct method){
				 .name = "/mayastor.v1.BdevRpc/Share",
				 .request = &request.base,
				 .response = &mayastor__v1__bdev_share_response__descriptor,
			 });
}

static bool device_unshare(struct nth_run *run)
{
	Mayastor__V1__BdevUnshareRequest request = MAYASTOR__V1__BDEV_UNSHARE_REQUEST__INIT;

	request.name = (char *)(uintptr_t) "ram";
	return call(run, &(struct method){
				 .name = "/mayastor.v1.BdevRpc/Unshare",
				 .request = &request.base,
				 .response = &google__protobuf__empty__descriptor,
			 });
}

static bool device_destroy(struct nth_run *run)
{
	Mayastor__V1__DestroyBdevRequest request = MAYASTOR__V1__DESTROY_BDEV_REQUEST__INIT;

	request.uri = (char *)(uintptr_t)RAM_URI;
	return call(run, &(struct method){
				 .name = "/mayastor.v1.BdevRpc/Destroy",
				 .request = &request.base,
				 .response = &google__protobuf__empty__descriptor,
				 .settled = RPC_NOT_FOUND,
			 });
}

static bool volume_create(struct nth_run *run)
{
	Mayastor__V1__CreateNexusRequest request = MAYASTOR__V1__CREATE_NEXUS_REQUEST__INIT;
	char *children[] = {(char *)(uintptr_t)DISK_URI, (char *)(uintptr_t)MORE_URI};

	request.name = (char *)(uintptr_t) "volume";
	request.uuid = (char *)(uintptr_t)VOLUME;
	request.size = 4 << 20;
	request.mincntlid = 1;
	request.maxcntlid = 100;
	request.n_children = 2;
	request.children = children;
	return call(run, &(struct method){
				 .name = "/mayastor.v1.NexusRpc/CreateNexus",
				 .request = &request.base,
				 .response = &mayastor__v1__create_nexus_response__descriptor,
				 .settled = RPC_ALREADY_EXISTS,
			 });
}

static bool volume_list(struct nth_run *run)
{
	Mayastor__V1__ListNexusOptions request = MAYASTOR__V1__LIST_NEXUS_OPTIONS__INIT;

	return call(run, &(struct method){
				 .name = "/mayastor.v1.NexusRpc/ListNexus",
				 .request = &request.base,
				 .response = &mayastor__v1__list_nexus_response__descriptor,
				 .is_quick = true,
			 });
}

static bool volume_publish(struct nth_run *run)
{
	Mayastor__V1__PublishNexusRequest request = MAYASTOR__V1__PUBLISH_NEXUS_REQUEST__INIT;

	request.uuid = (char *)(uintptr_t)VOLUME;
	request.key = (char *)(uintptr_t) "";
	request.share = MAYASTOR__V1__SHARE_PROTOCOL__NVMF;
	return call(run, &(struct method){
				 .name = "/mayastor.v1.NexusRpc/PublishNexus",
				 .request = &request.base,
				 .response = &mayastor__v1__publish_nexus_response__descriptor,
			 });
}

static bool volume_unpublish(struct nth_run *run)
{
	Mayastor__V1__UnpublishNexusRequest request = MAYASTOR__V1__UNPUBLISH_NEXUS_REQUEST__INIT;

	request.uuid = (char *)(uintptr_t)VOLUME;
	return call(run, &(struct method){
				 .name = "/mayastor.v1.NexusRpc/UnpublishNexus",
				 .request = &request.base,
				 .response = &mayastor__v1__unpublish_nexus_response__descriptor,
			 });
}

static bool volume_destroy(struct nth_run *run)
{
	Mayastor__V1__DestroyNexusRequest request = MAYASTOR__V1__DESTROY_NEXUS_REQUEST__INIT;

	request.uuid = (char *)(uintptr_t)VOLUME;
	return call(run, &(struct method){
				 .name = "/mayastor.v1.NexusRpc/DestroyNexus",
				 .request = &request.base,
				 .response = &google__protobuf__empty__descriptor,
				 .settled = RPC_NOT_FOUND,
			 });
}

static bool nexus_ask(struct nth_run *run, struct nexus *nexus, const char *uri,
		      void (*submit)(struct nexus *nexus, struct nexus_request *request))
{
	struct engine_state *state = run->state;

	nth_begin(state->server, state->main);
	state->request = (struct nexus_request){
		.parent = &state->server->op,
		.uri = uri,
		.action = NEXUS_ACTION_ONLINE,
		.info = &state->info,
	};
	submit(nexus, &state->request);
	if (!nth_end(state->server))
		return false;
	return state->request.result == NEXUS_DONE || nth_error(run, "%s", state->request.error);
}

/* A copy that was lost by the fault is brought back, one a round; the state is looked at anew. */
static bool settle(struct nth_run *run)
{
	struct engine_state *state = run->state;
	struct nexus *nexus =
		state->engine == NULL ? NULL : nexus_next(state->engine->nexuses, NULL);
	char uri[URI_TEXT_BYTES_SHOWN];

	if (nexus == NULL)
		return true;
	if (!nexus_ask(run, nexus, NULL, nexus_info_submit))
		return false;
	for (uint32_t i = 0; i < state->info.child_count; i++) {
		if (state->info.children[i].state != NEXUS_CHILD_FAULTED)
			continue;
		snprintf(uri, sizeof(uri), "%s", state->info.children[i].uri);
		(void)nexus_ask(run, nexus, uri, nexus_child_action_submit);
		return true;
	}
	return true;
}

static void describe(struct nth_run *run, FILE *out)
{
	struct engine_state *state = run->state;

	if (state->engine == NULL)
		return;
	fprintf(out, "calls in work %u\n", state->engine->jobs);
	list_for_each (node, &state->engine->exports)
		fprintf(out, "export of %s\n", list_entry(node, struct export, link)->bdev->name);
	for (struct nexus *nexus = nexus_next(state->engine->nexuses, NULL); nexus != NULL;
	     nexus = nexus_next(state->engine->nexuses, nexus))
		fprintf(out, "volume %s\n", nexus_name(nexus));
	if (nexus_next(state->engine->nexuses, NULL) != NULL &&
	    nexus_ask(run, nexus_next(state->engine->nexuses, NULL), NULL, nexus_info_submit))
		fprintf(out, "state %d rebuilds %u\n", state->info.state,
			state->info.rebuild_count);
}

static const struct nth_step steps[] = {
	{"start the engine", engine_begin, 0},
	{"start the client", caller_start, 0},
	{"ask who it is", info, 0},
	{"cancel a call", info, 1},
	{"create a device", device_create, 0},
	{"list devices", device_list, 0},
	{"share it", device_share, 0},
	{"unshare it", device_unshare, 0},
	{"destroy it", device_destroy, 0},
	{"create a volume", volume_create, 0},
	{"list volumes", volume_list, 0},
	{"publish it", volume_publish, 0},
	{"list controllers", controllers_list, 0},
	{"unpublish it", volume_unpublish, 0},
	{"destroy the volume", volume_destroy, 0},
	{"stop the engine", engine_end, 0},
	{"start it again", engine_begin, 0},
	{"create the volume again", volume_create, 0},
	{"publish it again", volume_publish, 0},
	{"stop it with all it has", engine_end, 0},
	{"stop the client", caller_stop, 0},
};

const struct nth_scenario nth_engine_scenario = {
	.name = "engine",
	.state_bytes = sizeof(struct engine_state),
	.begin = begin,
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.settle = settle,
	.describe = describe,
	.points_min = 400,
};
