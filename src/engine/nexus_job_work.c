/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_job_work.c - the calls on a nexus that involve the records or the target as well. */
#include "engine/nexus_job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The rules of a CreateNexus request that need no look at anything else. */
static enum nexus_job_verdict create_check(struct nexus_job *job)
{
	const Mayastor__V1__CreateNexusRequest *request = (const void *)job->call->request;

	if (request->name[0] == '\0' || strlen(request->name) >= NAME_BYTES_MAX)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "a nexus needs a name of 1 to %d characters",
				      NAME_BYTES_MAX - 1);
	if (request->n_children == 0 || request->n_children > NEXUS_CHILDREN_MAX)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: 1 to %d children are possible, the request has "
				      "%zu",
				      request->name, NEXUS_CHILDREN_MAX, request->n_children);
	if (request->mincntlid < 1 || request->maxcntlid > NEXUS_CONTROLLER_ID_MAX ||
	    request->mincntlid > request->maxcntlid)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: controller ids %u to %u are not within 1 to %u",
				      request->name, request->mincntlid, request->maxcntlid,
				      NEXUS_CONTROLLER_ID_MAX);
	if ((request->has_resvtype && request->resvtype > 6) || request->preemptpolicy > 1)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: reservation type must be 0 to 6 and the policy 0 "
				      "or 1",
				      request->name);
	if (strlen(request->nexusinfokey) >= NAME_BYTES_MAX)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: nexusInfoKey has more than %d characters",
				      request->name, NAME_BYTES_MAX - 1);
	return JOB_GOOD;
}

static void record_load(struct nexus_job *job)
{
	const Mayastor__V1__CreateNexusRequest *request = (const void *)job->call->request;
	struct nexus_recorder *recorder = record_store_recorder(job->engine->records);

	memset(&job->record, 0, sizeof(job->record));
	job->record.parent = &job->op;
	list_init(&job->record.link);
	if (request->nexusinfokey[0] != '\0')
		snprintf(job->record.key, sizeof(job->record.key), "%s", request->nexusinfokey);
	else
		uuid_format(&job->uuid, job->record.key);
	op_wait(&job->op);
	recorder->ops->load(recorder, &job->record);
}

static void create_submit(struct nexus_job *job)
{
	const Mayastor__V1__CreateNexusRequest *request = (const void *)job->call->request;
	bool is_recorded = job->record.result == NEXUS_RECORD_OK;
	struct nexus_options *options = &job->create.options;

	if (is_recorded)
		job->stored = job->record.record;
	*options = (struct nexus_options){
		.name = request->name,
		.uuid = job->uuid,
		.size_bytes = request->size,
		.controller_id_min = request->mincntlid,
		.controller_id_max = request->maxcntlid,
		.fence = {.key = request->resvkey,
			  .preempt_key = request->preemptkey,
			  .type = request->has_resvtype ? (uint32_t)request->resvtype : 5,
			  .policy = (uint32_t)request->preemptpolicy},
		.child_count = (uint32_t)request->n_children,
		.info_key = request->nexusinfokey,
		.home = engine_home_choose(job->engine),
		.epoch = is_recorded ? job->stored.epoch + 1 : 1,
		.stored_record = is_recorded ? &job->stored : NULL,
	};
	for (size_t i = 0; i < request->n_children; i++)
		options->child_uris[i] = request->children[i];
	job->create.parent = &job->op;
	op_wait(&job->op);
	nexus_create_submit(job->engine->nexuses, &job->create);
}

enum nexus_job_verdict nexus_work_create(struct nexus_job *job)
{
	switch (job->turn) {
	case 1:
		if (create_check(job) != JOB_GOOD)
			return JOB_FAILED;
		record_load(job);
		return JOB_AGAIN;
	case 2:
		if (job->record.result == NEXUS_RECORD_FAILED)
			return nexus_job_fail(job, RPC_INTERNAL,
					      "nexus %s: the record of its children cannot be "
					      "read; see the log of this engine",
					      job->record.key);
		create_submit(job);
		return JOB_AGAIN;
	default:
		break;
	}
	if (job->create.result != NEXUS_DONE)
		return nexus_job_fail(job, nexus_job_status(job->create.result), "%s",
				      job->create.error);
	job->nexus = job->create.nexus;
	return JOB_GOOD;
}

/* Takes the nexus from its hosts. Return: false when it was not exported. */
static bool unshare_submit(struct nexus_job *job)
{
	struct export *export = export_find(job->engine, nexus_bdev(job->nexus));

	if (export == NULL)
		return false;
	job->unshare = (struct export_destroy){.parent = &job->op, .export = export};
	op_wait(&job->op);
	export_destroy_submit(&job->unshare);
	return true;
}

enum nexus_job_verdict nexus_work_destroy(struct nexus_job *job)
{
	switch (job->turn) {
	case 1:
		(void)unshare_submit(job);
		return JOB_AGAIN;
	case 2:
		job->request.parent = &job->op;
		op_wait(&job->op);
		nexus_destroy_submit(job->nexus, &job->request);
		return JOB_AGAIN;
	default:
		break;
	}
	if (job->request.result != NEXUS_DONE)
		return nexus_job_fail(job, nexus_job_status(job->request.result), "%s",
				      job->request.error);
	job->nexus = NULL;
	return JOB_GOOD;
}

static enum nexus_job_verdict publish_check(struct nexus_job *job)
{
	const Mayastor__V1__PublishNexusRequest *request = (const void *)job->call->request;
	size_t key_length = strlen(request->key);

	if (key_length != 0 && key_length != 16)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: the publish key must be empty or have 16 "
				      "characters, not %zu",
				      nexus_name(job->nexus), key_length);
	if (request->share == MAYASTOR__V1__SHARE_PROTOCOL__NONE)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: not supported: publishing as a local NBD device; "
				      "set share to NVMF",
				      nexus_name(job->nexus));
	if (request->share != MAYASTOR__V1__SHARE_PROTOCOL__NVMF)
		return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
				      "nexus %s: share protocol %d is unknown or iSCSI; set it to "
				      "NVMF",
				      nexus_name(job->nexus), (int)request->share);
	return JOB_GOOD;
}

enum nexus_job_verdict nexus_work_publish(struct nexus_job *job)
{
	const Mayastor__V1__PublishNexusRequest *request = (const void *)job->call->request;

	if (job->turn == 1) {
		if (publish_check(job) != JOB_GOOD)
			return JOB_FAILED;
		job->share = (struct export_create){
			.parent = &job->op,
			.engine = job->engine,
			.bdev = nexus_bdev(job->nexus),
			.nexus = job->nexus,
			.allowed_hosts = (const char *const *)request->allowed_hosts,
			.allowed_host_count = (uint32_t)request->n_allowed_hosts,
		};
		op_wait(&job->op);
		export_create_submit(&job->share);
		return JOB_AGAIN;
	}
	if (job->share.result != 0)
		return nexus_job_fail(
			job, job->share.result == -EINVAL ? RPC_INVALID_ARGUMENT : RPC_INTERNAL,
			"%s", job->share.error);
	return JOB_GOOD;
}

enum nexus_job_verdict nexus_work_unpublish(struct nexus_job *job)
{
	if (job->turn == 1)
		return unshare_submit(job) ? JOB_AGAIN : JOB_GOOD;
	if (job->unshare.result != 0)
		return nexus_job_fail(job, RPC_INTERNAL, "nexus %s cannot be unpublished: %s",
				      nexus_name(job->nexus), strerror(-job->unshare.result));
	return JOB_GOOD;
}

static enum nexus_job_verdict not_published(struct nexus_job *job)
{
	return nexus_job_fail(job, RPC_INVALID_ARGUMENT,
			      "nexus %s is not published over NVMe-oF, so it has no ANA state: "
			      "publish it first",
			      nexus_name(job->nexus));
}

enum nexus_job_verdict nexus_work_get_ana(struct nexus_job *job)
{
	if (export_find(job->engine, nexus_bdev(job->nexus)) == NULL)
		return not_published(job);
	return JOB_GOOD;
}

enum nexus_job_verdict nexus_work_set_ana(struct nexus_job *job)
{
	const Mayastor__V1__SetNvmeAnaStateRequest *request = (const void *)job->call->request;
	struct export *export = export_find(job->engine, nexus_bdev(job->nexus));

	if (job->turn == 1) {
		if (export == NULL)
			return not_published(job);
		job->change = (struct target_subsystem_change){
			.parent = &job->op,
			.subsystem = export->subsystem,
			.ana_state = (enum target_ana_state)request->ana_state,
		};
		op_wait(&job->op);
		target_subsystem_set_ana_state_submit(&job->change);
		return JOB_AGAIN;
	}
	if (job->change.result != 0)
		return nexus_job_fail(job, RPC_INTERNAL,
				      "nexus %s: ANA state %d cannot be set: optimized (1), "
				      "non-optimized (2) and inaccessible (3) can",
				      nexus_name(job->nexus), (int)request->ana_state);
	return JOB_GOOD;
}
