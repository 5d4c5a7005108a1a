/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_job.c - the common course of a management call on a nexus.
 *
 * Invariants:
 *  1. A call is answered exactly once; what was started goes on when its client leaves.
 *  2. Two jobs of one nexus never work at a time, except those that only look.
 */
#include "engine/nexus_job.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum rpc_status nexus_job_status(enum nexus_error error)
{
	switch (error) {
	case NEXUS_DONE:
		return RPC_OK;
	case NEXUS_ERROR_ALREADY_EXISTS:
		return RPC_ALREADY_EXISTS;
	case NEXUS_ERROR_INVALID:
		return RPC_INVALID_ARGUMENT;
	case NEXUS_ERROR_NOT_FOUND:
		return RPC_NOT_FOUND;
	case NEXUS_ERROR_PRECONDITION:
		return RPC_FAILED_PRECONDITION;
	case NEXUS_ERROR_INTERNAL:
		return RPC_INTERNAL;
	}
	return RPC_INTERNAL;
}

enum nexus_job_verdict nexus_job_fail(struct nexus_job *job, enum rpc_status status,
				      const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list arguments;

	ASSERT(job->call != NULL);
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_info(job->engine->log, "%s: %s: %s", job->kind->method, rpc_status_name(status), text);
	rpc_call_fail(job->call, status, "%s", text);
	job->call = NULL;
	return JOB_FAILED;
}

/* Kinds that hand their request to nexus/: submit, then judge. */
static enum nexus_job_verdict plain_work(struct nexus_job *job)
{
	if (job->turn == 1) {
		job->kind->fill(job->call->request, &job->request);
		job->request.parent = &job->op;
		job->request.stats = &job->stats;
		job->request.history = job->history;
		job->request.history_capacity = job->history != NULL ? NEXUS_HISTORY_MAX : 0;
		op_wait(&job->op);
		job->kind->submit(job->nexus, &job->request);
		return JOB_AGAIN;
	}
	if (job->request.result != NEXUS_DONE)
		return nexus_job_fail(job, nexus_job_status(job->request.result), "%s",
				      job->request.error);
	return JOB_GOOD;
}

static enum nexus_job_verdict job_work(struct nexus_job *job)
{
	job->turn++;
	return job->kind->work != NULL ? job->kind->work(job) : plain_work(job);
}

static bool job_find(struct nexus_job *job)
{
	if (job->kind->is_create)
		return true;
	job->nexus = nexus_find_by_uuid(job->engine->nexuses, &job->uuid);
	if (job->nexus != NULL)
		return true;
	nexus_job_fail(job, RPC_NOT_FOUND, "there is no nexus with uuid %s",
		       job->kind->uuid(job->call->request));
	return false;
}

static void job_look(struct nexus_job *job)
{
	ASSERT(job->nexus != NULL);
	memset(&job->request, 0, sizeof(job->request));
	job->request.parent = &job->op;
	job->request.info = &job->info;
	op_wait(&job->op);
	nexus_info_submit(job->nexus, &job->request);
}

static void job_answer(struct nexus_job *job)
{
	/* Every response that is just a nexus has this shape. */
	struct {
		ProtobufCMessage base;
		Mayastor__V1__Nexus *nexus;
	} response;

	STATIC_ASSERT(sizeof(response) == sizeof(Mayastor__V1__AddChildNexusResponse));
	if (job->kind->answer != NULL) {
		job->kind->answer(job);
	} else {
		nexus_message_fill(job->engine, job->nexus, &job->info, &job->message);
		protobuf_c_message_init(job->kind->response, &response);
		response.nexus = &job->message.message;
		rpc_call_reply(job->call, &response.base);
	}
	job->call = NULL;
}

static void job_free(struct nexus_job *job)
{
	ASSERT(job->call == NULL && job->engine->jobs > 0);
	if (!job->kind->is_unlocked)
		name_unlock(&job->engine->locks, &job->lock);
	job->engine->jobs--;
	memory_free(job->history);
	memory_free(job);
}

static enum nexus_job_step step_after(enum nexus_job_verdict verdict, const struct nexus_job *job)
{
	switch (verdict) {
	case JOB_AGAIN:
		return NEXUS_JOB_DO;
	case JOB_GOOD:
		return job->kind->response != NULL ? NEXUS_JOB_LOOK : NEXUS_JOB_ANSWER;
	case JOB_FAILED:
		return NEXUS_JOB_FREE;
	}
	return NEXUS_JOB_FREE;
}

static void nexus_job_run(struct op *op)
{
	struct nexus_job *job = container_of(op, struct nexus_job, op);

	for (;;) {
		switch (job->step) {
		case NEXUS_JOB_LOCK:
			job->step = NEXUS_JOB_FIND;
			if (!job->kind->is_unlocked)
				name_lock(&job->engine->locks, &job->lock);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case NEXUS_JOB_FIND:
			job->step = job_find(job) ? NEXUS_JOB_DO : NEXUS_JOB_FREE;
			break;
		case NEXUS_JOB_DO:
			job->step = step_after(job_work(job), job);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case NEXUS_JOB_LOOK:
			job->step = NEXUS_JOB_ANSWER;
			job_look(job);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case NEXUS_JOB_ANSWER:
			job->step = NEXUS_JOB_FREE;
			job_answer(job);
			break;
		case NEXUS_JOB_FREE:
			job_free(job);
			return;
		}
	}
}

void nexus_job_start(struct rpc_call *call, const struct nexus_job_kind *kind)
{
	struct engine *engine = call->user;
	struct nexus_job *job = memory_alloc(sizeof(*job));
	const char *uuid = kind->uuid(call->request);

	if (job == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory for the request");
		return;
	}
	if (!uuid_parse(uuid, &job->uuid)) {
		rpc_call_fail(call, kind->is_create ? RPC_INVALID_ARGUMENT : RPC_NOT_FOUND,
			      "'%.64s' is no uuid: a nexus is named by 8-4-4-4-12 hexadecimal "
			      "digits",
			      uuid);
		memory_free(job);
		return;
	}
	if (kind->has_history) {
		job->history = memory_alloc_array(NEXUS_HISTORY_MAX, sizeof(*job->history));
		if (job->history == NULL) {
			rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory for the request");
			memory_free(job);
			return;
		}
	}
	job->engine = engine;
	job->call = call;
	job->kind = kind;
	job->lock.parent = &job->op;
	snprintf(job->lock.name, sizeof(job->lock.name), "nexus ");
	uuid_format(&job->uuid, job->lock.name + strlen(job->lock.name));
	engine->jobs++;
	op_init(&job->op, reactor_ready(engine->main), nexus_job_run);
	op_start(&job->op);
}
