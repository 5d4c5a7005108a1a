/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_list.c - lists nexuses, and their rebuilds of the past.
 *
 * All are asked at once; what each tells is kept until the last has answered. A nexus cannot be
 * freed while it is asked: nexus/ answers every request before the nexus goes.
 */
#include "engine/nexus_list.h"

#include "base/memory.h"
#include "engine/nexus_job.h"

#include <stdio.h>
#include <string.h>

/* One nexus of the answer. */
struct list_entry {
	struct nexus *nexus;
	char name[NAME_BYTES_MAX];
	char uuid[UUID_TEXT_BYTES];
	struct nexus_request request;
	struct nexus_info info;
	struct nexus_message message;
	struct nexus_history_entry history[NEXUS_HISTORY_MAX];
};

struct list_job {
	struct op op;
	struct engine *engine;
	struct rpc_call *call;
	void (*answer)(struct list_job *job);
	struct list_entry *entries;
	uint32_t count;
};

static void answer_list(struct list_job *job)
{
	Mayastor__V1__ListNexusResponse response = MAYASTOR__V1__LIST_NEXUS_RESPONSE__INIT;
	Mayastor__V1__Nexus **list = memory_alloc_array(job->count + 1, sizeof(*list));

	if (list == NULL) {
		rpc_call_fail(job->call, RPC_RESOURCE_EXHAUSTED, "no memory for the list");
		return;
	}
	for (uint32_t i = 0; i < job->count; i++) {
		struct list_entry *entry = &job->entries[i];

		/* Destroyed while the others were asked, or still being made: not listed. */
		if (nexus_find(job->engine->nexuses, entry->name) != entry->nexus ||
		    entry->info.state == NEXUS_UNKNOWN)
			continue;
		nexus_message_fill(job->engine, entry->nexus, &entry->info, &entry->message);
		list[response.n_nexus_list++] = &entry->message.message;
	}
	response.nexus_list = list;
	rpc_call_reply(job->call, &response.base);
	memory_free(list);
}

/* The records of one nexus, and room for what they point to. */
struct history_answer {
	Mayastor__V1__ListRebuildHistoryResponse__HistoriesEntry entry;
	Mayastor__V1__RebuildHistoryResponse response;
	Mayastor__V1__RebuildHistoryRecord *list[NEXUS_HISTORY_MAX];
	struct nexus_history_message records[NEXUS_HISTORY_MAX];
};

static uint64_t since_of(const Mayastor__V1__ListRebuildHistoryRequest *request)
{
	if (request->since_end_time == NULL || request->since_end_time->seconds < 0)
		return 0;
	return (uint64_t)request->since_end_time->seconds * 1000000000u +
	       (uint64_t)request->since_end_time->nanos;
}

/* Newest first, at most @count, ended after @since. Return: newest end time. */
static uint64_t history_answer_fill(struct list_entry *entry,
				    const Mayastor__V1__ListRebuildHistoryRequest *request,
				    struct history_answer *answer)
{
	uint32_t limit = request->has_count ? request->count : NEXUS_HISTORY_MAX;
	uint64_t newest = 0;

	mayastor__v1__list_rebuild_history_response__histories_entry__init(&answer->entry);
	mayastor__v1__rebuild_history_response__init(&answer->response);
	answer->entry.key = entry->uuid;
	answer->entry.value = &answer->response;
	answer->response.uuid = entry->uuid;
	answer->response.name = entry->name;
	answer->response.records = answer->list;
	for (uint32_t i = 0; i < entry->request.history_count; i++) {
		struct nexus_history_entry *past = &entry->history[i];
		size_t at = answer->response.n_records;

		if (at >= limit || past->stats.end_wall_ns <= since_of(request))
			continue;
		nexus_history_message_fill(past, &answer->records[at]);
		answer->list[at] = &answer->records[at].message;
		answer->response.n_records++;
		if (past->stats.end_wall_ns > newest)
			newest = past->stats.end_wall_ns;
	}
	return newest;
}

static void answer_histories(struct list_job *job)
{
	const Mayastor__V1__ListRebuildHistoryRequest *request = (const void *)job->call->request;
	Mayastor__V1__ListRebuildHistoryResponse response =
		MAYASTOR__V1__LIST_REBUILD_HISTORY_RESPONSE__INIT;
	struct history_answer *answers = memory_alloc_array(job->count + 1, sizeof(*answers));
	Mayastor__V1__ListRebuildHistoryResponse__HistoriesEntry **list =
		memory_alloc_array(job->count + 1, sizeof(*list));
	Google__Protobuf__Timestamp end;
	uint64_t newest = 0;

	if (answers == NULL || list == NULL) {
		rpc_call_fail(job->call, RPC_RESOURCE_EXHAUSTED, "no memory for the list");
	} else {
		for (uint32_t i = 0; i < job->count; i++) {
			uint64_t last = history_answer_fill(&job->entries[i], request, &answers[i]);

			newest = last > newest ? last : newest;
			list[i] = &answers[i].entry;
		}
		response.n_histories = job->count;
		response.histories = list;
		timestamp_fill(newest, &end);
		if (newest != 0)
			response.end_time = &end;
		rpc_call_reply(job->call, &response.base);
	}
	memory_free(answers);
	memory_free(list);
}

static void job_free(struct list_job *job)
{
	job->engine->jobs--;
	memory_free(job->entries);
	memory_free(job);
}

/* Entered once, when all have answered. */
static void list_run(struct op *op)
{
	struct list_job *job = container_of(op, struct list_job, op);

	job->answer(job);
	job_free(job);
}

static bool entry_is_wanted(const struct nexus *nexus, const char *name, const char *uuid)
{
	char text[UUID_TEXT_BYTES];

	if (name != NULL)
		return strcmp(nexus_name(nexus), name) == 0;
	uuid_format(nexus_uuid(nexus), text);
	return uuid == NULL || strcasecmp(text, uuid) == 0;
}

static uint32_t nexus_count(struct engine *engine)
{
	uint32_t count = 0;

	for (struct nexus *nexus = nexus_next(engine->nexuses, NULL); nexus != NULL;
	     nexus = nexus_next(engine->nexuses, nexus))
		count++;
	return count;
}

static struct list_job *job_create(struct rpc_call *call, void (*answer)(struct list_job *job))
{
	struct engine *engine = call->user;
	struct list_job *job = memory_alloc(sizeof(*job));

	if (job == NULL)
		return NULL;
	job->entries = memory_alloc_array(nexus_count(engine) + 1, sizeof(*job->entries));
	if (job->entries == NULL) {
		memory_free(job);
		return NULL;
	}
	job->engine = engine;
	job->call = call;
	job->answer = answer;
	op_init(&job->op, reactor_ready(engine->main), list_run);
	engine->jobs++;
	return job;
}

static struct list_entry *entry_add(struct list_job *job, struct nexus *nexus)
{
	struct list_entry *entry = &job->entries[job->count++];

	entry->nexus = nexus;
	snprintf(entry->name, sizeof(entry->name), "%s", nexus_name(nexus));
	uuid_format(nexus_uuid(nexus), entry->uuid);
	entry->request.parent = &job->op;
	op_wait(&job->op);
	return entry;
}

static void job_go(struct list_job *job)
{
	if (op_join(&job->op) == OP_NEXT)
		op_wake(&job->op);
}

void nexus_list_handle(struct rpc_call *call)
{
	const Mayastor__V1__ListNexusOptions *request = (const void *)call->request;
	const char *name = request->name != NULL ? request->name->value : NULL;
	const char *uuid = request->uuid != NULL ? request->uuid->value : NULL;
	struct list_job *job = job_create(call, answer_list);

	if (job == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory for the list");
		return;
	}
	for (struct nexus *nexus = nexus_next(job->engine->nexuses, NULL); nexus != NULL;
	     nexus = nexus_next(job->engine->nexuses, nexus)) {
		struct list_entry *entry;

		if (!entry_is_wanted(nexus, name, uuid))
			continue;
		entry = entry_add(job, nexus);
		entry->request.info = &entry->info;
		nexus_info_submit(nexus, &entry->request);
	}
	if (job->count == 0 && name == NULL && uuid != NULL) {
		rpc_call_fail(call, RPC_NOT_FOUND, "there is no nexus with uuid %.64s", uuid);
		job_free(job);
		return;
	}
	job_go(job);
}

void nexus_list_history_handle(struct rpc_call *call)
{
	struct list_job *job = job_create(call, answer_histories);

	if (job == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory for the list");
		return;
	}
	for (struct nexus *nexus = nexus_next(job->engine->nexuses, NULL); nexus != NULL;
	     nexus = nexus_next(job->engine->nexuses, nexus)) {
		struct list_entry *entry = entry_add(job, nexus);

		entry->request.history = entry->history;
		entry->request.history_capacity = NEXUS_HISTORY_MAX;
		nexus_history_submit(nexus, &entry->request);
	}
	job_go(job);
}
