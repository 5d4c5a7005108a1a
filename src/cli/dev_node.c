/* SPDX-License-Identifier: Apache-2.0 */
/* dev_node.c - one engine of the cluster: found, started, made ready, stopped. */
#include "cli/dev_cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 30000
#define READY_STEP_MS	 20
#define STOP_TIMEOUT_MS	 15000
#define LOG_TAIL_BYTES	 512

/* Return: true if the program @name is in @folder; its path is written either way. */
static bool program_is_in(const char *folder, const char *name, char ret_path[DEV_PATH_BYTES])
{
	return snprintf(ret_path, DEV_PATH_BYTES, "%s/%s", folder, name) < DEV_PATH_BYTES &&
	       access(ret_path, X_OK) == 0;
}

static bool path_search(const char *name, char ret_path[DEV_PATH_BYTES])
{
	const char *list = getenv("PATH");
	char copy[4096];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list != NULL ? list : "");
	for (char *part = strtok_r(copy, ":", &save); part; part = strtok_r(NULL, ":", &save)) {
		if (program_is_in(part, name, ret_path))
			return true;
	}
	return false;
}

/* The folder of this program. */
static void own_folder(char ret_folder[DEV_PATH_BYTES])
{
	ssize_t length = readlink("/proc/self/exe", ret_folder, DEV_PATH_BYTES - 1);
	char *slash;

	ret_folder[length > 0 ? length : 0] = '\0';
	slash = strrchr(ret_folder, '/');
	if (slash != NULL)
		*slash = '\0';
}

enum cli_exit dev_program_find(const char *name, const char *variable,
			       char ret_path[DEV_PATH_BYTES], struct cli_error *error)
{
	const char *chosen = getenv(variable);
	/* Installed beside this program, or in the build folder one up. */
	const char *folder = strcmp(name, "io-engine") == 0 ? "engine" : "attach";
	char beside[DEV_PATH_BYTES];
	char sibling[DEV_PATH_BYTES + 16];

	if (chosen != NULL && chosen[0] != '\0') {
		snprintf(ret_path, DEV_PATH_BYTES, "%s", chosen);
		if (access(ret_path, X_OK) == 0)
			return CLI_OK;
		return cli_fail(error, CLI_FAILED, "%s=%s cannot be executed: %s", variable, chosen,
				strerror(errno));
	}
	own_folder(beside);
	snprintf(sibling, sizeof(sibling), "%s/../%s", beside, folder);
	if (program_is_in(beside, name, ret_path) || program_is_in(sibling, name, ret_path) ||
	    path_search(name, ret_path))
		return CLI_OK;
	return cli_fail(error, CLI_FAILED,
			"the program %s is not beside this one (%s) and not in PATH: install it or "
			"name it in %s",
			name, beside, variable);
}

static void record_path(const struct dev_directory *directory, const char *name,
			char ret_path[DEV_PATH_BYTES])
{
	dev_directory_path(directory, name, DEV_FILE_PROCESS, ret_path);
}

bool dev_node_is_running(const struct dev_cluster *cluster, const struct dev_node *node,
			 struct process *ret_process)
{
	struct process process;
	char path[DEV_PATH_BYTES];

	record_path(&cluster->directory, node->name, path);
	return process_find(path, ret_process != NULL ? ret_process : &process);
}

/* The last line of the log, for a message. */
static void log_tail(const char *path, char ret_text[LOG_TAIL_BYTES])
{
	FILE *file = fopen(path, "re");
	size_t length = 0;
	char *line;

	ret_text[0] = '\0';
	if (file == NULL)
		return;
	if (fseek(file, -(LOG_TAIL_BYTES - 1), SEEK_END) != 0)
		rewind(file);
	length = fread(ret_text, 1, LOG_TAIL_BYTES - 1, file);
	fclose(file);
	while (length > 0 && ret_text[length - 1] == '\n')
		length--;
	ret_text[length] = '\0';
	line = strrchr(ret_text, '\n');
	if (line != NULL)
		memmove(ret_text, line + 1, strlen(line));
}

static enum cli_exit engine_spawn(struct dev_cluster *cluster, const struct dev_node *node,
				  struct cli_error *error)
{
	char program[DEV_PATH_BYTES], log[DEV_PATH_BYTES], record[DEV_PATH_BYTES];
	char state[DEV_PATH_BYTES], grpc_port[8], target_port[8], core[8];
	struct process process;
	struct process_start start = {.log_path = log, .record_path = record};
	enum cli_exit rc;

	rc = dev_program_find("io-engine", "MAYASTOR_IO_ENGINE", program, error);
	if (rc != CLI_OK)
		return rc;
	/* Each engine is a host of its own; one name for all would make them one. */
	unsetenv("HOSTNQN");
	unsetenv("MAYASTOR_NVMF_HOSTID");
	dev_directory_path(&cluster->directory, node->name, DEV_FILE_LOG, log);
	dev_directory_path(&cluster->directory, node->name, DEV_FILE_STATE, state);
	record_path(&cluster->directory, node->name, record);
	snprintf(grpc_port, sizeof(grpc_port), "%u", node->grpc_port);
	snprintf(target_port, sizeof(target_port), "%u", node->target_port);
	snprintf(core, sizeof(core), "%u", node->core);
	start.argv = (const char *const[]){
		program,       "--node-name", node->name,     "--grpc-ip",   "127.0.0.1",
		"--grpc-port", grpc_port,     "--tgt-port",   target_port,   "--tgt-second-port",
		"0",	       "--tgt-iface", "ip:127.0.0.1", "--state-dir", state,
		"--core-list", core,	      "--log-format", "nocolor",     NULL};
	return process_start(&start, &process, error);
}

static enum cli_exit ready_await(struct dev_cluster *cluster, const struct dev_node *node,
				 struct cli_error *error)
{
	struct timespec step = {.tv_nsec = READY_STEP_MS * 1000000};
	struct process process;
	char log[DEV_PATH_BYTES];
	char tail[LOG_TAIL_BYTES];
	uint64_t start_ns = os_clock_now_ns(cluster->session.os);

	dev_directory_path(&cluster->directory, node->name, DEV_FILE_LOG, log);
	while (engine_ping(&cluster->session, node, error) != CLI_OK) {
		if (!dev_node_is_running(cluster, node, &process)) {
			log_tail(log, tail);
			return cli_fail(error, CLI_FAILED, "%s: the engine ended: %s; see %s",
					node->name, tail[0] != '\0' ? tail : "without a word", log);
		}
		if (os_clock_now_ns(cluster->session.os) - start_ns > READY_TIMEOUT_MS * 1000000ull)
			return cli_fail(error, CLI_FAILED,
					"%s: the engine runs as process %d but does not answer on "
					"port %u after %d s: see %s",
					node->name, (int)process.pid, node->grpc_port,
					READY_TIMEOUT_MS / 1000, log);
		nanosleep(&step, NULL);
	}
	return CLI_OK;
}

/* How the engine that has the mirror names the copy: its own device, or over the network. */
static enum cli_exit child_uri_set(struct dev_cluster *cluster, struct dev_node *node,
				   const char *path, const char *share_uri, struct cli_error *error)
{
	int length;

	if (node == dev_volume_host(cluster))
		length = snprintf(node->child_uri, DEV_URI_BYTES, "bdev:///%s?uuid=%s", path,
				  node->device_uuid);
	else
		length = snprintf(node->child_uri, DEV_URI_BYTES, "%s?uuid=%s", share_uri,
				  node->device_uuid);
	if (length >= DEV_URI_BYTES)
		return cli_fail(error, CLI_FAILED, "%s: the URI of its copy is too long",
				node->name);
	return CLI_OK;
}

enum cli_exit dev_node_start(struct dev_cluster *cluster, struct dev_node *node,
			     struct cli_error *error)
{
	char share_uri[DEV_URI_BYTES];
	char path[DEV_PATH_BYTES];
	enum cli_exit rc;

	rc = dev_directory_folder(&cluster->directory, node->name, error);
	if (rc == CLI_OK)
		rc = dev_directory_device(&cluster->directory, node->name,
					  cluster->state.device_bytes, error);
	if (rc == CLI_OK && !dev_node_is_running(cluster, node, NULL))
		rc = engine_spawn(cluster, node, error);
	if (rc == CLI_OK)
		rc = ready_await(cluster, node, error);
	if (rc != CLI_OK)
		return rc;
	dev_directory_path(&cluster->directory, node->name, DEV_FILE_DEVICE, path);
	rc = engine_device_ensure(&cluster->session, node, path, share_uri, error);
	if (rc != CLI_OK)
		return rc;
	return child_uri_set(cluster, node, path, share_uri, error);
}

enum cli_exit dev_node_stop(const struct dev_directory *directory, const char *name,
			    bool *ret_was_running, struct cli_error *error)
{
	char path[DEV_PATH_BYTES];

	record_path(directory, name, path);
	return process_stop(path, STOP_TIMEOUT_MS, ret_was_running, error);
}
