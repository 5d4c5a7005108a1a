/* SPDX-License-Identifier: Apache-2.0 */
/* dev_volume.c - the volume: one mirror on the first node over the copies of all. */
#include "cli/dev_cluster.h"

#include <string.h>

struct dev_node *dev_volume_host(struct dev_cluster *cluster)
{
	return &cluster->state.nodes[0];
}

enum cli_exit dev_volume_find(struct dev_cluster *cluster, struct engine_nexus *ret_nexus,
			      struct cli_error *error)
{
	const struct dev_node *host = dev_volume_host(cluster);

	if (!dev_node_is_running(cluster, host, NULL))
		return cli_fail(error, CLI_NOT_RUNNING,
				"volume %s is served by %s, whose engine does not run: start it "
				"with `mayastor dev start %s`",
				cluster->state.volume.name, host->name, host->name);
	return engine_nexus_find(&cluster->session, host, cluster->state.volume.nexus_uuid,
				 ret_nexus, error);
}

const struct engine_child *dev_volume_copy(const struct engine_nexus *nexus,
					   const struct dev_node *node)
{
	for (uint32_t i = 0; i < nexus->child_count; i++) {
		if (strcmp(nexus->children[i].uri, node->child_uri) == 0)
			return &nexus->children[i];
	}
	return NULL;
}

/*
 * A volume is made of all its copies. Later it comes back with those whose engines run: its
 * engine's record knows which of them have everything.
 */
static enum cli_exit nexus_create(struct dev_cluster *cluster, struct cli_error *error)
{
	struct dev_volume *volume = &cluster->state.volume;
	struct engine_child_list children = {0};
	enum cli_exit rc;

	for (uint32_t i = 0; i < volume->replica_count; i++) {
		struct dev_node *node = &cluster->state.nodes[i];

		if (dev_node_is_running(cluster, node, NULL))
			children.uris[children.count++] = node->child_uri;
		else if (!volume->is_created)
			return cli_fail(error, CLI_NOT_RUNNING,
					"volume %s cannot be made: the engine of %s does not run; "
					"give `mayastor dev up`",
					volume->name, node->name);
	}
	if (!volume->is_created) {
		volume->is_created = true;
		rc = dev_directory_save(&cluster->directory, &cluster->state, error);
		if (rc != CLI_OK)
			return rc;
	}
	return engine_nexus_create(&cluster->session, dev_volume_host(cluster), volume, &children,
				   error);
}

enum cli_exit dev_volume_ensure(struct dev_cluster *cluster, struct cli_error *error)
{
	const struct dev_node *host = dev_volume_host(cluster);
	const char *uuid = cluster->state.volume.nexus_uuid;
	struct engine_nexus nexus;
	enum cli_exit rc;

	rc = engine_nexus_find(&cluster->session, host, uuid, &nexus, error);
	if (rc == CLI_NOT_RUNNING) {
		nexus.uri[0] = '\0';
		rc = nexus_create(cluster, error);
	}
	if (rc != CLI_OK || nexus.uri[0] != '\0')
		return rc;
	return engine_nexus_publish(&cluster->session, host, uuid, error);
}
