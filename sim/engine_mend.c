/* SPDX-License-Identifier: Apache-2.0 */
/* engine_mend.c - the control plane's hand at the nexus: looks at it, and does one thing a look.
 *
 * It brings the nexus to the plan (cluster->placed): takes out what failed and puts it in again or
 * online, adds what is missing, removes what left the plan, and does what the operator wishes.
 * While a hold lasts nothing is mended, so that what the operator did has time to matter.
 *
 * Looks become rarer while all is well: idle virtual time is to be cheap.
 */
#include "sim/engine_run.h"
#include "sim/sim_impl.h"

#include <string.h>

#define PAUSE_NS_MIN (200 * SIM_MS)

/* ---- what is seen ---- */

static struct cluster *cluster_of(const struct engine_run *run)
{
	return run->engine->cluster;
}

/* Which engine has the child; ENGINES_MAX: none, which cannot be. */
static uint32_t child_find(struct engine_run *run, const char *child_uri)
{
	char uri[URI_TEXT_BYTES_SHOWN];

	for (uint32_t i = 0; i < cluster_of(run)->options.engine_count; i++) {
		engine_child_uri(run, i, uri);
		if (strcmp(uri, child_uri) == 0)
			return i;
	}
	return ENGINES_MAX;
}

static void report(struct engine_run *run)
{
	struct cluster *cluster = cluster_of(run);
	const struct nexus_info *info = &run->info;

	cluster->state = info->state;
	cluster->rebuild_count = info->rebuild_count;
	cluster->children_online = 0;
	cluster->children_known = 0;
	cluster->seen_ns = cluster->sim->now_ns;
	memcpy(cluster->reason, info->reason, sizeof(cluster->reason));
	for (uint32_t i = 0; i < info->child_count; i++) {
		uint32_t child = child_find(run, info->children[i].uri);

		cluster->children_known |= 1u << child;
		if (info->children[i].state == NEXUS_CHILD_ONLINE)
			cluster->children_online |= 1u << child;
	}
	if ((cluster->children_online & cluster->placed) == cluster->placed) {
		cluster->placed &= ~cluster->leaving;
		cluster->leaving = 0;
	}
}

/* ---- what is done ---- */

static void request_choose(struct engine_run *run, nexus_call call, const char *uri)
{
	run->call = call;
	if (uri != NULL && uri != run->mend_uri)
		memcpy(run->mend_uri, uri, sizeof(run->mend_uri));
}

static void action_choose(struct engine_run *run, enum nexus_action action, const char *uri)
{
	request_choose(run, nexus_child_action_submit, uri);
	run->action = action;
}

/* One that runs; @ret_uri stays as it is when there is none. */
static void rebuild_find(const struct engine_run *run, char ret_uri[URI_TEXT_BYTES_SHOWN])
{
	for (uint32_t i = 0; i < run->info.child_count; i++) {
		if (run->info.children[i].rebuild_progress >= 0)
			memcpy(ret_uri, run->info.children[i].uri, URI_TEXT_BYTES_SHOWN);
	}
}

/* What the operator wishes. Return: MEND_REST for nothing that can be done. */
static enum mend_step wish_choose(struct engine_run *run)
{
	struct cluster *cluster = cluster_of(run);
	char uri[URI_TEXT_BYTES_SHOWN];

	run->wish = cluster->wish;
	cluster->wish = WISH_NOTHING;
	cluster->hold_until_ns = cluster->sim->now_ns + cluster->wish_hold_ns;
	sim_trace(cluster->sim, "wish", run->wish, cluster->wish_child, cluster->wish_hold_ns);
	engine_child_uri(run, cluster->wish_child, uri);
	if (run->wish == WISH_REBUILD_PAUSE || run->wish == WISH_REBUILD_STOP)
		rebuild_find(run, uri);
	switch (run->wish) {
	case WISH_NOTHING:
		return MEND_REST;
	case WISH_OFFLINE:
		action_choose(run, NEXUS_ACTION_OFFLINE, uri);
		return MEND_ACT;
	case WISH_FAULT:
		request_choose(run, nexus_child_fault_submit, uri);
		return MEND_ACT;
	case WISH_REBUILD_PAUSE:
		request_choose(run, nexus_rebuild_pause_submit, uri);
		memcpy(run->rebuild_paused, uri, sizeof(uri));
		return MEND_ACT;
	case WISH_REBUILD_STOP:
		request_choose(run, nexus_rebuild_stop_submit, uri);
		return MEND_ACT;
	case WISH_PAUSE:
		if (run->is_paused)
			return MEND_REST;
		request_choose(run, nexus_pause_submit, NULL);
		run->is_paused = true;
		return MEND_ACT;
	case WISH_REPUBLISH:
	case WISH_RECREATE:
		return cluster->options.is_local ? MEND_REST : MEND_UNSHARE;
	}
	ASSERT(!"a wish of the list");
}

/* Those about a rebuild wait for one. */
static bool wish_is_ripe(const struct engine_run *run)
{
	enum engine_wish wish = run->engine->cluster->wish;

	if (wish == WISH_REBUILD_PAUSE || wish == WISH_REBUILD_STOP)
		return run->info.rebuild_count > 0;
	return wish != WISH_NOTHING;
}

/* A child that has failed, or one that waits for a rebuild which nobody runs. */
static bool child_needs_help(const struct nexus_child_info *child)
{
	return child->state == NEXUS_CHILD_FAULTED ||
	       (child->state == NEXUS_CHILD_DEGRADED && child->rebuild_progress < 0);
}

static enum mend_step help_choose(struct engine_run *run, const struct nexus_child_info *child)
{
	bool is_drawn = prng_chance(&cluster_of(run)->control, 1, 2);

	if (child->state == NEXUS_CHILD_DEGRADED && !is_drawn)
		request_choose(run, nexus_rebuild_start_submit, child->uri);
	else if (child->is_recorded_healthy || is_drawn)
		/* A copy that counts is never given up: its device may come back. */
		action_choose(run, NEXUS_ACTION_ONLINE, child->uri);
	else
		request_choose(run, nexus_child_remove_submit, child->uri);
	return MEND_ACT;
}

/* One of several that need something is drawn: the first may be beyond help for a while. */
static enum mend_step plan_choose(struct engine_run *run)
{
	struct cluster *cluster = cluster_of(run);
	const struct nexus_info *info = &run->info;
	uint32_t strangers = cluster->children_known & ~cluster->placed;
	uint32_t missing = cluster->placed & ~cluster->children_known;
	const struct nexus_child_info *drawn = NULL;
	uint32_t count = 0;

	for (uint32_t i = 0; i < info->child_count; i++) {
		if (child_needs_help(&info->children[i]) &&
		    prng_chance(&cluster->control, 1, ++count))
			drawn = &info->children[i];
	}
	if (strangers != 0 && (cluster->children_online & cluster->placed) != 0) {
		engine_child_uri(run, (uint32_t)__builtin_ctz(strangers), run->mend_uri);
		request_choose(run, nexus_child_remove_submit, NULL);
		return MEND_ACT;
	}
	if (missing != 0 && (drawn == NULL || prng_chance(&cluster->control, 1, 2))) {
		uint32_t skip = (uint32_t)prng_below(&cluster->control,
						     (uint64_t)__builtin_popcount(missing));

		while (skip-- > 0)
			missing &= missing - 1;
		engine_child_uri(run, (uint32_t)__builtin_ctz(missing), run->mend_uri);
		request_choose(run, nexus_child_add_submit, NULL);
		return MEND_ACT;
	}
	return drawn == NULL ? MEND_REST : help_choose(run, drawn);
}

/* Return: what to do next, MEND_REST for nothing. */
static enum mend_step mend_choose(struct engine_run *run)
{
	struct cluster *cluster = cluster_of(run);

	run->wish = WISH_NOTHING;
	if (run->info.is_fenced) {
		/* It has stopped itself: nobody but its owner can say whether it was right. */
		sim_event_schedule(cluster->sim, &run->engine->replace, SIM_MS);
		return MEND_REST;
	}
	/* Nobody takes a volume from its hosts while it holds their I/O. */
	if (run->is_paused &&
	    (cluster->wish != WISH_NOTHING || cluster->hold_until_ns <= cluster->sim->now_ns)) {
		run->is_paused = false;
		request_choose(run, nexus_resume_submit, NULL);
		return MEND_ACT;
	}
	if (wish_is_ripe(run))
		return wish_choose(run);
	if (cluster->hold_until_ns > cluster->sim->now_ns)
		return MEND_REST;
	if (run->rebuild_paused[0] != '\0') {
		request_choose(run, nexus_rebuild_resume_submit, run->rebuild_paused);
		run->rebuild_paused[0] = '\0';
		return MEND_ACT;
	}
	return plan_choose(run);
}

/* ---- steps ---- */

static enum op_flow look_submit(struct engine_run *run)
{
	run->request = (struct nexus_request){.parent = &run->mend, .info = &run->info};
	op_wait(&run->mend);
	nexus_info_submit(run->nexus, &run->request);
	return op_join(&run->mend);
}

static enum op_flow act_submit(struct engine_run *run)
{
	run->request = (struct nexus_request){
		.parent = &run->mend, .uri = run->mend_uri, .action = run->action};
	sim_trace(cluster_of(run)->sim, "mend", child_find(run, run->mend_uri), run->action,
		  run->info.child_count);
	op_wait(&run->mend);
	run->call(run->nexus, &run->request);
	return op_join(&run->mend);
}

static enum op_flow unshare_submit(struct engine_run *run)
{
	run->engine->is_up = false;
	op_wait(&run->mend);
	engine_network_unshare_submit(run->network, &run->mend);
	return op_join(&run->mend);
}

static enum op_flow destroy_submit(struct engine_run *run)
{
	run->request = (struct nexus_request){.parent = &run->mend};
	op_wait(&run->mend);
	nexus_destroy_submit(run->nexus, &run->request);
	return op_join(&run->mend);
}

/* The volume is not exported any more; its nexus may be gone, too. It comes back by booting. */
static void come_back(struct engine_run *run)
{
	enum boot_step step = BOOT_VOLUME;

	if (run->wish == WISH_RECREATE && run->request.result == NEXUS_DONE) {
		cluster_nexus_ended(cluster_of(run));
		run->nexus = NULL;
		run->is_paused = false;
		run->rebuild_paused[0] = '\0';
		step = BOOT_NEXUS;
	}
	run->is_mending = false;
	engine_boot_again(run, step, cluster_of(run)->wish_hold_ns);
}

static void rest(struct engine_run *run)
{
	struct cluster *cluster = cluster_of(run);

	if (run->request.result != NEXUS_DONE)
		log_warn(&run->log, "mending: %s", run->request.error);
	run->is_mending = false;
	if (run->is_ending) {
		engine_end_go_on(run);
		return;
	}
	if (!cluster_is_healthy(cluster, 0) || cluster->wish != WISH_NOTHING)
		run->mend_pause_ns = PAUSE_NS_MIN;
	else
		run->mend_pause_ns *= 2;
	if (run->mend_pause_ns > cluster->look_pause_ns_max)
		run->mend_pause_ns = cluster->look_pause_ns_max;
	reactor_timer_start(&run->mend_timer, run->mend_pause_ns);
}

static void mend_run(struct op *op)
{
	struct engine_run *run = container_of(op, struct engine_run, mend);
	enum op_flow flow;

	run->is_mending = true;
	for (;;) {
		flow = OP_NEXT;
		switch (run->mend_step) {
		case MEND_LOOK:
			run->mend_step = MEND_JUDGE;
			flow = look_submit(run);
			break;
		case MEND_JUDGE:
			report(run);
			run->mend_step = mend_choose(run);
			break;
		case MEND_ACT:
			run->mend_step = MEND_REST;
			flow = act_submit(run);
			break;
		case MEND_UNSHARE:
			run->mend_step = MEND_UNSHARED;
			flow = unshare_submit(run);
			break;
		case MEND_UNSHARED:
			cluster_reservations_gone(cluster_of(run));
			run->mend_step = MEND_DESTROYED;
			if (run->wish == WISH_RECREATE)
				flow = destroy_submit(run);
			break;
		case MEND_DESTROYED:
			run->mend_step = MEND_LOOK;
			come_back(run);
			return;
		case MEND_REST:
			run->mend_step = MEND_LOOK;
			rest(run);
			return;
		}
		if (flow == OP_WAIT)
			return;
	}
}

static void mend_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct engine_run, mend_timer)->mend);
}

void engine_mend_init(struct engine_run *run)
{
	op_init(&run->mend, reactor_ready(run->reactors[0]), mend_run);
	reactor_timer_init(&run->mend_timer, run->reactors[0], mend_rested);
	run->mend_pause_ns = PAUSE_NS_MIN;
}

void engine_mend_begin(struct engine_run *run)
{
	ASSERT(!run->is_mending && run->mend_step == MEND_LOOK);
	run->is_mending = true;
	op_wake(&run->mend);
}

/* ---- between turns ---- */

void cluster_look(struct cluster *cluster)
{
	struct engine_run *run = cluster->engines[0].run;
	struct sim_process *previous;

	if (run == NULL)
		return;
	run->mend_pause_ns = PAUSE_NS_MIN;
	if (!reactor_timer_is_armed(&run->mend_timer))
		return;
	previous = sim_enter(cluster->engines[0].process);
	reactor_timer_start(&run->mend_timer, 0);
	sim_leave(previous);
}
