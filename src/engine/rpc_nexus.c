/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_nexus.c - the NexusRpc service: which method is which kind of job.
 *
 * Rule: a row of the table at the end is all that most methods need.
 */
#include "engine/nexus_job.h"
#include "engine/nexus_list.h"

#include <stdio.h>
#include <string.h>

/* Requests name the nexus in their first field, all but CreateNexus. */
struct first_text {
	ProtobufCMessage base;
	char *text;
};
#define NAMES_NEXUS_FIRST(type, field) \
	STATIC_ASSERT(offsetof(Mayastor__V1__##type, field) == offsetof(struct first_text, text))
NAMES_NEXUS_FIRST(DestroyNexusRequest, uuid);
NAMES_NEXUS_FIRST(ResizeNexusRequest, uuid);
NAMES_NEXUS_FIRST(AddChildNexusRequest, uuid);
NAMES_NEXUS_FIRST(RemoveChildNexusRequest, uuid);
NAMES_NEXUS_FIRST(FaultNexusChildRequest, uuid);
NAMES_NEXUS_FIRST(ShutdownNexusRequest, uuid);
NAMES_NEXUS_FIRST(PublishNexusRequest, uuid);
NAMES_NEXUS_FIRST(UnpublishNexusRequest, uuid);
NAMES_NEXUS_FIRST(GetNvmeAnaStateRequest, uuid);
NAMES_NEXUS_FIRST(SetNvmeAnaStateRequest, uuid);
NAMES_NEXUS_FIRST(ChildOperationRequest, nexus_uuid);
NAMES_NEXUS_FIRST(StartRebuildRequest, nexus_uuid);
NAMES_NEXUS_FIRST(StopRebuildRequest, nexus_uuid);
NAMES_NEXUS_FIRST(PauseRebuildRequest, nexus_uuid);
NAMES_NEXUS_FIRST(ResumeRebuildRequest, nexus_uuid);
NAMES_NEXUS_FIRST(RebuildStateRequest, nexus_uuid);
NAMES_NEXUS_FIRST(RebuildStatsRequest, nexus_uuid);
NAMES_NEXUS_FIRST(RebuildHistoryRequest, uuid);

static const char *uuid_first(const ProtobufCMessage *request)
{
	return ((const struct first_text *)(const void *)request)->text;
}

static const char *uuid_of_create(const ProtobufCMessage *request)
{
	return ((const Mayastor__V1__CreateNexusRequest *)(const void *)request)->uuid;
}

/* The child's URI is the second field of every request about a child. */
static void fill_uri(const ProtobufCMessage *request, struct nexus_request *ret_request)
{
	STATIC_ASSERT(offsetof(Mayastor__V1__RemoveChildNexusRequest, uri) ==
		      offsetof(Mayastor__V1__StartRebuildRequest, uri));
	STATIC_ASSERT(offsetof(Mayastor__V1__RemoveChildNexusRequest, uri) ==
		      offsetof(Mayastor__V1__ChildOperationRequest, uri));
	STATIC_ASSERT(offsetof(Mayastor__V1__RemoveChildNexusRequest, uri) ==
		      offsetof(Mayastor__V1__RebuildStatsRequest, uri));
	STATIC_ASSERT(offsetof(Mayastor__V1__RemoveChildNexusRequest, uri) ==
		      offsetof(Mayastor__V1__AddChildNexusRequest, uri));
	ret_request->uri =
		((const Mayastor__V1__RemoveChildNexusRequest *)(const void *)request)->uri;
}

static void fill_nothing(const ProtobufCMessage *request, struct nexus_request *ret_request)
{
	ASSERT(request != NULL && ret_request->uri == NULL);
}

static void fill_add(const ProtobufCMessage *request, struct nexus_request *ret_request)
{
	fill_uri(request, ret_request);
	ret_request->is_norebuild =
		((const Mayastor__V1__AddChildNexusRequest *)(const void *)request)->norebuild;
}

static void fill_resize(const ProtobufCMessage *request, struct nexus_request *ret_request)
{
	ret_request->size_bytes =
		((const Mayastor__V1__ResizeNexusRequest *)(const void *)request)->requested_size;
}

/* Checks the action before nexus/ sees it: it comes from outside. */
static enum nexus_job_verdict child_operation_work(struct nexus_job *job)
{
	const Mayastor__V1__ChildOperationRequest *request = (const void *)job->call->request;

	if (job->turn > 1)
		return job->request.result == NEXUS_DONE
			       ? JOB_GOOD
			       : nexus_job_fail(job, nexus_job_status(job->request.result), "%s",
						job->request.error);
	if (request->action > MAYASTOR__V1__CHILD_ACTION__OfflinePermanent)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: child action %d is unknown: 0 to 3 are possible",
				      nexus_name(job->nexus), (int)request->action);
	job->request.parent = &job->op;
	job->request.uri = request->uri;
	job->request.action = (enum nexus_action)request->action;
	op_wait(&job->op);
	nexus_child_action_submit(job->nexus, &job->request);
	return JOB_AGAIN;
}

static void answer_empty(struct nexus_job *job)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	rpc_call_reply(job->call, &empty.base);
}

static void answer_ana(struct nexus_job *job)
{
	Mayastor__V1__GetNvmeAnaStateResponse response =
		MAYASTOR__V1__GET_NVME_ANA_STATE_RESPONSE__INIT;

	response.ana_state = nexus_message_ana_state(job->engine, job->nexus);
	rpc_call_reply(job->call, &response.base);
}

static void answer_rebuild_state(struct nexus_job *job)
{
	Mayastor__V1__RebuildStateResponse response = MAYASTOR__V1__REBUILD_STATE_RESPONSE__INIT;

	response.state = (char *)rebuild_state_text(job->stats.state);
	rpc_call_reply(job->call, &response.base);
}

static void answer_rebuild_stats(struct nexus_job *job)
{
	Mayastor__V1__RebuildStatsResponse response = MAYASTOR__V1__REBUILD_STATS_RESPONSE__INIT;
	Google__Protobuf__Timestamp start;

	response.blocks_total = job->stats.blocks_total;
	response.blocks_recovered = job->stats.blocks_recovered;
	response.progress = job->stats.progress;
	response.blocks_per_task = job->stats.blocks_per_task;
	response.block_size = job->stats.block_bytes;
	response.tasks_total = job->stats.tasks_total;
	response.tasks_active = job->stats.tasks_active;
	response.blocks_transferred = job->stats.blocks_transferred;
	response.blocks_remaining = job->stats.blocks_remaining;
	response.is_partial = job->stats.is_partial;
	timestamp_fill(job->stats.start_wall_ns, &start);
	response.start_time = &start;
	rpc_call_reply(job->call, &response.base);
}

static void answer_history(struct nexus_job *job)
{
	Mayastor__V1__RebuildHistoryResponse response =
		MAYASTOR__V1__REBUILD_HISTORY_RESPONSE__INIT;
	Mayastor__V1__RebuildHistoryRecord *list[NEXUS_HISTORY_MAX];
	struct nexus_history_message records[NEXUS_HISTORY_MAX];
	char uuid[UUID_TEXT_BYTES];

	ASSERT(job->request.history_count <= NEXUS_HISTORY_MAX);
	for (uint32_t i = 0; i < job->request.history_count; i++) {
		nexus_history_message_fill(&job->history[i], &records[i]);
		list[i] = &records[i].message;
	}
	uuid_format(nexus_uuid(job->nexus), uuid);
	response.uuid = uuid;
	response.name = (char *)nexus_name(job->nexus);
	response.n_records = job->request.history_count;
	response.records = list;
	rpc_call_reply(job->call, &response.base);
}

#define NEXUS_RESPONSE(name) &mayastor__v1__##name##_nexus_response__descriptor

enum kind_index {
	KIND_CREATE,
	KIND_DESTROY,
	KIND_RESIZE,
	KIND_ADD_CHILD,
	KIND_REMOVE_CHILD,
	KIND_FAULT_CHILD,
	KIND_SHUTDOWN,
	KIND_PUBLISH,
	KIND_UNPUBLISH,
	KIND_GET_ANA,
	KIND_SET_ANA,
	KIND_CHILD_OPERATION,
	KIND_START_REBUILD,
	KIND_STOP_REBUILD,
	KIND_PAUSE_REBUILD,
	KIND_RESUME_REBUILD,
	KIND_REBUILD_STATE,
	KIND_REBUILD_STATS,
	KIND_REBUILD_HISTORY,
	KIND_COUNT,
};

static const struct nexus_job_kind kinds[KIND_COUNT] = {
	[KIND_CREATE] = {"CreateNexus", uuid_of_create, .work = nexus_work_create,
			 .response = NEXUS_RESPONSE(create), .is_create = true},
	[KIND_DESTROY] = {"DestroyNexus", uuid_first, .work = nexus_work_destroy,
			  .answer = answer_empty},
	[KIND_RESIZE] = {"ResizeNexus", uuid_first, .submit = nexus_resize_submit,
			 .fill = fill_resize, .response = NEXUS_RESPONSE(resize)},
	[KIND_ADD_CHILD] = {"AddChildNexus", uuid_first, .submit = nexus_child_add_submit,
			    .fill = fill_add, .response = NEXUS_RESPONSE(add_child)},
	[KIND_REMOVE_CHILD] = {"RemoveChildNexus", uuid_first, .submit = nexus_child_remove_submit,
			       .fill = fill_uri, .response = NEXUS_RESPONSE(remove_child)},
	[KIND_FAULT_CHILD] = {"FaultNexusChild", uuid_first, .submit = nexus_child_fault_submit,
			      .fill = fill_uri,
			      .response = &mayastor__v1__fault_nexus_child_response__descriptor},
	[KIND_SHUTDOWN] = {"ShutdownNexus", uuid_first, .submit = nexus_shutdown_submit,
			   .fill = fill_nothing, .response = NEXUS_RESPONSE(shutdown)},
	[KIND_PUBLISH] = {"PublishNexus", uuid_first, .work = nexus_work_publish,
			  .response = NEXUS_RESPONSE(publish)},
	[KIND_UNPUBLISH] = {"UnpublishNexus", uuid_first, .work = nexus_work_unpublish,
			    .response = NEXUS_RESPONSE(unpublish)},
	[KIND_GET_ANA] = {"GetNvmeAnaState", uuid_first, .work = nexus_work_get_ana,
			  .answer = answer_ana},
	[KIND_SET_ANA] = {"SetNvmeAnaState", uuid_first, .work = nexus_work_set_ana,
			  .response = &mayastor__v1__set_nvme_ana_state_response__descriptor},
	[KIND_CHILD_OPERATION] = {"ChildOperation", uuid_first, .work = child_operation_work,
				  .response = &mayastor__v1__child_operation_response__descriptor},
	[KIND_START_REBUILD] = {"StartRebuild", uuid_first, .submit = nexus_rebuild_start_submit,
				.fill = fill_uri,
				.response = &mayastor__v1__start_rebuild_response__descriptor},
	[KIND_STOP_REBUILD] = {"StopRebuild", uuid_first, .submit = nexus_rebuild_stop_submit,
			       .fill = fill_uri,
			       .response = &mayastor__v1__stop_rebuild_response__descriptor},
	[KIND_PAUSE_REBUILD] = {"PauseRebuild", uuid_first, .submit = nexus_rebuild_pause_submit,
				.fill = fill_uri,
				.response = &mayastor__v1__pause_rebuild_response__descriptor},
	[KIND_RESUME_REBUILD] = {"ResumeRebuild", uuid_first, .submit = nexus_rebuild_resume_submit,
				 .fill = fill_uri,
				 .response = &mayastor__v1__resume_rebuild_response__descriptor},
	[KIND_REBUILD_STATE] = {"GetRebuildState", uuid_first, .submit = nexus_rebuild_stats_submit,
				.fill = fill_uri, .answer = answer_rebuild_state,
				.is_unlocked = true},
	[KIND_REBUILD_STATS] = {"GetRebuildStats", uuid_first, .submit = nexus_rebuild_stats_submit,
				.fill = fill_uri, .answer = answer_rebuild_stats,
				.is_unlocked = true},
	[KIND_REBUILD_HISTORY] = {"GetRebuildHistory", uuid_first, .submit = nexus_history_submit,
				  .fill = fill_nothing, .answer = answer_history,
				  .is_unlocked = true, .has_history = true},
};

/* The server knows methods by name only: find the row of the call's method. */
static void nexus_handle(struct rpc_call *call)
{
	const char *name = strrchr(call->method, '/') + 1;

	for (int i = 0; i < KIND_COUNT; i++) {
		if (strcmp(kinds[i].method, name) == 0) {
			nexus_job_start(call, &kinds[i]);
			return;
		}
	}
	rpc_call_fail(call, RPC_UNIMPLEMENTED, "%s is not supported", call->method);
}

static const struct rpc_method nexus_methods[] = {
	{"CreateNexus", nexus_handle},
	{"DestroyNexus", nexus_handle},
	{"ResizeNexus", nexus_handle},
	{"ListNexus", nexus_list_handle},
	{"AddChildNexus", nexus_handle},
	{"RemoveChildNexus", nexus_handle},
	{"FaultNexusChild", nexus_handle},
	{"ShutdownNexus", nexus_handle},
	{"PublishNexus", nexus_handle},
	{"UnpublishNexus", nexus_handle},
	{"GetNvmeAnaState", nexus_handle},
	{"SetNvmeAnaState", nexus_handle},
	{"ChildOperation", nexus_handle},
	{"StartRebuild", nexus_handle},
	{"StopRebuild", nexus_handle},
	{"PauseRebuild", nexus_handle},
	{"ResumeRebuild", nexus_handle},
	{"GetRebuildState", nexus_handle},
	{"GetRebuildStats", nexus_handle},
	{"GetRebuildHistory", nexus_handle},
	{"ListRebuildHistory", nexus_list_history_handle},
};

static const struct rpc_service nexus_service = {
	&mayastor__v1__nexus_rpc__descriptor,
	nexus_methods,
	sizeof(nexus_methods) / sizeof(nexus_methods[0]),
};

void rpc_nexus_register(struct engine *engine)
{
	rpc_server_add_service(engine->rpc, &nexus_service, engine);
}
