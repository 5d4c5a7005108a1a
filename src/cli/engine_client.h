/* SPDX-License-Identifier: Apache-2.0 */
/* engine_client.h - what `mayastor dev` asks of an engine, over its gRPC interface. */
#ifndef CLI_ENGINE_CLIENT_H
#define CLI_ENGINE_CLIENT_H

#include "api/mayastor/v1/nexus.pb-c.h"
#include "base/limits.h"
#include "cli/dev_state.h"
#include "cli/rpc_session.h"

#define ENGINE_CHILDREN_MAX DEV_NODES_MAX

/* A copy as the volume sees it. */
struct engine_child {
	char uri[DEV_URI_BYTES];
	Mayastor__V1__ChildState state;
	Mayastor__V1__ChildStateReason reason;
	int32_t rebuild_percent; /* -1: no rebuild */
};

struct engine_nexus {
	char uri[DEV_URI_BYTES]; /* where hosts connect; "" while it is not published */
	Mayastor__V1__NexusState state;
	uint32_t child_count;
	struct engine_child children[ENGINE_CHILDREN_MAX];
};

struct engine_rebuild {
	uint64_t total_bytes;
	uint64_t recovered_bytes;   /* looked at */
	uint64_t transferred_bytes; /* copied */
	bool is_partial;
	int64_t started_at_ms; /* wall clock */
	int64_t ended_at_ms;   /* 0 while it runs */
};

/** Answers CLI_OK when the engine serves its interface. */
enum cli_exit engine_ping(struct rpc_session *session, const struct dev_node *node,
			  struct cli_error *error) __attribute__((warn_unused_result));

/**
 * engine_device_ensure - open a device file and export it, unless that is done
 * @ret_uri: how other engines reach it.
 */
enum cli_exit engine_device_ensure(struct rpc_session *session, const struct dev_node *node,
				   const char *path, char ret_uri[DEV_URI_BYTES],
				   struct cli_error *error) __attribute__((warn_unused_result));

/** Return: CLI_NOT_RUNNING when the engine has no nexus with this uuid. */
enum cli_exit engine_nexus_find(struct rpc_session *session, const struct dev_node *node,
				const char *uuid, struct engine_nexus *ret_nexus,
				struct cli_error *error) __attribute__((warn_unused_result));

struct engine_child_list {
	uint32_t count;
	char *uris[ENGINE_CHILDREN_MAX];
};

enum cli_exit engine_nexus_create(struct rpc_session *session, const struct dev_node *node,
				  const struct dev_volume *volume,
				  struct engine_child_list *children, struct cli_error *error)
	__attribute__((warn_unused_result));

enum cli_exit engine_nexus_publish(struct rpc_session *session, const struct dev_node *node,
				   const char *uuid, struct cli_error *error)
	__attribute__((warn_unused_result));

struct engine_child_name {
	const char *nexus_uuid;
	const char *uri;
};

/** Uses a lost copy again: what it missed is rebuilt. */
enum cli_exit engine_child_online(struct rpc_session *session, const struct dev_node *node,
				  const struct engine_child_name *child, struct cli_error *error)
	__attribute__((warn_unused_result));
enum cli_exit engine_child_add(struct rpc_session *session, const struct dev_node *node,
			       const struct engine_child_name *child, struct cli_error *error)
	__attribute__((warn_unused_result));
enum cli_exit engine_child_remove(struct rpc_session *session, const struct dev_node *node,
				  const struct engine_child_name *child, struct cli_error *error)
	__attribute__((warn_unused_result));

/** The newest finished rebuild of @child. Return: CLI_NOT_RUNNING when there is none. */
enum cli_exit engine_rebuild_last(struct rpc_session *session, const struct dev_node *node,
				  const struct engine_child_name *child,
				  struct engine_rebuild *ret_rebuild, struct cli_error *error)
	__attribute__((warn_unused_result));

/* What a reactor did since its engine started. */
struct engine_reactor {
	uint32_t index;
	uint64_t turns;
	uint64_t sleeps;
	uint64_t completions;
	uint64_t ops;
	uint64_t messages;
	uint64_t enters;
	uint64_t yields;
	uint64_t spin_ns;
	uint64_t cpu_ns;
};

struct engine_reactors {
	uint32_t count;
	struct engine_reactor reactors[REACTORS_MAX];
};

enum cli_exit engine_reactors_get(struct rpc_session *session, const struct dev_node *node,
				  struct engine_reactors *ret_reactors, struct cli_error *error)
	__attribute__((warn_unused_result));

/** "online", "degraded" ... for people. */
const char *engine_nexus_state_text(Mayastor__V1__NexusState state);
const char *engine_child_state_text(Mayastor__V1__ChildState state);
/** "" for none. */
const char *engine_child_reason_text(Mayastor__V1__ChildStateReason reason);

#endif
