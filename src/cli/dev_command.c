/* SPDX-License-Identifier: Apache-2.0 */
/* dev_command.c - the commands of `mayastor dev`, each a short list of steps.
 *
 * A command that changes something holds the lock; a rebuild is watched without it. The state is
 * saved before what it names is started.
 */
#include "cli/dev_cluster.h"

#include "base/size.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILL_TIMEOUT_MS 15000

static uint32_t running_count(const struct dev_cluster *cluster)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < cluster->state.node_count; i++)
		count += dev_node_is_running(cluster, &cluster->state.nodes[i], NULL);
	return count;
}

static enum cli_exit state_save(struct dev_cluster *cluster, struct cli_error *error)
{
	return dev_directory_save(&cluster->directory, &cluster->state, error);
}

/* The state of the cluster that is there, or that of a new one; saved. */
static enum cli_exit state_prepare(struct dev_cluster *cluster, struct cli_error *error)
{
	enum cli_exit rc = dev_directory_load(&cluster->directory, &cluster->state, error);

	if (rc == CLI_OK)
		rc = dev_plan_compare(cluster, error);
	else if (rc == CLI_NOT_RUNNING)
		rc = dev_plan_create(cluster, error);
	/* A device that is attached knows the volume by its port. */
	if (rc == CLI_OK && running_count(cluster) == 0 &&
	    cluster->state.attachment.via == DEV_VIA_NONE)
		rc = dev_plan_ports(cluster, error);
	if (rc == CLI_OK)
		rc = state_save(cluster, error);
	return rc;
}

static enum cli_exit node_bring(struct dev_cluster *cluster, struct dev_node *node,
				struct cli_error *error)
{
	struct process process = {0};
	bool was_running = dev_node_is_running(cluster, node, NULL);
	enum cli_exit rc = dev_node_start(cluster, node, error);

	if (rc != CLI_OK)
		return rc;
	if (!dev_node_is_running(cluster, node, &process))
		return cli_fail(error, CLI_FAILED, "%s: the engine has just ended: see %s/%s/%s",
				node->name, cluster->directory.path, node->name, DEV_FILE_LOG);
	printf("%s: engine %s, process %d, gRPC 127.0.0.1:%u, NVMe/TCP 127.0.0.1:%u\n", node->name,
	       was_running ? "runs" : "started", (int)process.pid, node->grpc_port,
	       node->target_port);
	fflush(stdout);
	return CLI_OK;
}

static enum cli_exit volume_tell(struct dev_cluster *cluster, struct cli_error *error)
{
	const struct dev_volume *volume = &cluster->state.volume;
	char size[SIZE_TEXT_BYTES];
	struct engine_nexus nexus;
	enum cli_exit rc = dev_volume_find(cluster, &nexus, error);

	if (rc != CLI_OK)
		return rc;
	size_format(volume->size_bytes, size);
	printf("Volume %s: %s, %s, %u %s\n  %s\n", volume->name,
	       engine_nexus_state_text(nexus.state), size, volume->replica_count,
	       volume->replica_count == 1 ? "copy" : "copies", nexus.uri);
	return CLI_OK;
}

static enum cli_exit heal_unlocked(struct dev_cluster *cluster, struct cli_error *error)
{
	dev_directory_unlock(&cluster->directory);
	return dev_heal(cluster, stdout, error);
}

static enum cli_exit up_run(struct dev_cluster *cluster, struct cli_error *error)
{
	enum cli_exit rc = state_prepare(cluster, error);

	for (uint32_t i = 0; i < cluster->state.node_count && rc == CLI_OK; i++)
		rc = node_bring(cluster, &cluster->state.nodes[i], error);
	if (rc == CLI_OK)
		rc = state_save(cluster, error); /* the URIs of the copies */
	if (rc == CLI_OK)
		rc = dev_volume_ensure(cluster, error);
	if (rc == CLI_OK && !cluster->options->is_no_heal)
		rc = heal_unlocked(cluster, error);
	if (rc == CLI_OK)
		rc = volume_tell(cluster, error);
	if (rc == CLI_OK)
		printf("Next: `mayastor dev attach`, `mayastor dev status`, `mayastor dev down`\n");
	return rc;
}

static enum cli_exit nodes_stop(struct dev_cluster *cluster, uint32_t *ret_count,
				struct cli_error *error)
{
	*ret_count = 0;
	/* The first one serves the volume and ends it in order while the others still answer. */
	for (uint32_t i = 0; i < DEV_NODES_MAX; i++) {
		char name[DEV_NAME_BYTES];
		bool was_running;
		enum cli_exit rc;

		dev_directory_node_name(i, name);
		rc = dev_node_stop(&cluster->directory, name, &was_running, error);
		if (rc != CLI_OK)
			return rc;
		if (was_running)
			printf("%s: engine stopped\n", name);
		*ret_count += was_running;
	}
	return CLI_OK;
}

/* Without a usable state, what runs is found by the files of the nodes. */
static enum cli_exit state_load_leniently(struct dev_cluster *cluster, struct cli_error *error)
{
	enum cli_exit rc = dev_directory_load(&cluster->directory, &cluster->state, error);

	if (rc == CLI_FAILED)
		fprintf(stderr, "mayastor: %s\n", error->text);
	if (rc != CLI_OK)
		memset(&cluster->state, 0, sizeof(cluster->state));
	return rc;
}

static enum cli_exit down_run(struct dev_cluster *cluster, struct cli_error *error)
{
	enum cli_exit loaded = state_load_leniently(cluster, error);
	struct dev_detached detached;
	struct cli_error later;
	uint32_t count = 0;
	enum cli_exit rc = dev_detach(cluster, &detached, error);

	if (rc != CLI_OK)
		return rc;
	if (detached.is_lossy)
		fprintf(stderr, "mayastor: %s\n", error->text);
	else if (detached.was_attached)
		printf("Volume detached\n");
	rc = nodes_stop(cluster, &count, &later);
	if (rc == CLI_OK && cluster->options->is_purge)
		rc = dev_directory_purge(&cluster->directory, &later);
	if (rc != CLI_OK) {
		*error = later;
		return rc;
	}
	if (cluster->options->is_purge)
		printf("%s: devices, logs and state removed\n", cluster->directory.path);
	else if (loaded == CLI_NOT_RUNNING && count == 0)
		return loaded;
	else if (count == 0)
		printf("Nothing ran\n");
	error->text[0] = '\0'; /* it was told above */
	return detached.is_lossy && !cluster->options->is_forced && !cluster->options->is_purge
		       ? CLI_FAILED
		       : CLI_OK;
}

static enum cli_exit attach_run(struct dev_cluster *cluster, struct cli_error *error)
{
	char device[DEV_DEVICE_BYTES];
	enum cli_exit rc = dev_attach(cluster, device, error);

	if (rc == CLI_OK)
		printf("%s\n", device);
	return rc;
}

static enum cli_exit detach_run(struct dev_cluster *cluster, struct cli_error *error)
{
	struct dev_detached detached;
	enum cli_exit rc = dev_detach(cluster, &detached, error);

	if (rc != CLI_OK)
		return rc;
	if (detached.is_lossy && !cluster->options->is_forced)
		return CLI_FAILED;
	if (detached.is_lossy)
		fprintf(stderr, "mayastor: %s\n", error->text);
	if (!detached.was_attached)
		return cli_fail(error, CLI_NOT_RUNNING, "volume %s is not attached",
				cluster->state.volume.name);
	printf("Volume detached\n");
	return CLI_OK;
}

static enum cli_exit node_choose(struct dev_cluster *cluster, struct dev_node **ret_node,
				 struct cli_error *error)
{
	*ret_node = dev_node_find(&cluster->state, cluster->options->node);
	if (*ret_node != NULL)
		return CLI_OK;
	return cli_fail(error, CLI_NOT_RUNNING, "no node %s: the cluster has node-1 to node-%u",
			cluster->options->node, cluster->state.node_count);
}

static enum cli_exit start_run(struct dev_cluster *cluster, struct cli_error *error)
{
	struct dev_node *node;
	enum cli_exit rc = node_choose(cluster, &node, error);

	if (rc == CLI_OK)
		rc = node_bring(cluster, node, error);
	if (rc == CLI_OK)
		rc = state_save(cluster, error);
	if (rc != CLI_OK || !dev_node_is_running(cluster, dev_volume_host(cluster), NULL))
		return rc;
	rc = dev_volume_ensure(cluster, error);
	if (rc == CLI_OK && !cluster->options->is_no_heal)
		rc = heal_unlocked(cluster, error);
	return rc;
}

static bool signal_is_deadly(int signal)
{
	switch (signal) {
	case SIGCONT:
	case SIGSTOP:
	case SIGTSTP:
	case SIGCHLD:
	case SIGURG:
	case SIGWINCH:
	case SIGPIPE:
	case SIGHUP:
		return false;
	default:
		return true;
	}
}

static enum cli_exit kill_run(struct dev_cluster *cluster, struct cli_error *error)
{
	int signal = cluster->options->signal;
	struct process process;
	struct dev_node *node;
	enum cli_exit rc = node_choose(cluster, &node, error);

	if (rc != CLI_OK)
		return rc;
	if (!dev_node_is_running(cluster, node, &process))
		return cli_fail(error, CLI_NOT_RUNNING, "the engine of %s does not run",
				node->name);
	rc = process_signal(&process, signal, signal_is_deadly(signal) ? KILL_TIMEOUT_MS : -1,
			    error);
	if (rc == CLI_OK)
		printf("%s: process %d got signal %d%s\n", node->name, (int)process.pid, signal,
		       signal_is_deadly(signal) ? " and has ended" : "");
	return rc;
}

static enum cli_exit heal_run(struct dev_cluster *cluster, struct cli_error *error)
{
	enum cli_exit rc;

	if (!dev_node_is_running(cluster, dev_volume_host(cluster), NULL)) {
		struct engine_nexus nexus;

		return dev_volume_find(cluster, &nexus, error);
	}
	rc = dev_volume_ensure(cluster, error);
	if (rc == CLI_OK)
		rc = heal_unlocked(cluster, error);
	if (rc == CLI_OK)
		rc = volume_tell(cluster, error);
	return rc;
}

static enum cli_exit command_run(struct dev_cluster *cluster, struct cli_error *error)
{
	enum cli_exit rc = CLI_OK;

	if (cluster->options->command != DEV_STATUS && cluster->options->command != DEV_REACTORS)
		rc = dev_directory_lock(&cluster->directory, error);
	if (rc == CLI_OK && cluster->options->command != DEV_UP &&
	    cluster->options->command != DEV_DOWN)
		rc = dev_directory_load(&cluster->directory, &cluster->state, error);
	if (rc != CLI_OK)
		return rc;
	switch (cluster->options->command) {
	case DEV_UP:
		return up_run(cluster, error);
	case DEV_STATUS:
		return dev_status(cluster, stdout);
	case DEV_DOWN:
		return down_run(cluster, error);
	case DEV_ATTACH:
		return attach_run(cluster, error);
	case DEV_DETACH:
		return detach_run(cluster, error);
	case DEV_START:
		return start_run(cluster, error);
	case DEV_KILL:
		return kill_run(cluster, error);
	case DEV_HEAL:
		return heal_run(cluster, error);
	case DEV_REACTORS:
		return dev_reactors(cluster, stdout, error);
	}
	return CLI_FAILED;
}

enum cli_exit dev_command_run(const struct dev_options *options, struct cli_error *error)
{
	struct dev_cluster *cluster;
	enum cli_exit rc;

	error->text[0] = '\0';
	cluster = calloc(1, sizeof(*cluster));
	if (cluster == NULL)
		return cli_fail(error, CLI_FAILED, "no memory");
	cluster->options = options;
	cluster->directory.lock_fd = -1;
	rc = dev_directory_open(options->directory, options->command == DEV_UP, &cluster->directory,
				error);
	if (rc == CLI_OK)
		rc = rpc_session_open(&cluster->session, error);
	if (rc == CLI_OK)
		rc = command_run(cluster, error);
	rpc_session_close(&cluster->session);
	dev_directory_unlock(&cluster->directory);
	free(cluster);
	return rc;
}
