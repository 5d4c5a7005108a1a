/* SPDX-License-Identifier: Apache-2.0 */
/* dev_heal.c - brings lost copies back into the volume and shows how far they are.
 *
 * Looks at the volume again and again. A copy that is neither in sync nor being rebuilt is told
 * to come back, a few times; one that does not is an error with its reason. There is no limit on
 * the time a rebuild may take, only on standing still.
 */
#include "cli/dev_cluster.h"

#include "base/size.h"
#include "cli/output.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAL_STEP_MS	   100
#define HEAL_RETRY_NS	   2000000000ull
#define HEAL_ATTEMPTS_MAX  4
#define HEAL_STALL_NS	   60000000000ull
#define HEAL_PERCENT_LINES 20 /* without a terminal: a line every so many percent */

struct heal_copy {
	uint32_t attempts;
	uint64_t attempted_ns;
	bool was_rebuilt;
};

struct heal {
	struct dev_cluster *cluster;
	struct engine_nexus nexus;
	FILE *out;
	bool is_terminal;
	struct heal_copy copies[DEV_NODES_MAX];
	uint32_t percent_shown; /* plus 1; 0: nothing was shown */
	uint64_t changed_ns;	/* of the progress */
	uint32_t percent_seen;
};

static struct engine_child_name child_name(const struct heal *heal, const struct dev_node *node)
{
	return (struct engine_child_name){heal->cluster->state.volume.nexus_uuid, node->child_uri};
}

/* Tells the volume to use the copy of @node again. */
static enum cli_exit copy_bring(struct heal *heal, const struct dev_node *node,
				struct cli_error *error)
{
	struct rpc_session *session = &heal->cluster->session;
	const struct dev_node *host = dev_volume_host(heal->cluster);
	struct engine_child_name name = child_name(heal, node);

	if (dev_volume_copy(&heal->nexus, node) == NULL)
		return engine_child_add(session, host, &name, error);
	if (engine_child_online(session, host, &name, error) == CLI_OK)
		return CLI_OK;
	/* What was put out for good has to be taken out and added anew. */
	if (engine_child_remove(session, host, &name, error) != CLI_OK)
		return CLI_FAILED;
	return engine_child_add(session, host, &name, error);
}

static bool copy_is_in_sync(const struct heal *heal, const struct dev_node *node)
{
	const struct engine_child *child = dev_volume_copy(&heal->nexus, node);

	return child != NULL && child->state == MAYASTOR__V1__CHILD_STATE__CHILD_STATE_ONLINE;
}

/* Return: CLI_FAILED when it was told often enough. */
static enum cli_exit copy_heal(struct heal *heal, uint32_t index, uint64_t now_ns,
			       struct cli_error *error)
{
	const struct dev_node *node = &heal->cluster->state.nodes[index];
	const struct engine_child *child = dev_volume_copy(&heal->nexus, node);
	struct heal_copy *copy = &heal->copies[index];
	struct cli_error why;

	if (child != NULL && child->rebuild_percent >= 0) {
		copy->was_rebuilt = true;
		return CLI_OK;
	}
	if (copy->attempts > 0 && now_ns - copy->attempted_ns < HEAL_RETRY_NS)
		return CLI_OK;
	if (copy->attempts == HEAL_ATTEMPTS_MAX)
		return cli_fail(
			error, CLI_FAILED,
			"the copy on %s does not come back: it is %s (%s); see %s/%s/%s and "
			"that of the volume's engine",
			node->name,
			child != NULL ? engine_child_state_text(child->state) : "missing",
			child != NULL ? engine_child_reason_text(child->reason) : "",
			heal->cluster->directory.path, node->name, DEV_FILE_LOG);
	copy->attempts++;
	copy->attempted_ns = now_ns;
	copy->was_rebuilt = true;
	if (copy_bring(heal, node, &why) != CLI_OK && copy->attempts == HEAL_ATTEMPTS_MAX) {
		*error = why;
		return CLI_FAILED;
	}
	return CLI_OK;
}

/* The one that is furthest behind; 0 while none has begun. */
static uint32_t percent_lowest(const struct heal *heal)
{
	uint32_t lowest = UINT32_MAX;

	for (uint32_t i = 0; i < heal->nexus.child_count; i++) {
		int32_t percent = heal->nexus.children[i].rebuild_percent;

		if (percent >= 0 && (uint32_t)percent < lowest)
			lowest = (uint32_t)percent;
	}
	return lowest <= 100 ? lowest : 0;
}

static void progress_show(struct heal *heal, uint32_t percent, bool is_end)
{
	char bar[OUTPUT_BAR_BYTES];
	bool is_due = heal->percent_shown == 0 || is_end ||
		      percent + 1 >= heal->percent_shown + HEAL_PERCENT_LINES;

	if (!heal->is_terminal && !is_due)
		return;
	output_bar(percent, bar);
	fprintf(heal->out, "%srebuild %s%s", heal->is_terminal ? "\r" : "", bar,
		heal->is_terminal && !is_end ? "" : "\n");
	fflush(heal->out);
	heal->percent_shown = percent + 1;
}

static enum cli_exit progress_watch(struct heal *heal, uint64_t now_ns, struct cli_error *error)
{
	uint32_t percent = percent_lowest(heal);

	if (percent != heal->percent_seen || heal->changed_ns == 0) {
		heal->percent_seen = percent;
		heal->changed_ns = now_ns;
	}
	if (now_ns - heal->changed_ns > HEAL_STALL_NS)
		return cli_fail(error, CLI_FAILED,
				"the rebuild of volume %s stands still at %u%% since %" PRIu64
				" s: see the log of %s",
				heal->cluster->state.volume.name, percent,
				(now_ns - heal->changed_ns) / 1000000000,
				dev_volume_host(heal->cluster)->name);
	progress_show(heal, percent, false);
	return CLI_OK;
}

/* One look. Return: CLI_OK; *ret_is_done when all copies that can be are in sync. */
static enum cli_exit heal_look(struct heal *heal, bool *ret_is_done, struct cli_error *error)
{
	struct dev_cluster *cluster = heal->cluster;
	uint64_t now_ns = os_clock_now_ns(cluster->session.os);
	enum cli_exit rc = dev_volume_find(cluster, &heal->nexus, error);

	*ret_is_done = true;
	for (uint32_t i = 0; i < cluster->state.volume.replica_count && rc == CLI_OK; i++) {
		const struct dev_node *node = &cluster->state.nodes[i];

		if (copy_is_in_sync(heal, node) || !dev_node_is_running(cluster, node, NULL))
			continue;
		*ret_is_done = false;
		rc = copy_heal(heal, i, now_ns, error);
	}
	if (rc == CLI_OK && !*ret_is_done)
		rc = progress_watch(heal, now_ns, error);
	return rc;
}

static void result_show(struct heal *heal, uint32_t index)
{
	struct dev_cluster *cluster = heal->cluster;
	const struct dev_node *node = &cluster->state.nodes[index];
	struct engine_child_name name = child_name(heal, node);
	char transferred[SIZE_TEXT_BYTES], total[SIZE_TEXT_BYTES];
	struct engine_rebuild rebuild;
	struct cli_error ignored;

	if (!copy_is_in_sync(heal, node)) {
		fprintf(heal->out,
			"%s: its engine does not run, the copy stays out; `mayastor dev start %s` "
			"brings it back\n",
			node->name, node->name);
		return;
	}
	if (!heal->copies[index].was_rebuilt)
		return;
	if (engine_rebuild_last(&cluster->session, dev_volume_host(cluster), &name, &rebuild,
				&ignored) != CLI_OK) {
		fprintf(heal->out, "%s: in sync\n", node->name);
		return;
	}
	size_format(rebuild.transferred_bytes, transferred);
	size_format(rebuild.total_bytes, total);
	fprintf(heal->out, "%s: in sync, %s of %s copied in %.2f s (%s)\n", node->name, transferred,
		total, (double)(rebuild.ended_at_ms - rebuild.started_at_ms) / 1000.0,
		rebuild.is_partial ? "only what it missed" : "everything");
}

enum cli_exit dev_heal(struct dev_cluster *cluster, FILE *out, struct cli_error *error)
{
	struct timespec step = {.tv_nsec = HEAL_STEP_MS * 1000000};
	struct heal heal = {
		.cluster = cluster,
		.out = out,
		.is_terminal = isatty(fileno(out)) == 1,
	};
	bool is_done = false;

	while (!is_done) {
		enum cli_exit rc = heal_look(&heal, &is_done, error);

		if (rc != CLI_OK) {
			if (heal.is_terminal && heal.percent_shown > 0)
				fputc('\n', out);
			return rc;
		}
		if (!is_done)
			nanosleep(&step, NULL);
	}
	if (heal.percent_shown > 0)
		progress_show(&heal, 100, true);
	for (uint32_t i = 0; i < cluster->state.volume.replica_count; i++)
		result_show(&heal, i);
	return CLI_OK;
}
