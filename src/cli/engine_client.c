/* SPDX-License-Identifier: Apache-2.0 */
/* engine_client.c - the calls that `mayastor dev` makes, each as one function.
 *
 * What an engine answers is copied into structs of fixed size; a text that does not fit is an
 * error, never cut.
 */
#include "cli/engine_client.h"

#include "api/mayastor/v1/bdev.pb-c.h"
#include "api/mayastor_c/v1/diagnostics.pb-c.h"

#include <stdio.h>
#include <string.h>

#define CALL_TIMEOUT_MS	  15000
#define PING_TIMEOUT_MS	  1000
#define BLOCK_BYTES	  512
#define CONTROLLER_ID_MIN 1
#define CONTROLLER_ID_MAX 0xffef

#define BDEV_METHOD(name)  "/mayastor.v1.BdevRpc/" name
#define NEXUS_METHOD(name) "/mayastor.v1.NexusRpc/" name

static struct session_call call_to(const struct dev_node *node)
{
	return (struct session_call){
		.node = node->name,
		.port = node->grpc_port,
		.timeout_ms = CALL_TIMEOUT_MS,
	};
}

/* A call of which only the outcome matters. */
static enum cli_exit call_simply(struct rpc_session *session, struct session_call *call,
				 struct cli_error *error)
{
	enum cli_exit rc = rpc_session_call(session, call, error);

	session_call_release(call);
	return rc;
}

enum cli_exit engine_ping(struct rpc_session *session, const struct dev_node *node,
			  struct cli_error *error)
{
	Mayastor__V1__ListBdevOptions request = MAYASTOR__V1__LIST_BDEV_OPTIONS__INIT;
	struct session_call call = call_to(node);

	call.method = BDEV_METHOD("List");
	call.request = &request.base;
	call.response_type = &mayastor__v1__list_bdev_response__descriptor;
	call.timeout_ms = PING_TIMEOUT_MS;
	return call_simply(session, &call, error);
}

/* Opens the file; that it is open already is as good. */
static enum cli_exit device_create(struct rpc_session *session, const struct dev_node *node,
				   const char *path, struct cli_error *error)
{
	Mayastor__V1__CreateBdevRequest request = MAYASTOR__V1__CREATE_BDEV_REQUEST__INIT;
	struct session_call call = call_to(node);
	char uri[DEV_URI_BYTES];
	enum cli_exit rc;

	snprintf(uri, sizeof(uri), "aio://%s?uuid=%s&blk_size=%d", path, node->device_uuid,
		 BLOCK_BYTES);
	request.uri = uri;
	call.method = BDEV_METHOD("Create");
	call.request = &request.base;
	call.response_type = &mayastor__v1__create_bdev_response__descriptor;
	rc = call_simply(session, &call, error);
	return call.status == RPC_ALREADY_EXISTS ? CLI_OK : rc;
}

enum cli_exit engine_device_ensure(struct rpc_session *session, const struct dev_node *node,
				   const char *path, char ret_uri[DEV_URI_BYTES],
				   struct cli_error *error)
{
	Mayastor__V1__BdevShareRequest request = MAYASTOR__V1__BDEV_SHARE_REQUEST__INIT;
	const Mayastor__V1__BdevShareResponse *response;
	struct session_call call = call_to(node);
	char name[DEV_URI_BYTES];
	enum cli_exit rc;

	rc = device_create(session, node, path, error);
	if (rc != CLI_OK)
		return rc;
	snprintf(name, sizeof(name), "%s", path);
	request.name = name;
	request.protocol = MAYASTOR__V1__SHARE_PROTOCOL__NVMF;
	call.method = BDEV_METHOD("Share");
	call.request = &request.base;
	call.response_type = &mayastor__v1__bdev_share_response__descriptor;
	rc = rpc_session_call(session, &call, error);
	if (rc != CLI_OK)
		return rc;
	response = (const void *)call.response;
	if (response->bdev == NULL || strncmp(response->bdev->share_uri, "nvmf", 4) != 0 ||
	    snprintf(ret_uri, DEV_URI_BYTES, "%s", response->bdev->share_uri) >= DEV_URI_BYTES)
		rc = cli_fail(error, CLI_FAILED, "%s: Share: the answer has no address for hosts",
			      node->name);
	session_call_release(&call);
	return rc;
}

static enum cli_exit nexus_copy(const struct dev_node *node, const Mayastor__V1__Nexus *from,
				struct engine_nexus *ret_nexus, struct cli_error *error)
{
	int length;

	memset(ret_nexus, 0, sizeof(*ret_nexus));
	length = snprintf(ret_nexus->uri, DEV_URI_BYTES, "%s", from->device_uri);
	if (length >= DEV_URI_BYTES || from->n_children > ENGINE_CHILDREN_MAX)
		return cli_fail(error, CLI_FAILED, "%s: ListNexus: the answer is too large",
				node->name);
	ret_nexus->state = from->state;
	for (size_t i = 0; i < from->n_children; i++) {
		const Mayastor__V1__Child *child = from->children[i];
		struct engine_child *copy = &ret_nexus->children[ret_nexus->child_count];

		if (snprintf(copy->uri, DEV_URI_BYTES, "%s", child->uri) >= DEV_URI_BYTES)
			return cli_fail(error, CLI_FAILED, "%s: ListNexus: a URI is too long",
					node->name);
		copy->state = child->state;
		copy->reason = child->state_reason;
		copy->rebuild_percent = child->rebuild_progress;
		ret_nexus->child_count++;
	}
	return CLI_OK;
}

enum cli_exit engine_nexus_find(struct rpc_session *session, const struct dev_node *node,
				const char *uuid, struct engine_nexus *ret_nexus,
				struct cli_error *error)
{
	Mayastor__V1__ListNexusOptions request = MAYASTOR__V1__LIST_NEXUS_OPTIONS__INIT;
	const Mayastor__V1__ListNexusResponse *response;
	struct session_call call = call_to(node);
	enum cli_exit rc;

	call.method = NEXUS_METHOD("ListNexus");
	call.request = &request.base;
	call.response_type = &mayastor__v1__list_nexus_response__descriptor;
	rc = rpc_session_call(session, &call, error);
	if (rc != CLI_OK)
		return rc;
	response = (const void *)call.response;
	rc = cli_fail(error, CLI_NOT_RUNNING, "%s has no volume %s", node->name, uuid);
	for (size_t i = 0; i < response->n_nexus_list; i++) {
		if (strcmp(response->nexus_list[i]->uuid, uuid) != 0)
			continue;
		rc = nexus_copy(node, response->nexus_list[i], ret_nexus, error);
		break;
	}
	session_call_release(&call);
	return rc;
}

enum cli_exit engine_nexus_create(struct rpc_session *session, const struct dev_node *node,
				  const struct dev_volume *volume,
				  struct engine_child_list *children, struct cli_error *error)
{
	Mayastor__V1__CreateNexusRequest request = MAYASTOR__V1__CREATE_NEXUS_REQUEST__INIT;
	struct session_call call = call_to(node);

	request.name = (char *)(uintptr_t)volume->uuid;
	request.uuid = (char *)(uintptr_t)volume->nexus_uuid;
	request.nexusinfokey = (char *)(uintptr_t)volume->uuid;
	/* Of what is asked for, one block less can be used. */
	request.size = volume->size_bytes + BLOCK_BYTES;
	request.mincntlid = CONTROLLER_ID_MIN;
	request.maxcntlid = CONTROLLER_ID_MAX;
	request.n_children = children->count;
	request.children = children->uris;
	call.method = NEXUS_METHOD("CreateNexus");
	call.request = &request.base;
	call.response_type = &mayastor__v1__create_nexus_response__descriptor;
	return call_simply(session, &call, error);
}

enum cli_exit engine_nexus_publish(struct rpc_session *session, const struct dev_node *node,
				   const char *uuid, struct cli_error *error)
{
	Mayastor__V1__PublishNexusRequest request = MAYASTOR__V1__PUBLISH_NEXUS_REQUEST__INIT;
	struct session_call call = call_to(node);

	request.uuid = (char *)(uintptr_t)uuid;
	request.share = MAYASTOR__V1__SHARE_PROTOCOL__NVMF;
	call.method = NEXUS_METHOD("PublishNexus");
	call.request = &request.base;
	call.response_type = &mayastor__v1__publish_nexus_response__descriptor;
	return call_simply(session, &call, error);
}

enum cli_exit engine_child_online(struct rpc_session *session, const struct dev_node *node,
				  const struct engine_child_name *child, struct cli_error *error)
{
	Mayastor__V1__ChildOperationRequest request = MAYASTOR__V1__CHILD_OPERATION_REQUEST__INIT;
	struct session_call call = call_to(node);

	request.nexus_uuid = (char *)(uintptr_t)child->nexus_uuid;
	request.uri = (char *)(uintptr_t)child->uri;
	request.action = MAYASTOR__V1__CHILD_ACTION__Online;
	call.method = NEXUS_METHOD("ChildOperation");
	call.request = &request.base;
	call.response_type = &mayastor__v1__child_operation_response__descriptor;
	return call_simply(session, &call, error);
}

enum cli_exit engine_child_add(struct rpc_session *session, const struct dev_node *node,
			       const struct engine_child_name *child, struct cli_error *error)
{
	Mayastor__V1__AddChildNexusRequest request = MAYASTOR__V1__ADD_CHILD_NEXUS_REQUEST__INIT;
	struct session_call call = call_to(node);

	request.uuid = (char *)(uintptr_t)child->nexus_uuid;
	request.uri = (char *)(uintptr_t)child->uri;
	call.method = NEXUS_METHOD("AddChildNexus");
	call.request = &request.base;
	call.response_type = &mayastor__v1__add_child_nexus_response__descriptor;
	return call_simply(session, &call, error);
}

enum cli_exit engine_child_remove(struct rpc_session *session, const struct dev_node *node,
				  const struct engine_child_name *child, struct cli_error *error)
{
	Mayastor__V1__RemoveChildNexusRequest request =
		MAYASTOR__V1__REMOVE_CHILD_NEXUS_REQUEST__INIT;
	struct session_call call = call_to(node);

	request.uuid = (char *)(uintptr_t)child->nexus_uuid;
	request.uri = (char *)(uintptr_t)child->uri;
	call.method = NEXUS_METHOD("RemoveChildNexus");
	call.request = &request.base;
	call.response_type = &mayastor__v1__remove_child_nexus_response__descriptor;
	return call_simply(session, &call, error);
}

enum cli_exit engine_reactors_get(struct rpc_session *session, const struct dev_node *node,
				  struct engine_reactors *ret_reactors, struct cli_error *error)
{
	Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;
	const MayastorC__V1__GetReactorStatsResponse *response;
	struct session_call call = call_to(node);
	enum cli_exit rc;

	call.method = "/mayastor_c.v1.Diagnostics/GetReactorStats";
	call.request = &request.base;
	call.response_type = &mayastor_c__v1__get_reactor_stats_response__descriptor;
	rc = rpc_session_call(session, &call, error);
	if (rc != CLI_OK)
		return rc;
	response = (const void *)call.response;
	ret_reactors->count = 0;
	for (size_t i = 0; i < response->n_reactors && i < REACTORS_MAX; i++) {
		const MayastorC__V1__ReactorStats *from = response->reactors[i];

		ret_reactors->reactors[ret_reactors->count++] = (struct engine_reactor){
			.index = from->index,
			.turns = from->turns,
			.sleeps = from->sleeps,
			.completions = from->completions,
			.ops = from->ops,
			.messages = from->messages,
			.enters = from->enters,
			.yields = from->yields,
			.spin_ns = from->spin_ns,
			.cpu_ns = from->cpu_ns,
		};
	}
	session_call_release(&call);
	return CLI_OK;
}

static int64_t milliseconds(const Google__Protobuf__Timestamp *time)
{
	return time != NULL ? time->seconds * 1000 + time->nanos / 1000000 : 0;
}

static void rebuild_copy(const Mayastor__V1__RebuildHistoryRecord *from,
			 struct engine_rebuild *ret_rebuild)
{
	ret_rebuild->total_bytes = from->blocks_total * from->block_size;
	ret_rebuild->recovered_bytes = from->blocks_recovered * from->block_size;
	ret_rebuild->transferred_bytes = from->blocks_transferred * from->block_size;
	ret_rebuild->is_partial = from->is_partial;
	ret_rebuild->started_at_ms = milliseconds(from->start_time);
	ret_rebuild->ended_at_ms = milliseconds(from->end_time);
}

enum cli_exit engine_rebuild_last(struct rpc_session *session, const struct dev_node *node,
				  const struct engine_child_name *child,
				  struct engine_rebuild *ret_rebuild, struct cli_error *error)
{
	Mayastor__V1__RebuildHistoryRequest request = MAYASTOR__V1__REBUILD_HISTORY_REQUEST__INIT;
	const Mayastor__V1__RebuildHistoryRecord *last = NULL;
	const Mayastor__V1__RebuildHistoryResponse *response;
	struct session_call call = call_to(node);
	enum cli_exit rc;

	request.uuid = (char *)(uintptr_t)child->nexus_uuid;
	call.method = NEXUS_METHOD("GetRebuildHistory");
	call.request = &request.base;
	call.response_type = &mayastor__v1__rebuild_history_response__descriptor;
	rc = rpc_session_call(session, &call, error);
	if (rc != CLI_OK)
		return rc;
	response = (const void *)call.response;
	for (size_t i = 0; i < response->n_records; i++) {
		const Mayastor__V1__RebuildHistoryRecord *record = response->records[i];

		if (strcmp(record->child_uri, child->uri) == 0 &&
		    (last == NULL || milliseconds(record->end_time) > milliseconds(last->end_time)))
			last = record;
	}
	if (last != NULL)
		rebuild_copy(last, ret_rebuild);
	else
		rc = cli_fail(error, CLI_NOT_RUNNING, "%s: no rebuild of %s is remembered",
			      node->name, child->uri);
	session_call_release(&call);
	return rc;
}

const char *engine_nexus_state_text(Mayastor__V1__NexusState state)
{
	static const char *const texts[] = {"unknown", "online",	"degraded",
					    "faulted", "shutting down", "shut down"};

	return (uint32_t)state < 6 ? texts[(uint32_t)state] : texts[0];
}

const char *engine_child_state_text(Mayastor__V1__ChildState state)
{
	static const char *const texts[] = {"unknown", "online", "degraded", "faulted"};

	return (uint32_t)state < 4 ? texts[(uint32_t)state] : texts[0];
}

const char *engine_child_reason_text(Mayastor__V1__ChildStateReason reason)
{
	static const char *const texts[] = {
		"",
		"starting",
		"closed",
		"cannot open",
		"wrong configuration",
		"rebuild failed",
		"I/O failure",
		"by request",
		"out of sync",
		"no space",
		"timed out",
		"management failed",
	};

	return (uint32_t)reason < 12 ? texts[(uint32_t)reason] : "unknown";
}
