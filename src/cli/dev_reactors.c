/* SPDX-License-Identifier: Apache-2.0 */
/* dev_reactors.c - what the cores of the engines do, as a table, JSON or YAML. */
#include "cli/dev_cluster.h"

#include "cli/output.h"

#include <inttypes.h>

#define NS_PER_MS 1000000u

static json_t *reactor_json(const struct dev_node *node, const struct engine_reactor *reactor)
{
	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "node", node->name,
		"index", (json_int_t)reactor->index, "turns", (json_int_t)reactor->turns, "sleeps",
		(json_int_t)reactor->sleeps, "completions", (json_int_t)reactor->completions, "ops",
		(json_int_t)reactor->ops, "messages", (json_int_t)reactor->messages, "enters",
		(json_int_t)reactor->enters, "yields", (json_int_t)reactor->yields, "spin_ns",
		(json_int_t)reactor->spin_ns, "cpu_ns", (json_int_t)reactor->cpu_ns);
}

static json_t *number_text(json_t *reactor, const char *key, uint64_t unit)
{
	return json_sprintf("%" PRIu64,
			    (uint64_t)json_integer_value(json_object_get(reactor, key)) / unit);
}

static void table_print(json_t *root, FILE *out)
{
	static const struct {
		const char *heading;
		const char *key;
		uint64_t unit;
	} columns[] = {
		{"REACTOR", "index", 1},
		{"CPU MS", "cpu_ns", NS_PER_MS},
		{"SPUN MS", "spin_ns", NS_PER_MS},
		{"TURNS", "turns", 1},
		{"SLEEPS", "sleeps", 1},
		{"SYSCALLS", "enters", 1},
		{"YIELDS", "yields", 1},
		{"COMPLETIONS", "completions", 1},
		{"OPS", "ops", 1},
		{"MESSAGES", "messages", 1},
	};
	const size_t column_count = sizeof(columns) / sizeof(columns[0]);
	json_t *rows = json_array();
	json_t *row = json_pack("[s]", "NODE");
	size_t index;
	json_t *reactor, *reactors = json_object_get(root, "reactors");

	for (size_t i = 0; i < column_count; i++)
		json_array_append_new(row, json_string(columns[i].heading));
	json_array_append_new(rows, row);
	json_array_foreach(reactors, index, reactor)
	{
		row = json_array();
		json_array_append(row, json_object_get(reactor, "node"));
		for (size_t i = 0; i < column_count; i++)
			json_array_append_new(
				row, number_text(reactor, columns[i].key, columns[i].unit));
		json_array_append_new(rows, row);
	}
	output_table(out, rows);
	json_decref(rows);
}

/* Adds those of all engines that run. */
static enum cli_exit reactors_gather(struct dev_cluster *cluster, json_t *reactors,
				     struct cli_error *error)
{
	for (uint32_t i = 0; i < cluster->state.node_count; i++) {
		const struct dev_node *node = &cluster->state.nodes[i];
		struct engine_reactors found;
		enum cli_exit rc;

		if (!dev_node_is_running(cluster, node, NULL))
			continue;
		rc = engine_reactors_get(&cluster->session, node, &found, error);
		if (rc != CLI_OK)
			return rc;
		for (uint32_t j = 0; j < found.count; j++)
			json_array_append_new(reactors, reactor_json(node, &found.reactors[j]));
	}
	return CLI_OK;
}

enum cli_exit dev_reactors(struct dev_cluster *cluster, FILE *out, struct cli_error *error)
{
	json_t *root = json_pack("{s:[]}", "reactors");
	json_t *reactors = json_object_get(root, "reactors");
	enum cli_exit rc = reactors_gather(cluster, reactors, error);

	if (rc == CLI_OK && json_array_size(reactors) == 0)
		rc = cli_fail(error, CLI_NOT_RUNNING,
			      "no engine runs: mayastor dev up starts them");
	if (rc == CLI_OK)
		dev_document_print(cluster, out, root, table_print);
	json_decref(root);
	return rc;
}
