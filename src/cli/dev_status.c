/* SPDX-License-Identifier: Apache-2.0 */
/* dev_status.c - everything about the cluster, looked up now.
 *
 * The facts are gathered once as a JSON value; the three forms of output show that value.
 */
#include "cli/dev_cluster.h"

#include "base/size.h"
#include "cli/output.h"

#include <string.h>
#include <time.h>

#define TIME_BYTES    32
#define ADDRESS_BYTES 32

static void time_format(int64_t seconds, char ret_text[TIME_BYTES])
{
	time_t time = (time_t)seconds;
	struct tm parts;

	gmtime_r(&time, &parts);
	strftime(ret_text, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static json_t *node_gather(struct dev_cluster *cluster, const struct dev_node *node,
			   bool *ret_is_running)
{
	char grpc[ADDRESS_BYTES], target[ADDRESS_BYTES], since[TIME_BYTES];
	char device[DEV_PATH_BYTES], log[DEV_PATH_BYTES];
	struct cli_error ignored;
	struct process process;
	const char *state;
	json_t *json;

	*ret_is_running = dev_node_is_running(cluster, node, &process);
	if (!*ret_is_running)
		state = "stopped";
	else
		state = engine_ping(&cluster->session, node, &ignored) == CLI_OK ? "running"
										 : "silent";
	snprintf(grpc, sizeof(grpc), "127.0.0.1:%u", node->grpc_port);
	snprintf(target, sizeof(target), "127.0.0.1:%u", node->target_port);
	dev_directory_path(&cluster->directory, node->name, DEV_FILE_DEVICE, device);
	dev_directory_path(&cluster->directory, node->name, DEV_FILE_LOG, log);
	json = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "name", node->name, "state", state,
			 "grpc", grpc, "nvme_tcp", target, "core", (int)node->core, "device",
			 device, "log", log);
	if (*ret_is_running) {
		time_format(process_started_at(&process), since);
		json_object_set_new(json, "pid", json_integer(process.pid));
		json_object_set_new(json, "since", json_string(since));
	}
	return json;
}

/* The newest rebuild of a copy that has ended; NULL when none is remembered. */
static json_t *rebuild_gather(struct dev_cluster *cluster, const struct dev_node *node)
{
	struct engine_child_name name = {cluster->state.volume.nexus_uuid, node->child_uri};
	struct engine_rebuild rebuild;
	struct cli_error ignored;

	if (engine_rebuild_last(&cluster->session, dev_volume_host(cluster), &name, &rebuild,
				&ignored) != CLI_OK)
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:b}", "total_bytes", (json_int_t)rebuild.total_bytes,
			 "copied_bytes", (json_int_t)rebuild.transferred_bytes, "milliseconds",
			 (json_int_t)(rebuild.ended_at_ms - rebuild.started_at_ms), "is_partial",
			 rebuild.is_partial);
}

static json_t *copy_gather(struct dev_cluster *cluster, const struct dev_node *node,
			   const struct engine_nexus *nexus)
{
	const struct engine_child *child = nexus != NULL ? dev_volume_copy(nexus, node) : NULL;
	json_t *json = json_pack("{s:s, s:s}", "node", node->name, "uri", node->child_uri);
	json_t *rebuild;

	if (child == NULL) {
		json_object_set_new(json, "state",
				    json_string(nexus != NULL ? "missing" : "unknown"));
		return json;
	}
	json_object_set_new(json, "state", json_string(engine_child_state_text(child->state)));
	json_object_set_new(json, "reason", json_string(engine_child_reason_text(child->reason)));
	if (child->rebuild_percent >= 0)
		json_object_set_new(json, "rebuild_percent", json_integer(child->rebuild_percent));
	rebuild = rebuild_gather(cluster, node);
	if (rebuild != NULL)
		json_object_set_new(json, "last_rebuild", rebuild);
	return json;
}

static json_t *volume_gather(struct dev_cluster *cluster)
{
	const struct dev_volume *volume = &cluster->state.volume;
	json_t *copies = json_array();
	struct engine_nexus nexus;
	struct cli_error why = {0};
	enum cli_exit rc = dev_volume_find(cluster, &nexus, &why);
	bool is_found = rc == CLI_OK;
	json_t *json;

	json = json_pack("{s:s, s:s, s:s, s:I, s:s}", "name", volume->name, "uuid", volume->uuid,
			 "nexus_uuid", volume->nexus_uuid, "size_bytes",
			 (json_int_t)volume->size_bytes, "state",
			 is_found ? engine_nexus_state_text(nexus.state) : "absent");
	if (is_found && nexus.uri[0] != '\0')
		json_object_set_new(json, "uri", json_string(nexus.uri));
	if (!is_found)
		json_object_set_new(json, "reason", json_string(why.text));
	for (uint32_t i = 0; i < volume->replica_count; i++)
		json_array_append_new(copies, copy_gather(cluster, &cluster->state.nodes[i],
							  is_found ? &nexus : NULL));
	json_object_set_new(json, "copies", copies);
	return json;
}

static json_t *status_gather(struct dev_cluster *cluster, uint32_t *ret_running)
{
	const struct dev_attachment *attachment = &cluster->state.attachment;
	json_t *nodes = json_array();
	json_t *root;

	*ret_running = 0;
	for (uint32_t i = 0; i < cluster->state.node_count; i++) {
		bool is_running;

		json_array_append_new(nodes,
				      node_gather(cluster, &cluster->state.nodes[i], &is_running));
		*ret_running += is_running;
	}
	root = json_pack("{s:s, s:o, s:o}", "directory", cluster->directory.path, "nodes", nodes,
			 "volume", volume_gather(cluster));
	if (attachment->via != DEV_VIA_NONE)
		json_object_set_new(
			root, "attachment",
			json_pack("{s:s, s:s, s:s}", "via", dev_via_text(attachment->via), "device",
				  attachment->device, "state",
				  dev_attach_is_whole(cluster) ? "attached" : "broken"));
	return root;
}

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static void nodes_print(json_t *nodes, FILE *out)
{
	json_t *rows = json_pack("[[s, s, s, s, s, s]]", "NODE", "ENGINE", "PID", "SINCE", "GRPC",
				 "NVME/TCP");
	size_t index;
	json_t *node;

	json_array_foreach(nodes, index, node)
	{
		char pid[16] = "";

		if (json_object_get(node, "pid") != NULL)
			snprintf(pid, sizeof(pid), "%lld",
				 (long long)json_integer_value(json_object_get(node, "pid")));
		json_array_append_new(rows,
				      json_pack("[s, s, s, s, s, s]", text_of(node, "name"),
						text_of(node, "state"), pid, text_of(node, "since"),
						text_of(node, "grpc"), text_of(node, "nvme_tcp")));
	}
	output_table(out, rows);
	json_decref(rows);
}

static void copies_print(json_t *copies, FILE *out)
{
	json_t *rows = json_pack("[[s, s, s, s]]", "COPY ON", "STATE", "REASON", "REBUILD");
	size_t index;
	json_t *copy;

	json_array_foreach(copies, index, copy)
	{
		json_t *percent = json_object_get(copy, "rebuild_percent");
		char text[16] = "";

		if (percent != NULL)
			snprintf(text, sizeof(text), "%lld%%",
				 (long long)json_integer_value(percent));
		json_array_append_new(rows, json_pack("[s, s, s, s]", text_of(copy, "node"),
						      text_of(copy, "state"),
						      text_of(copy, "reason"), text));
	}
	output_table(out, rows);
	json_decref(rows);
}

static void status_print(json_t *root, FILE *out)
{
	json_t *volume = json_object_get(root, "volume");
	json_t *attachment = json_object_get(root, "attachment");
	char size[SIZE_TEXT_BYTES];

	nodes_print(json_object_get(root, "nodes"), out);
	size_format((uint64_t)json_integer_value(json_object_get(volume, "size_bytes")), size);
	fprintf(out, "\nVolume %s: %s, %s\n", text_of(volume, "name"), text_of(volume, "state"),
		size);
	if (json_object_get(volume, "uri") != NULL)
		fprintf(out, "  %s\n", text_of(volume, "uri"));
	if (json_object_get(volume, "reason") != NULL)
		fprintf(out, "  %s\n", text_of(volume, "reason"));
	fputc('\n', out);
	copies_print(json_object_get(volume, "copies"), out);
	if (attachment == NULL)
		fputs("\nNot attached.\n", out);
	else
		fprintf(out, "\n%s: %s via %s\n",
			text_of(attachment, "device")[0] != '\0' ? text_of(attachment, "device")
								 : "no device",
			text_of(attachment, "state"), text_of(attachment, "via"));
}

void dev_document_print(const struct dev_cluster *cluster, FILE *out, json_t *root,
			void (*table_print)(json_t *root, FILE *out))
{
	switch (cluster->options->output) {
	case DEV_OUTPUT_TABLE:
		table_print(root, out);
		break;
	case DEV_OUTPUT_JSON:
		output_json(out, root);
		break;
	case DEV_OUTPUT_YAML:
		output_yaml(out, root);
		break;
	}
}

enum cli_exit dev_status(struct dev_cluster *cluster, FILE *out)
{
	uint32_t running;
	json_t *root = status_gather(cluster, &running);

	dev_document_print(cluster, out, root, status_print);
	json_decref(root);
	return running > 0 ? CLI_OK : CLI_NOT_RUNNING;
}
