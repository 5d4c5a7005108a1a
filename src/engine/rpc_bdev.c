/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_bdev.c - the BdevRpc service: devices from URIs, listed and exported.
 *
 * Every call is one job: it takes the name of its device, does its one thing, answers.
 */
#include "engine/engine_impl.h"

#include "api/mayastor/v1/bdev.pb-c.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum bdev_job_step {
	BDEV_JOB_LOCK,
	BDEV_JOB_DO,
	BDEV_JOB_ANSWER,
};

struct bdev_job;

struct bdev_job_kind {
	/* Starts the work; waits are announced on job->op. False: it is answered already. */
	bool (*start)(struct bdev_job *job);
	void (*answer)(struct bdev_job *job);
};

struct bdev_job {
	struct op op;
	enum bdev_job_step step;
	const struct bdev_job_kind *kind;
	struct engine *engine;
	struct rpc_call *call;
	struct name_lock lock;
	struct bdev *bdev;
	union {
		struct bdev_create create;
		struct bdev_destroy destroy;
		struct export_create share;
		struct export_destroy unshare;
	};
};

/* The message and the texts it points to. */
struct bdev_message {
	Mayastor__V1__Bdev message;
	char uuid[UUID_TEXT_BYTES];
	char own_uri[NAME_BYTES_MAX + UUID_TEXT_BYTES + 16];
	char share_uri[SHARE_URI_BYTES];
};

static void bdev_message_fill(struct engine *engine, struct bdev *bdev, struct bdev_message *text)
{
	struct export *export = export_find(engine, bdev);

	mayastor__v1__bdev__init(&text->message);
	uuid_format(&bdev->uuid, text->uuid);
	snprintf(text->own_uri, sizeof(text->own_uri), "bdev:///%s?uuid=%s", bdev->name,
		 text->uuid);
	text->share_uri[0] = '\0';
	if (export != NULL)
		export_uri(export, text->share_uri);
	text->message.name = bdev->name;
	text->message.uuid = text->uuid;
	text->message.num_blocks = bdev->block_count;
	text->message.blk_size = bdev->block_bytes;
	text->message.claimed = bdev->claimed_by[0] != '\0';
	text->message.claimed_by = bdev->claimed_by;
	text->message.uri = bdev->uri[0] != '\0' ? bdev->uri : text->own_uri;
	text->message.product_name = (char *)bdev->ops->product_name;
	text->message.share_uri = export != NULL ? text->share_uri : text->own_uri;
}

static void job_fail(struct bdev_job *job, enum rpc_status status, const char *text)
{
	rpc_call_fail(job->call, status, "%s", text);
	job->call = NULL;
}

/* Device creation has its own table of statuses: all that is not listed is the caller's fault. */
static enum rpc_status create_status(int result)
{
	if (result == -ENOENT || result == -ENODEV)
		return RPC_NOT_FOUND;
	return result == -EEXIST ? RPC_ALREADY_EXISTS : RPC_INVALID_ARGUMENT;
}

static bool create_start(struct bdev_job *job)
{
	const Mayastor__V1__CreateBdevRequest *request = (const void *)job->call->request;

	if (strlen(request->uri) >= sizeof(job->create.uri_text)) {
		job_fail(job, RPC_INVALID_ARGUMENT, "the device URI has more than 1023 characters");
		return false;
	}
	job->create.parent = &job->op;
	job->create.registry = job->engine->registry;
	snprintf(job->create.uri_text, sizeof(job->create.uri_text), "%s", request->uri);
	op_wait(&job->op);
	bdev_create_submit(&job->create);
	return true;
}

static void create_answer(struct bdev_job *job)
{
	Mayastor__V1__CreateBdevResponse response = MAYASTOR__V1__CREATE_BDEV_RESPONSE__INIT;
	struct bdev_message text;

	if (job->create.result != 0) {
		job_fail(job, create_status(job->create.result), job->create.error);
		return;
	}
	/* An alias is no device of its own: nobody here remembers a reference to its original. */
	if (job->create.is_reference)
		bdev_unref(job->create.bdev);
	bdev_message_fill(job->engine, job->create.bdev, &text);
	response.bdev = &text.message;
	rpc_call_reply(job->call, &response.base);
}

/* A device by its URI, or plainly by its name. */
static struct bdev *bdev_of_uri(struct engine *engine, const char *uri)
{
	char name[NAME_BYTES_MAX];
	char error[ERROR_TEXT_BYTES];
	struct bdev *bdev = bdev_find(engine->registry, uri);

	if (bdev == NULL && bdev_registry_name(engine->registry, uri, name, error) == 0)
		bdev = bdev_find(engine->registry, name);
	return bdev;
}

static bool destroy_start(struct bdev_job *job)
{
	const Mayastor__V1__DestroyBdevRequest *request = (const void *)job->call->request;
	struct bdev *bdev = bdev_of_uri(job->engine, request->uri);

	if (bdev == NULL) {
		rpc_call_fail(job->call, RPC_NOT_FOUND, "there is no device '%s'", request->uri);
		job->call = NULL;
		return false;
	}
	if (nexus_find(job->engine->nexuses, bdev->name) != NULL) {
		rpc_call_fail(job->call, RPC_FAILED_PRECONDITION,
			      "device '%s' is a nexus: use DestroyNexus", bdev->name);
		job->call = NULL;
		return false;
	}
	job->bdev = bdev;
	job->destroy.parent = &job->op;
	job->destroy.bdev = bdev;
	op_wait(&job->op);
	bdev_destroy_submit(job->engine->registry, &job->destroy);
	return true;
}

static void destroy_answer(struct bdev_job *job)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	if (job->destroy.result != 0) {
		job_fail(job, rpc_status_of_errno(job->destroy.result), job->destroy.error);
		return;
	}
	rpc_call_reply(job->call, &empty.base);
}

static bool share_start(struct bdev_job *job)
{
	const Mayastor__V1__BdevShareRequest *request = (const void *)job->call->request;

	if (request->protocol != MAYASTOR__V1__SHARE_PROTOCOL__NVMF) {
		job_fail(job, RPC_INVALID_ARGUMENT,
			 "devices are shared by NVMe-oF only: set protocol to NVMF");
		return false;
	}
	job->bdev = bdev_find(job->engine->registry, request->name);
	if (job->bdev == NULL) {
		rpc_call_fail(job->call, RPC_NOT_FOUND, "there is no device '%s'", request->name);
		job->call = NULL;
		return false;
	}
	job->share.parent = &job->op;
	job->share.engine = job->engine;
	job->share.bdev = job->bdev;
	job->share.nexus = nexus_find(job->engine->nexuses, job->bdev->name);
	job->share.allowed_hosts = (const char *const *)request->allowed_hosts;
	job->share.allowed_host_count = (uint32_t)request->n_allowed_hosts;
	op_wait(&job->op);
	export_create_submit(&job->share);
	return true;
}

static void share_answer(struct bdev_job *job)
{
	Mayastor__V1__BdevShareResponse response = MAYASTOR__V1__BDEV_SHARE_RESPONSE__INIT;
	struct bdev_message text;

	if (job->share.result != 0) {
		job_fail(job, rpc_status_of_errno(job->share.result), job->share.error);
		return;
	}
	bdev_message_fill(job->engine, job->bdev, &text);
	response.bdev = &text.message;
	rpc_call_reply(job->call, &response.base);
}

static bool unshare_start(struct bdev_job *job)
{
	const Mayastor__V1__BdevUnshareRequest *request = (const void *)job->call->request;
	struct bdev *bdev = bdev_find(job->engine->registry, request->name);
	struct export *export = bdev != NULL ? export_find(job->engine, bdev) : NULL;

	/* Unknown and not shared are both what was asked for. */
	job->unshare.result = 0;
	if (export == NULL)
		return true;
	job->unshare.parent = &job->op;
	job->unshare.export = export;
	op_wait(&job->op);
	export_destroy_submit(&job->unshare);
	return true;
}

static void unshare_answer(struct bdev_job *job)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	if (job->unshare.result != 0) {
		job_fail(job, rpc_status_of_errno(job->unshare.result),
			 "the subsystem cannot be closed");
		return;
	}
	rpc_call_reply(job->call, &empty.base);
}

static const struct bdev_job_kind create_kind = {create_start, create_answer};
static const struct bdev_job_kind destroy_kind = {destroy_start, destroy_answer};
static const struct bdev_job_kind share_kind = {share_start, share_answer};
static const struct bdev_job_kind unshare_kind = {unshare_start, unshare_answer};

static void job_free(struct bdev_job *job)
{
	ASSERT(job->engine->jobs > 0);
	name_unlock(&job->engine->locks, &job->lock);
	job->engine->jobs--;
	memory_free(job);
}

static void bdev_job_run(struct op *op)
{
	struct bdev_job *job = container_of(op, struct bdev_job, op);

	for (;;) {
		switch (job->step) {
		case BDEV_JOB_LOCK:
			job->step = BDEV_JOB_DO;
			name_lock(&job->engine->locks, &job->lock);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case BDEV_JOB_DO:
			job->step = BDEV_JOB_ANSWER;
			if (!job->kind->start(job)) {
				job_free(job);
				return;
			}
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case BDEV_JOB_ANSWER:
			job->kind->answer(job);
			job_free(job);
			return;
		}
	}
}

static void job_start(struct rpc_call *call, const struct bdev_job_kind *kind)
{
	struct engine *engine = call->user;
	struct bdev_job *job = memory_alloc(sizeof(*job));

	if (job == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory for the request");
		return;
	}
	job->engine = engine;
	job->call = call;
	job->kind = kind;
	job->lock.parent = &job->op;
	/* Devices are few and their management is quick: one job at a time. */
	snprintf(job->lock.name, sizeof(job->lock.name), "bdev");
	engine->jobs++;
	op_init(&job->op, reactor_ready(engine->main), bdev_job_run);
	op_start(&job->op);
}

static void bdev_create_handle(struct rpc_call *call)
{
	job_start(call, &create_kind);
}

static void bdev_destroy_handle(struct rpc_call *call)
{
	job_start(call, &destroy_kind);
}

static void bdev_share_handle(struct rpc_call *call)
{
	job_start(call, &share_kind);
}

static void bdev_unshare_handle(struct rpc_call *call)
{
	job_start(call, &unshare_kind);
}

static bool list_wants(const Mayastor__V1__ListBdevOptions *request, const struct bdev *bdev)
{
	return request->name == NULL || strcmp(request->name->value, bdev->name) == 0;
}

static uint32_t list_count(struct engine *engine, const Mayastor__V1__ListBdevOptions *request)
{
	uint32_t count = 0;

	for (struct bdev *bdev = bdev_next(engine->registry, NULL); bdev != NULL;
	     bdev = bdev_next(engine->registry, bdev))
		count += list_wants(request, bdev);
	return count;
}

static void bdev_list_handle(struct rpc_call *call)
{
	const Mayastor__V1__ListBdevOptions *request = (const void *)call->request;
	Mayastor__V1__ListBdevResponse response = MAYASTOR__V1__LIST_BDEV_RESPONSE__INIT;
	struct engine *engine = call->user;
	uint32_t capacity = list_count(engine, request);
	struct bdev_message *texts = memory_alloc_array(capacity + 1, sizeof(*texts));
	Mayastor__V1__Bdev **list = memory_alloc_array(capacity + 1, sizeof(Mayastor__V1__Bdev *));

	if (texts == NULL || list == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory to list %u devices",
			      capacity);
	} else {
		for (struct bdev *bdev = bdev_next(engine->registry, NULL); bdev != NULL;
		     bdev = bdev_next(engine->registry, bdev)) {
			if (!list_wants(request, bdev))
				continue;
			ASSERT(response.n_bdevs < capacity);
			bdev_message_fill(engine, bdev, &texts[response.n_bdevs]);
			list[response.n_bdevs] = &texts[response.n_bdevs].message;
			response.n_bdevs++;
		}
		response.bdevs = list;
		rpc_call_reply(call, &response.base);
	}
	memory_free(texts);
	memory_free(list);
}

static const struct rpc_method bdev_methods[] = {
	{"List", bdev_list_handle},	  {"Create", bdev_create_handle},
	{"Destroy", bdev_destroy_handle}, {"Share", bdev_share_handle},
	{"Unshare", bdev_unshare_handle},
};

static const struct rpc_service bdev_service = {
	&mayastor__v1__bdev_rpc__descriptor,
	bdev_methods,
	sizeof(bdev_methods) / sizeof(bdev_methods[0]),
};

void rpc_bdev_register(struct engine *engine)
{
	rpc_server_add_service(engine->rpc, &bdev_service, engine);
}
