/* SPDX-License-Identifier: Apache-2.0 */
/* dev_cluster.h - the cluster that a command works on, and what the commands do with it.
 *
 * All steps are of the kind "make sure that": repeating one that is done changes nothing, so a
 * command that was interrupted is simply given again.
 */
#ifndef CLI_DEV_CLUSTER_H
#define CLI_DEV_CLUSTER_H

#include "cli/dev_directory.h"
#include "cli/engine_client.h"
#include "cli/process.h"
#include "cli/rpc_session.h"

#include <jansson.h>
#include <stdio.h>

struct dev_cluster {
	const struct dev_options *options;
	struct dev_directory directory;
	struct dev_state state;
	struct rpc_session session;
};

/* dev_plan.c */

/** The state of a new cluster as the options ask for; no ports yet. */
enum cli_exit dev_plan_create(struct dev_cluster *cluster, struct cli_error *error)
	__attribute__((warn_unused_result));
/** Return: CLI_FAILED, naming the option, when one asks for another cluster than there is. */
enum cli_exit dev_plan_compare(const struct dev_cluster *cluster, struct cli_error *error)
	__attribute__((warn_unused_result));
/**
 * dev_plan_ports - give free ports to nodes that have none, or whose ports somebody else took
 * Only while no engine runs: others know an engine by its ports.
 */
enum cli_exit dev_plan_ports(struct dev_cluster *cluster, struct cli_error *error)
	__attribute__((warn_unused_result));

/* dev_node.c */

/** The program @name: beside this one, in the build folder, in PATH, or as @variable says. */
enum cli_exit dev_program_find(const char *name, const char *variable,
			       char ret_path[DEV_PATH_BYTES], struct cli_error *error)
	__attribute__((warn_unused_result));
bool dev_node_is_running(const struct dev_cluster *cluster, const struct dev_node *node,
			 struct process *ret_process);
/** Engine up, device open and exported; node->child_uri is set (not yet saved). */
enum cli_exit dev_node_start(struct dev_cluster *cluster, struct dev_node *node,
			     struct cli_error *error) __attribute__((warn_unused_result));
/** @ret_was_running as process_stop(). */
enum cli_exit dev_node_stop(const struct dev_directory *directory, const char *name,
			    bool *ret_was_running, struct cli_error *error)
	__attribute__((warn_unused_result));

/* dev_volume.c */

/** The node whose engine has the mirror. */
struct dev_node *dev_volume_host(struct dev_cluster *cluster);
/** Return: CLI_NOT_RUNNING when the engine that has it does not run, or it is not there. */
enum cli_exit dev_volume_find(struct dev_cluster *cluster, struct engine_nexus *ret_nexus,
			      struct cli_error *error) __attribute__((warn_unused_result));
/** The mirror exists and is published. */
enum cli_exit dev_volume_ensure(struct dev_cluster *cluster, struct cli_error *error)
	__attribute__((warn_unused_result));
/** The copy of @node in @nexus; NULL when it is not part of it. */
const struct engine_child *dev_volume_copy(const struct engine_nexus *nexus,
					   const struct dev_node *node);

/* dev_heal.c */

/** All copies whose engine runs are in sync again; shows the rebuild on @out. */
enum cli_exit dev_heal(struct dev_cluster *cluster, FILE *out, struct cli_error *error)
	__attribute__((warn_unused_result));

/* dev_attach.c */

/** @ret_device: the block device. Attached already: the same again. */
enum cli_exit dev_attach(struct dev_cluster *cluster, char ret_device[DEV_DEVICE_BYTES],
			 struct cli_error *error) __attribute__((warn_unused_result));
struct dev_detached {
	bool was_attached;
	bool is_lossy; /* what was cached could not be written; @error says so */
};

/** Takes away whatever is left of an attachment. */
enum cli_exit dev_detach(struct dev_cluster *cluster, struct dev_detached *ret_detached,
			 struct cli_error *error) __attribute__((warn_unused_result));
/** True when the attachment on record is whole. */
bool dev_attach_is_whole(const struct dev_cluster *cluster);

/* dev_status.c */

/** Writes @root in the form that the options ask for; @table_print is that for people. */
void dev_document_print(const struct dev_cluster *cluster, FILE *out, json_t *root,
			void (*table_print)(json_t *root, FILE *out));

/** Writes the status to @out. Return: CLI_NOT_RUNNING (without words) when no engine runs. */
enum cli_exit dev_status(struct dev_cluster *cluster, FILE *out)
	__attribute__((warn_unused_result));

/* dev_reactors.c */

/** Writes what the reactors of all running engines did. Return: as dev_status(), or CLI_FAILED. */
enum cli_exit dev_reactors(struct dev_cluster *cluster, FILE *out, struct cli_error *error)
	__attribute__((warn_unused_result));

/* dev_command.c */

/** Does what @options say. Return: the exit status; unless it is CLI_OK @error may have a text. */
enum cli_exit dev_command_run(const struct dev_options *options, struct cli_error *error)
	__attribute__((warn_unused_result));

#endif
