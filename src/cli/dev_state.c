/* SPDX-License-Identifier: Apache-2.0 */
/* dev_state.c - the state of a cluster to JSON and back.
 *
 * A reader refuses a file of a newer format instead of guessing, and every value is checked
 * against its limits before it is used as a path, a port or an index.
 */
#include "cli/dev_state.h"

#include <jansson.h>

#include <stdio.h>
#include <string.h>

#define STATE_FORMAT 1

static const char *const via_texts[] = {
	[DEV_VIA_NONE] = "none",
	[DEV_VIA_KERNEL] = "kernel",
	[DEV_VIA_FUSE] = "fuse",
};

const char *dev_via_text(enum dev_via via)
{
	return via_texts[via];
}

bool dev_via_parse(const char *text, enum dev_via *ret_via)
{
	for (int via = DEV_VIA_NONE; via <= DEV_VIA_FUSE; via++) {
		if (strcmp(text, via_texts[via]) == 0) {
			*ret_via = (enum dev_via)via;
			return true;
		}
	}
	return false;
}

bool dev_name_is_valid(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= DEV_NAME_BYTES || name[0] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

struct dev_node *dev_node_find(struct dev_state *state, const char *name)
{
	for (uint32_t i = 0; i < state->node_count; i++) {
		if (strcmp(state->nodes[i].name, name) == 0)
			return &state->nodes[i];
	}
	return NULL;
}

static json_t *node_encode(const struct dev_node *node)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:s, s:s}", "name", node->name, "grpc_port",
			 (int)node->grpc_port, "target_port", (int)node->target_port, "core",
			 (int)node->core, "device_uuid", node->device_uuid, "child_uri",
			 node->child_uri);
}

char *dev_state_encode(const struct dev_state *state)
{
	const struct dev_volume *volume = &state->volume;
	json_t *nodes = json_array();
	json_t *root;
	char *text;

	for (uint32_t i = 0; i < state->node_count; i++)
		json_array_append_new(nodes, node_encode(&state->nodes[i]));
	root = json_pack(
		"{s:i, s:I, s:o, s:{s:s, s:s, s:s, s:I, s:i, s:b}, s:{s:s, s:s}}", "format",
		STATE_FORMAT, "device_bytes", (json_int_t)state->device_bytes, "nodes", nodes,
		"volume", "name", volume->name, "uuid", volume->uuid, "nexus_uuid",
		volume->nexus_uuid, "size_bytes", (json_int_t)volume->size_bytes, "replica_count",
		(int)volume->replica_count, "is_created", volume->is_created, "attachment", "via",
		dev_via_text(state->attachment.via), "device", state->attachment.device);
	text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	return text;
}

/* A text that fits and is printable; long ones are refused, never cut. */
static bool text_take(const char *text, char *ret_text, size_t size)
{
	if (strlen(text) >= size)
		return false;
	for (const char *at = text; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			return false;
	}
	snprintf(ret_text, size, "%s", text);
	return true;
}

static bool port_is_valid(json_int_t port)
{
	return port > 0 && port <= UINT16_MAX;
}

static enum cli_exit node_decode(json_t *json, uint32_t index, struct dev_node *ret_node,
				 struct cli_error *error)
{
	const char *name, *uuid, *uri;
	json_int_t grpc_port, target_port, core;
	struct uuid parsed;
	json_error_t why;

	if (json_unpack_ex(json, &why, 0, "{s:s, s:I, s:I, s:I, s:s, s:s}", "name", &name,
			   "grpc_port", &grpc_port, "target_port", &target_port, "core", &core,
			   "device_uuid", &uuid, "child_uri", &uri) != 0)
		return cli_fail(error, CLI_FAILED, "node %u: %s", index, why.text);
	if (!dev_name_is_valid(name) || !text_take(name, ret_node->name, DEV_NAME_BYTES))
		return cli_fail(error, CLI_FAILED, "node %u: its name is not valid", index);
	if (!port_is_valid(grpc_port) || !port_is_valid(target_port))
		return cli_fail(error, CLI_FAILED, "%s: a port is not 1 to 65535", name);
	if (core < 0 || core >= DEV_CORES_MAX)
		return cli_fail(error, CLI_FAILED, "%s: core is not 0 to %d", name,
				DEV_CORES_MAX - 1);
	if (!uuid_parse(uuid, &parsed))
		return cli_fail(error, CLI_FAILED, "%s: device_uuid is no UUID", name);
	if (!text_take(uri, ret_node->child_uri, DEV_URI_BYTES))
		return cli_fail(error, CLI_FAILED, "%s: child_uri is not valid", name);
	uuid_format(&parsed, ret_node->device_uuid);
	ret_node->grpc_port = (uint16_t)grpc_port;
	ret_node->target_port = (uint16_t)target_port;
	ret_node->core = (uint32_t)core;
	return CLI_OK;
}

static enum cli_exit nodes_decode(json_t *json, struct dev_state *state, struct cli_error *error)
{
	size_t count = json_array_size(json);

	if (count == 0 || count > DEV_NODES_MAX)
		return cli_fail(error, CLI_FAILED, "nodes must be a list of 1 to %d",
				DEV_NODES_MAX);
	for (size_t i = 0; i < count; i++) {
		enum cli_exit rc =
			node_decode(json_array_get(json, i), (uint32_t)i, &state->nodes[i], error);

		if (rc != CLI_OK)
			return rc;
		if (dev_node_find(state, state->nodes[i].name) != NULL)
			return cli_fail(error, CLI_FAILED, "two nodes are named %s",
					state->nodes[i].name);
		state->node_count++;
	}
	return CLI_OK;
}

static enum cli_exit volume_decode(json_t *json, struct dev_state *state, struct cli_error *error)
{
	struct dev_volume *volume = &state->volume;
	json_int_t size, replicas;
	const char *name, *uuid, *nexus_uuid;
	struct uuid parsed, nexus_parsed;
	json_error_t why;
	int is_created;

	if (json_unpack_ex(json, &why, 0, "{s:s, s:s, s:s, s:I, s:I, s:b}", "name", &name, "uuid",
			   &uuid, "nexus_uuid", &nexus_uuid, "size_bytes", &size, "replica_count",
			   &replicas, "is_created", &is_created) != 0)
		return cli_fail(error, CLI_FAILED, "volume: %s", why.text);
	if (!dev_name_is_valid(name) || !text_take(name, volume->name, DEV_NAME_BYTES))
		return cli_fail(error, CLI_FAILED, "volume: its name is not valid");
	if (!uuid_parse(uuid, &parsed) || !uuid_parse(nexus_uuid, &nexus_parsed))
		return cli_fail(error, CLI_FAILED, "volume %s: a uuid is no UUID", name);
	if (size < (json_int_t)DEV_VOLUME_MIN || size > (json_int_t)DEV_VOLUME_MAX ||
	    (uint64_t)size > state->device_bytes)
		return cli_fail(error, CLI_FAILED, "volume %s: size_bytes is out of range", name);
	if (replicas < 1 || replicas > (json_int_t)state->node_count)
		return cli_fail(error, CLI_FAILED, "volume %s: replica_count is not 1 to %u", name,
				state->node_count);
	uuid_format(&parsed, volume->uuid);
	uuid_format(&nexus_parsed, volume->nexus_uuid);
	volume->size_bytes = (uint64_t)size;
	volume->replica_count = (uint32_t)replicas;
	volume->is_created = is_created;
	return CLI_OK;
}

static enum cli_exit attachment_decode(json_t *json, struct dev_attachment *ret_attachment,
				       struct cli_error *error)
{
	const char *via, *device;
	json_error_t why;

	if (json_unpack_ex(json, &why, 0, "{s:s, s:s}", "via", &via, "device", &device) != 0)
		return cli_fail(error, CLI_FAILED, "attachment: %s", why.text);
	if (!dev_via_parse(via, &ret_attachment->via))
		return cli_fail(error, CLI_FAILED, "attachment: via '%.20s' is unknown", via);
	if (!text_take(device, ret_attachment->device, DEV_DEVICE_BYTES))
		return cli_fail(error, CLI_FAILED, "attachment: device is not valid");
	return CLI_OK;
}

static enum cli_exit root_decode(json_t *root, struct dev_state *state, struct cli_error *error)
{
	json_t *nodes, *volume, *attachment;
	json_int_t format, device_bytes;
	json_error_t why;
	enum cli_exit rc;

	if (json_unpack_ex(root, &why, 0, "{s:I}", "format", &format) != 0)
		return cli_fail(error, CLI_FAILED, "%s", why.text);
	if (format != STATE_FORMAT)
		return cli_fail(error, CLI_FAILED,
				"it has format %lld and this program knows %d: use the program "
				"that wrote it",
				(long long)format, STATE_FORMAT);
	if (json_unpack_ex(root, &why, 0, "{s:I, s:o, s:o, s:o}", "device_bytes", &device_bytes,
			   "nodes", &nodes, "volume", &volume, "attachment", &attachment) != 0)
		return cli_fail(error, CLI_FAILED, "%s", why.text);
	if (device_bytes < (json_int_t)DEV_VOLUME_MIN)
		return cli_fail(error, CLI_FAILED, "device_bytes is out of range");
	state->device_bytes = (uint64_t)device_bytes;
	rc = nodes_decode(nodes, state, error);
	if (rc == CLI_OK)
		rc = volume_decode(volume, state, error);
	if (rc == CLI_OK)
		rc = attachment_decode(attachment, &state->attachment, error);
	return rc;
}

enum cli_exit dev_state_decode(const char *text, size_t size_bytes, struct dev_state *ret_state,
			       struct cli_error *error)
{
	struct dev_state state = {0};
	json_error_t why;
	json_t *root = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, &why);
	enum cli_exit rc;

	if (root == NULL)
		return cli_fail(error, CLI_FAILED, "line %d: %s", why.line, why.text);
	rc = root_decode(root, &state, error);
	json_decref(root);
	if (rc == CLI_OK)
		*ret_state = state;
	return rc;
}
