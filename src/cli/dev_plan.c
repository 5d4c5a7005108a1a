/* SPDX-License-Identifier: Apache-2.0 */
/* dev_plan.c - what a new cluster is to be, and whether an old one is what is asked for. */
#include "cli/dev_cluster.h"

#include "base/size.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Below the range from which systems give ports to outgoing connections. */
#define PORT_FIRST 21000
#define PORT_LAST  31999

static uint32_t core_choose(struct dev_cluster *cluster, uint32_t index)
{
	const struct dev_options *options = cluster->options;
	uint32_t count = os_core_count(cluster->session.os);

	if (options->core_count > 0)
		return options->cores[index % options->core_count];
	return index % (count < DEV_CORES_MAX ? count : DEV_CORES_MAX);
}

enum cli_exit dev_plan_create(struct dev_cluster *cluster, struct cli_error *error)
{
	const struct dev_options *options = cluster->options;
	struct dev_state *state = &cluster->state;

	memset(state, 0, sizeof(*state));
	for (uint32_t i = 0; i < options->core_count; i++) {
		if (options->cores[i] >= os_core_count(cluster->session.os))
			return cli_fail(error, CLI_USAGE,
					"--cores: core %u does not exist: this machine has 0 to %u",
					options->cores[i], os_core_count(cluster->session.os) - 1);
	}
	state->device_bytes = options->device_bytes;
	state->node_count = options->node_count;
	for (uint32_t i = 0; i < state->node_count; i++) {
		dev_directory_node_name(i, state->nodes[i].name);
		state->nodes[i].core = core_choose(cluster, i);
		rpc_session_uuid(&cluster->session, state->nodes[i].device_uuid);
	}
	snprintf(state->volume.name, sizeof(state->volume.name), "%s", options->volume);
	rpc_session_uuid(&cluster->session, state->volume.uuid);
	rpc_session_uuid(&cluster->session, state->volume.nexus_uuid);
	state->volume.size_bytes = options->size_bytes;
	state->volume.replica_count = options->replica_count;
	return CLI_OK;
}

static enum cli_exit differ(const struct dev_cluster *cluster, const char *option, const char *has,
			    struct cli_error *error)
{
	return cli_fail(error, CLI_FAILED,
			"%s: the cluster in %s has %s: leave the option out, or begin anew with "
			"`mayastor dev down --purge`",
			option, cluster->directory.path, has);
}

enum cli_exit dev_plan_compare(const struct dev_cluster *cluster, struct cli_error *error)
{
	const struct dev_options *options = cluster->options;
	const struct dev_state *state = &cluster->state;
	char text[SIZE_TEXT_BYTES + 16];

	if ((options->given & DEV_GIVEN_NODES) != 0 && options->node_count != state->node_count) {
		snprintf(text, sizeof(text), "%u nodes", state->node_count);
		return differ(cluster, "--nodes", text, error);
	}
	if ((options->given & DEV_GIVEN_REPLICAS) != 0 &&
	    options->replica_count != state->volume.replica_count) {
		snprintf(text, sizeof(text), "%u copies", state->volume.replica_count);
		return differ(cluster, "--replicas", text, error);
	}
	if ((options->given & DEV_GIVEN_SIZE) != 0 &&
	    options->size_bytes != state->volume.size_bytes) {
		size_format(state->volume.size_bytes, text);
		return differ(cluster, "--size", text, error);
	}
	if ((options->given & DEV_GIVEN_DEVICE_SIZE) != 0 &&
	    options->device_bytes != state->device_bytes) {
		size_format(state->device_bytes, text);
		return differ(cluster, "--device-size", text, error);
	}
	if ((options->given & DEV_GIVEN_VOLUME) != 0 &&
	    strcmp(options->volume, state->volume.name) != 0)
		return differ(cluster, "--volume", state->volume.name, error);
	if ((options->given & DEV_GIVEN_BASE_PORT) != 0 &&
	    options->base_port != state->nodes[0].grpc_port) {
		snprintf(text, sizeof(text), "ports from %u", state->nodes[0].grpc_port);
		return differ(cluster, "--base-port", text, error);
	}
	return CLI_OK;
}

static bool port_is_free(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;
	bool is_free;

	if (fd < 0)
		return false;
	/* Connections of an engine that was killed linger; they do not keep a new one out. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	is_free = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return is_free;
}

static bool port_is_planned(const struct dev_state *state, uint16_t port)
{
	for (uint32_t i = 0; i < state->node_count; i++) {
		if (state->nodes[i].grpc_port == port || state->nodes[i].target_port == port)
			return true;
	}
	return false;
}

/* The next port at or after *next that nobody has. Return: 0 when there is none. */
static uint16_t port_choose(const struct dev_state *state, uint32_t *next)
{
	for (; *next <= PORT_LAST; (*next)++) {
		if (!port_is_planned(state, (uint16_t)*next) && port_is_free((uint16_t)*next))
			return (uint16_t)(*next)++;
	}
	return 0;
}

static enum cli_exit ports_fixed(struct dev_cluster *cluster, struct cli_error *error)
{
	struct dev_state *state = &cluster->state;

	for (uint32_t i = 0; i < state->node_count; i++) {
		uint16_t first = (uint16_t)(cluster->options->base_port + 2 * i);

		for (uint16_t port = first; port < first + 2; port++) {
			if (!port_is_free(port))
				return cli_fail(
					error, CLI_FAILED,
					"port %u for %s is taken by another program: end it "
					"or give another --base-port",
					port, state->nodes[i].name);
		}
		state->nodes[i].grpc_port = first;
		state->nodes[i].target_port = (uint16_t)(first + 1);
	}
	return CLI_OK;
}

enum cli_exit dev_plan_ports(struct dev_cluster *cluster, struct cli_error *error)
{
	struct dev_state *state = &cluster->state;
	uint32_t next = PORT_FIRST;

	if (cluster->options->base_port != 0)
		return ports_fixed(cluster, error);
	for (uint32_t i = 0; i < state->node_count; i++) {
		struct dev_node *node = &state->nodes[i];

		if (node->grpc_port == 0 || !port_is_free(node->grpc_port))
			node->grpc_port = port_choose(state, &next);
		if (node->target_port == 0 || !port_is_free(node->target_port))
			node->target_port = port_choose(state, &next);
		if (node->grpc_port == 0 || node->target_port == 0)
			return cli_fail(error, CLI_FAILED,
					"no port from %d to %d is free for %s: give another range "
					"with --base-port",
					PORT_FIRST, PORT_LAST, node->name);
	}
	return CLI_OK;
}
