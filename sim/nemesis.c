/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis.c - which fault, when, and of whom: drawn from the seed, or as a script says.
 *
 * What the kinds do stands in nemesis_disk.c, nemesis_silent.c, nemesis_process.c, nemesis_host.c
 * and nemesis_net.c. A swarm: each seed uses some kinds only, each with a weight of its own, so
 * that rare mixtures get their turn.
 *
 * Invariants:
 *  1. At most one fault of a kind is active at a time.
 *  2. A power cut of one machine happens only while another machine that runs has a copy which the
 *     durable record calls healthy: losing more than (copies - 1) is not promised to be survived.
 *     Silent damage hits only copies that nobody may believe (nemesis_silent.c).
 *  3. After nemesis_stop() every machine runs and nothing is broken any more.
 *  4. A fault's numbers depend on the seed and on how many were tried before it, on nothing that
 *     other parts of the world draw; all of them stand in its line.
 */
#include "sim/nemesis_impl.h"

#include <stdlib.h>
#include <string.h>

#define TRIES	       6 /* to find a fault that is possible now */
#define ALLOWED_FEW    3 /* so few are all used: somebody has asked for them */
#define WEIGHT_MAX     8
#define SHORT_US_MIN   (10 * 1000)
#define US_MAX	       UINT64_C(86400000000) /* of what a script may ask for */
#define LONG_ONE_OF    8
#define HAPPENED_FIRST 64

struct nemesis {
	struct cluster *cluster;
	struct nemesis_options options;
	uint64_t chosen;
	uint32_t weights[FAULT_COUNT];
	struct prng stream; /* which kind, and when */
	uint64_t tried;
	uint32_t burst;
	bool is_on;
	uint64_t burst_ns;  /* its beginning */
	uint64_t next_us;   /* from there */
	uint32_t next_line; /* of the script */
	struct sim_event next;
	struct fault_line *happened;
	uint32_t happened_count;
	uint32_t happened_capacity;
	struct active active[FAULT_COUNT];
};

/* ---- kinds ---- */

const struct fault_kind *fault_kind(enum fault fault)
{
	const struct fault_kind *const tables[] = {
		nemesis_disk_kinds, nemesis_silent_kinds, nemesis_process_kinds,
		nemesis_host_kinds, nemesis_net_kinds,
	};

	ASSERT(fault < FAULT_COUNT);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct fault_kind *kind = tables[i]; kind->name != NULL; kind++) {
			if (kind->fault == fault)
				return kind;
		}
	}
	ASSERT(!"every fault is in one of the tables");
}

const char *fault_name(enum fault fault)
{
	return fault_kind(fault)->name;
}

enum fault fault_find(const char *name)
{
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		if (strcmp(fault_name((enum fault)i), name) == 0)
			return (enum fault)i;
	}
	return FAULT_COUNT;
}

/* ---- who is spared ---- */

bool nemesis_spares_engine(const struct nemesis *nemesis, uint32_t engine)
{
	uint32_t spared = nemesis->options.spared_engine;

	return spared != NEMESIS_NOBODY && (engine == spared || engine == 0);
}

bool nemesis_spares_pair(const struct nemesis *nemesis, uint32_t one, uint32_t other)
{
	uint32_t engine_count = nemesis->cluster->options.engine_count;

	if (nemesis->options.spared_engine == NEMESIS_NOBODY)
		return false;
	if (one >= engine_count || other >= engine_count)
		return true;
	return nemesis_spares_engine(nemesis, one) && nemesis_spares_engine(nemesis, other);
}

static bool is_spared(const struct nemesis *nemesis, const struct fault_line *line)
{
	uint32_t spared = nemesis->options.spared_engine;

	if (spared == NEMESIS_NOBODY)
		return false;
	switch (fault_kind(line->fault)->scope) {
	case SCOPE_DISK:
		/* Those that restart the engine of the disk, or the nexus, leave engine 0 alone. */
		if (line->fault >= FAULT_DISK_SIZE)
			return nemesis_spares_engine(nemesis, line->one) ||
			       line->fault > FAULT_DISK_SIZE;
		return line->one == spared;
	case SCOPE_ENGINE:
		return line->fault == FAULT_POWER_ALL ||
		       nemesis_spares_engine(nemesis, line->one) ||
		       (line->fault == FAULT_KILL_TWO &&
			nemesis_spares_engine(nemesis, line->other));
	case SCOPE_MACHINE:
		return line->one >= nemesis->cluster->options.engine_count ||
		       nemesis_spares_engine(nemesis, line->one);
	case SCOPE_PAIR:
		return nemesis_spares_pair(nemesis, line->one, line->other);
	case SCOPE_ALL: /* they ask for each pair */
		return false;
	case SCOPE_STORE:
	case SCOPE_HOST:
		return true;
	}
	ASSERT(!"a scope of the list");
}

/* ---- beginning and end ---- */

static void active_end(struct active *active)
{
	struct cluster *cluster = active->nemesis->cluster;
	const struct fault_kind *kind = fault_kind(active->line.fault);

	if (!active->is_active)
		return;
	sim_event_cancel(cluster->sim, &active->end);
	sim_event_cancel(cluster->sim, &active->step);
	active->is_active = false;
	sim_trace(cluster->sim, "fault ends", active->line.fault, active->line.one,
		  active->line.other);
	if (kind->end != NULL)
		kind->end(cluster, active);
}

static void end_fire(struct sim_event *event)
{
	active_end(container_of(event, struct active, end));
}

static void step_fire(struct sim_event *event)
{
	struct active *active = container_of(event, struct active, step);
	struct cluster *cluster = active->nemesis->cluster;
	uint64_t pause_ns = fault_kind(active->line.fault)->step(cluster, active);

	ASSERT(active->is_active);
	active->step_count++;
	if (pause_ns > 0)
		sim_event_schedule(cluster->sim, event, pause_ns);
}

static void happened_add(struct nemesis *nemesis, const struct fault_line *line)
{
	if (nemesis->happened_count == nemesis->happened_capacity) {
		uint32_t capacity = nemesis->happened_capacity == 0
					    ? HAPPENED_FIRST
					    : nemesis->happened_capacity * 2;

		nemesis->happened =
			realloc(nemesis->happened, capacity * sizeof(nemesis->happened[0]));
		ASSERT(nemesis->happened != NULL);
		nemesis->happened_capacity = capacity;
	}
	nemesis->happened[nemesis->happened_count++] = *line;
}

/* What a script asks for, made to fit this cluster. Return: false if it cannot be. */
static bool line_fit(const struct nemesis *nemesis, struct fault_line *line)
{
	const struct cluster_options *options = &nemesis->cluster->options;
	const struct fault_kind *kind = fault_kind(line->fault);
	uint32_t machine_count = cluster_machine_count(nemesis->cluster);

	if (options->is_local && !kind->is_local_too)
		return false;
	if (line->for_us > US_MAX)
		line->for_us = US_MAX;
	switch (kind->scope) {
	case SCOPE_DISK:
	case SCOPE_ENGINE:
		line->one %= options->engine_count;
		line->other %= options->engine_count;
		return true;
	case SCOPE_HOST:
		if (line->one >= options->engine_count)
			line->one -= options->engine_count;
		line->one = options->engine_count + line->one % options->host_count;
		return true;
	case SCOPE_MACHINE:
	case SCOPE_PAIR:
		line->one %= machine_count;
		line->other %= machine_count;
		return kind->scope == SCOPE_MACHINE || line->one != line->other;
	case SCOPE_STORE:
	case SCOPE_ALL:
		return true;
	}
	ASSERT(!"a scope of the list");
}

/* Return: false if it is not possible now, or not allowed. */
static bool fault_begin(struct nemesis *nemesis, const struct fault_line *asked)
{
	struct cluster *cluster = nemesis->cluster;
	const struct fault_kind *kind = fault_kind(asked->fault);
	struct active *active = &nemesis->active[asked->fault];
	struct fault_line line = *asked;

	if (active->is_active || !line_fit(nemesis, &line) || is_spared(nemesis, &line))
		return false;
	active->line = line;
	active->step_count = 0;
	active->way_count = 0;
	prng_init(&active->stream, line.c);
	if (!kind->begin(cluster, active))
		return false;
	sim_trace(cluster->sim, kind->name, asked->fault, line.one, line.other);
	active->is_active = true;
	active->count++;
	happened_add(nemesis, &line);
	sim_event_schedule(cluster->sim, &active->end, line.for_us * SIM_US);
	if (kind->step != NULL)
		sim_event_schedule(cluster->sim, &active->step, 0);
	return true;
}

/* ---- drawing ---- */

/* An engine with a copy, most often; the nexus' one time in four. */
static uint32_t engine_draw(const struct cluster *cluster, struct prng *stream)
{
	const struct cluster_options *options = &cluster->options;
	uint32_t drawn = (uint32_t)stream_draw(stream, 0, options->engine_count - 1);
	bool is_nexus = stream_chance(stream, 1, 4);
	bool is_any = stream_chance(stream, 1, 8);

	if (is_nexus && !options->is_local)
		return 0;
	for (uint32_t i = 0; i < options->engine_count && !is_any; i++) {
		uint32_t engine = (drawn + i) % options->engine_count;

		if ((cluster->placed & 1u << engine) != 0)
			return engine;
	}
	return drawn;
}

static void pair_draw(const struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	const struct cluster_options *options = &cluster->options;
	uint32_t host = (uint32_t)stream_draw(stream, 0, options->host_count - 1);
	uint32_t engine = engine_draw(cluster, stream);
	bool is_turned = stream_chance(stream, 1, 2);

	/* Only the nexus' engine talks to others. */
	line->one =
		stream_chance(stream, 1, 3) || engine == 0 ? options->engine_count + host : engine;
	line->other = 0;
	if (is_turned) {
		line->other = line->one;
		line->one = 0;
	}
}

static void targets_draw(const struct cluster *cluster, struct prng *stream,
			 struct fault_line *line)
{
	const struct cluster_options *options = &cluster->options;

	switch (fault_kind(line->fault)->scope) {
	case SCOPE_DISK:
	case SCOPE_ENGINE:
		line->one = engine_draw(cluster, stream);
		line->other = engine_draw(cluster, stream);
		return;
	case SCOPE_HOST:
		line->one = (uint32_t)stream_draw(stream, 0, options->host_count - 1);
		return;
	case SCOPE_MACHINE:
		line->one =
			stream_chance(stream, 1, 3)
				? options->engine_count +
					  (uint32_t)stream_draw(stream, 0, options->host_count - 1)
				: engine_draw(cluster, stream);
		return;
	case SCOPE_PAIR:
		pair_draw(cluster, stream, line);
		return;
	case SCOPE_STORE:
	case SCOPE_ALL:
		return;
	}
}

static uint64_t duration_draw_us(const struct fault_kind *kind, struct prng *stream)
{
	uint64_t long_ns = kind->long_ns_max == 0 ? NEMESIS_LONG_NS_MAX : kind->long_ns_max;
	uint64_t short_ns = long_ns < NEMESIS_SHORT_NS_MAX ? long_ns : NEMESIS_SHORT_NS_MAX;
	bool is_long = stream_chance(stream, 1, LONG_ONE_OF);

	return stream_draw(stream, SHORT_US_MIN, (is_long ? long_ns : short_ns) / SIM_US);
}

static void line_draw(struct nemesis *nemesis, enum fault fault, struct fault_line *ret_line)
{
	const struct fault_kind *kind = fault_kind(fault);
	struct cluster *cluster = nemesis->cluster;
	struct prng stream;

	stream_init(&stream, cluster->sim->seed, "fault", nemesis->tried++);
	*ret_line = (struct fault_line){
		.fault = fault, .burst = nemesis->burst, .at_us = nemesis->next_us};
	ret_line->for_us = duration_draw_us(kind, &stream);
	targets_draw(cluster, &stream, ret_line);
	ret_line->c = stream_draw(&stream, 0, UINT32_MAX);
	if (kind->draw != NULL)
		kind->draw(cluster, &stream, ret_line);
}

static enum fault kind_draw(struct nemesis *nemesis)
{
	uint64_t sum = 0;
	uint64_t pick;

	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		sum += nemesis->weights[i];
	pick = prng_below(&nemesis->stream, sum);
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		if (pick < nemesis->weights[i])
			return (enum fault)i;
		pick -= nemesis->weights[i];
	}
	ASSERT(!"one of those that were summed up");
}

static void drawn_begin(struct nemesis *nemesis)
{
	struct fault_line line;

	for (uint32_t i = 0; i < TRIES; i++) {
		line_draw(nemesis, kind_draw(nemesis), &line);
		if (fault_begin(nemesis, &line))
			return;
	}
}

/* ---- when ---- */

static void next_schedule(struct nemesis *nemesis)
{
	struct sim *sim = nemesis->cluster->sim;
	uint64_t at_ns = nemesis->burst_ns + nemesis->next_us * SIM_US;

	sim_event_schedule(sim, &nemesis->next, at_ns < sim->now_ns ? 0 : at_ns - sim->now_ns);
}

static void drawn_next(struct nemesis *nemesis)
{
	drawn_begin(nemesis);
	nemesis->next_us +=
		stream_draw(&nemesis->stream, 1, nemesis->options.pause_ns_max / SIM_US);
	next_schedule(nemesis);
}

/* The next line of this burst; later ones wait for theirs. */
static void script_next(struct nemesis *nemesis)
{
	const struct nemesis_script *script = nemesis->options.script;

	for (; nemesis->next_line < nemesis_script_count(script); nemesis->next_line++) {
		const struct fault_line *line = nemesis_script_line(script, nemesis->next_line);
		uint64_t at_us = line->at_us < US_MAX ? line->at_us : US_MAX;

		if (line->burst > nemesis->burst)
			return;
		if (line->burst < nemesis->burst)
			continue;
		if (at_us > nemesis->next_us) {
			nemesis->next_us = at_us;
			next_schedule(nemesis);
			return;
		}
		fault_begin(nemesis, line);
	}
}

static void next_fire(struct sim_event *event)
{
	struct nemesis *nemesis = container_of(event, struct nemesis, next);

	ASSERT(nemesis->is_on);
	if (nemesis->options.script != NULL)
		script_next(nemesis);
	else
		drawn_next(nemesis);
}

static void faults_choose(struct nemesis *nemesis)
{
	bool are_few = __builtin_popcountll(nemesis->options.allowed) <= ALLOWED_FEW;

	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		bool is_possible = fault_kind((enum fault)i)->is_local_too ||
				   !nemesis->cluster->options.is_local;
		bool is_chosen = stream_chance(&nemesis->stream, 1, 3) || are_few;
		uint32_t weight = (uint32_t)stream_draw(&nemesis->stream, 1, WEIGHT_MAX);

		if ((nemesis->options.allowed & FAULT_BIT(i)) == 0 || !is_possible || !is_chosen)
			continue;
		nemesis->chosen |= FAULT_BIT(i);
		nemesis->weights[i] = weight;
	}
}

struct nemesis *nemesis_create(struct cluster *cluster, const struct nemesis_options *options)
{
	struct nemesis *nemesis = sim_allocate(sizeof(*nemesis));

	nemesis->cluster = cluster;
	nemesis->options = *options;
	if (nemesis->options.pause_ns_max < SIM_US)
		nemesis->options.pause_ns_max = SIM_US;
	stream_init(&nemesis->stream, cluster->sim->seed, "nemesis", 0);
	faults_choose(nemesis);
	nemesis->next.fire = next_fire;
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		nemesis->active[i].nemesis = nemesis;
		nemesis->active[i].end.fire = end_fire;
		nemesis->active[i].step.fire = step_fire;
	}
	return nemesis;
}

void nemesis_destroy(struct nemesis *nemesis)
{
	if (nemesis == NULL)
		return;
	free(nemesis->happened);
	free(nemesis);
}

void nemesis_start(struct nemesis *nemesis)
{
	ASSERT(!nemesis->is_on);
	nemesis->is_on = true;
	nemesis->burst++;
	nemesis->burst_ns = nemesis->cluster->sim->now_ns;
	nemesis->next_us = 0;
	if (nemesis->chosen != 0 || nemesis->options.script != NULL)
		next_schedule(nemesis);
}

void nemesis_stop(struct nemesis *nemesis)
{
	nemesis->is_on = false;
	sim_event_cancel(nemesis->cluster->sim, &nemesis->next);
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		active_end(&nemesis->active[i]);
}

uint64_t nemesis_chosen(const struct nemesis *nemesis)
{
	return nemesis->chosen;
}

uint32_t nemesis_count(const struct nemesis *nemesis, enum fault fault)
{
	ASSERT(fault < FAULT_COUNT);
	return nemesis->active[fault].count;
}

void nemesis_script_write(const struct nemesis *nemesis, FILE *file)
{
	for (uint32_t i = 0; i < nemesis->happened_count; i++)
		fault_line_write(&nemesis->happened[i], file);
}
