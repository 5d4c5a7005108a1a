/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_job.h - one management call on a nexus: lock, find, do, look, answer.
 *
 * A kind of job is a row of functions; all of them run on the main reactor.
 */
#ifndef ENGINE_NEXUS_JOB_H
#define ENGINE_NEXUS_JOB_H

#include "engine/nexus_message.h"

enum nexus_job_step {
	NEXUS_JOB_LOCK,	  /* one at a time per nexus */
	NEXUS_JOB_FIND,	  /* the nexus that the request names */
	NEXUS_JOB_DO,	  /* what the call is about; may take several turns */
	NEXUS_JOB_LOOK,	  /* the state to answer with */
	NEXUS_JOB_ANSWER, /* success; a failure was answered before */
	NEXUS_JOB_FREE,
};

enum nexus_job_verdict {
	JOB_AGAIN,  /* enter the function again after what it waits for */
	JOB_GOOD,   /* done */
	JOB_FAILED, /* answered with an error */
};

struct nexus_job;

struct nexus_job_kind {
	const char *method;
	/* Text of the nexus' uuid in the request. */
	const char *(*uuid)(const ProtobufCMessage *request);
	/* Submits with op_wait(&job->op), or judges what came back; job->turn counts entries. */
	enum nexus_job_verdict (*work)(struct nexus_job *job);
	/* The response's descriptor when it has one field, the nexus; else answer() is used. */
	const ProtobufCMessageDescriptor *response;
	void (*answer)(struct nexus_job *job);
	/* For kinds that hand their request to nexus/ unchanged. */
	void (*submit)(struct nexus *nexus, struct nexus_request *request);
	void (*fill)(const ProtobufCMessage *request, struct nexus_request *ret_request);
	bool is_create;	  /* the nexus does not exist yet */
	bool is_unlocked; /* only looks: does not wait for others */
	bool has_history; /* wants room for past rebuilds */
};

struct nexus_job {
	struct op op;
	enum nexus_job_step step;
	uint32_t turn; /* entries of kind->work so far */
	const struct nexus_job_kind *kind;
	struct engine *engine;
	struct rpc_call *call;
	struct name_lock lock;
	struct uuid uuid;
	struct nexus *nexus;
	struct nexus_request request;
	struct nexus_info info;
	struct rebuild_stats stats;
	struct nexus_message message;
	struct nexus_history_entry *history; /* NEXUS_HISTORY_MAX, when asked for */
	union {
		struct nexus_record_io record;
		struct export_create share;
		struct export_destroy unshare;
		struct target_subsystem_change change;
	};
	struct nexus_record stored;
	struct nexus_create create;
};

/** Starts the job of @kind for @call. */
void nexus_job_start(struct rpc_call *call, const struct nexus_job_kind *kind);

/** Answers with an error. Return: JOB_FAILED. */
enum nexus_job_verdict nexus_job_fail(struct nexus_job *job, enum rpc_status status,
				      const char *format, ...)
	__attribute__((format(printf, 3, 4)));

enum rpc_status nexus_job_status(enum nexus_error error);

/* What the kinds with work of their own do (nexus_job_work.c). */
enum nexus_job_verdict nexus_work_create(struct nexus_job *job);
enum nexus_job_verdict nexus_work_destroy(struct nexus_job *job);
enum nexus_job_verdict nexus_work_publish(struct nexus_job *job);
enum nexus_job_verdict nexus_work_unpublish(struct nexus_job *job);
enum nexus_job_verdict nexus_work_set_ana(struct nexus_job *job);
enum nexus_job_verdict nexus_work_get_ana(struct nexus_job *job);

#endif
