/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_operator.c - a table of actions, drawn from a stream of their own or from a script.
 *
 * Invariants:
 *  1. The plan keeps at least two copies, or as many as it had if that was fewer.
 *  2. Which actions a seed uses at all is drawn (swarm), so that rare mixtures get their turn.
 */
#include "sim/cluster_operator.h"

#include "sim/sim_impl.h"
#include "sim/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_NS_MAX (12 * SIM_S)
#define HOLD_NS_MAX  (5 * SIM_S)

struct operator
{
	struct cluster *cluster;
	struct operator_options options;
	struct prng prng;
	uint32_t chosen; /* bit by action */
	uint64_t pause_ns_max;
	uint32_t burst;
	uint64_t begun_ns;
	bool is_running;
	uint32_t next_line; /* of the script */
	struct operator_line drawn;
	struct operator_script done;
	struct sim_event next;
	uint32_t counts[OPERATOR_COUNT];
};

/* ---- actions ---- */

static bool wish(struct operator* operator, enum engine_wish what, const struct operator_line *line)
{
	struct cluster *cluster = operator->cluster;

	/* One that waits for a rebuild gives way. */
	if (cluster->wish != WISH_NOTHING && cluster->wish != WISH_REBUILD_PAUSE &&
	    cluster->wish != WISH_REBUILD_STOP)
		return false;
	cluster->wish = what;
	cluster->wish_child = line->one;
	cluster->wish_hold_ns = line->for_ns;
	cluster_look(cluster);
	return true;
}

static bool is_spared(const struct operator* operator, uint32_t engine)
{
	return operator->options.spared_engine == engine;
}

static bool offline(struct operator* operator, const struct operator_line * line)
{
	return !is_spared(operator, line->one) && wish(operator, WISH_OFFLINE, line);
}

static bool fault(struct operator* operator, const struct operator_line * line)
{
	return !is_spared(operator, line->one) && wish(operator, WISH_FAULT, line);
}

static bool rebuild_pause(struct operator* operator, const struct operator_line * line)
{
	return operator->cluster->rebuild_count> 0 && wish(operator, WISH_REBUILD_PAUSE, line);
}

static bool rebuild_stop(struct operator* operator, const struct operator_line * line)
{
	return operator->cluster->rebuild_count> 0 && wish(operator, WISH_REBUILD_STOP, line);
}

static bool pause_io(struct operator* operator, const struct operator_line * line)
{
	return wish(operator, WISH_PAUSE, line);
}

static bool republish(struct operator* operator, const struct operator_line * line)
{
	return !operator->cluster->options.is_local && wish(operator, WISH_REPUBLISH, line);
}

static bool recreate(struct operator* operator, const struct operator_line * line)
{
	return !operator->cluster->options.is_local && wish(operator, WISH_RECREATE, line);
}

/* Is @one in the plan and to stay, @other free? */
static bool can_move(const struct operator* operator, const struct operator_line * line)
{
	const struct cluster *cluster = operator->cluster;

	return !is_spared(operator, line->one) && cluster->leaving == 0 &&
	       (cluster->placed & 1u << line->one) != 0 &&
	       (cluster->placed & 1u << line->other) == 0;
}

static bool move(struct operator* operator, const struct operator_line * line)
{
	struct cluster *cluster = operator->cluster;

	if (!can_move(operator, line))
		return false;
	cluster->leaving = 1u << line->one;
	cluster->placed |= 1u << line->other;
	cluster_look(cluster);
	return true;
}

static bool swap(struct operator* operator, const struct operator_line * line)
{
	struct cluster *cluster = operator->cluster;

	if (!can_move(operator, line))
		return false;
	cluster->placed = (cluster->placed & ~(1u << line->one)) | 1u << line->other;
	cluster_look(cluster);
	return true;
}

static bool shrink(struct operator* operator, const struct operator_line * line)
{
	struct cluster *cluster = operator->cluster;

	if (is_spared(operator, line->one) || cluster->leaving != 0 ||
	    (cluster->placed & 1u << line->one) == 0 || __builtin_popcount(cluster->placed) <= 2)
		return false;
	cluster->placed &= ~(1u << line->one);
	cluster_look(cluster);
	return true;
}

static bool grow(struct operator* operator, const struct operator_line * line)
{
	struct cluster *cluster = operator->cluster;

	if ((cluster->placed & 1u << line->one) != 0 ||
	    __builtin_popcount(cluster->placed) >= COPIES_MAX)
		return false;
	cluster->placed |= 1u << line->one;
	cluster_look(cluster);
	return true;
}

static bool restart(struct operator* operator, const struct operator_line * line)
{
	bool is_sparing = operator->options.spared_engine != OPERATOR_NOBODY;

	if (operator->cluster->options.is_local || is_spared(operator, line->one) ||
	    (is_sparing && line->one == 0))
		return false;
	return engine_shutdown(&operator->cluster->engines[line->one], true);
}

struct operator_kind {
	const char *name;
	bool is_of_copy; /* @one is an engine that has one */
	/* Return: false if it cannot be done now. */
	bool (*act)(struct operator* operator, const struct operator_line * line);
};

static const struct operator_kind kinds[OPERATOR_COUNT] = {
	[OPERATOR_OFFLINE] = {"offline", true, offline},
	[OPERATOR_FAULT] = {"fault", true, fault},
	[OPERATOR_REBUILD_PAUSE] = {"rebuild-pause", false, rebuild_pause},
	[OPERATOR_REBUILD_STOP] = {"rebuild-stop", false, rebuild_stop},
	[OPERATOR_PAUSE] = {"pause-io", false, pause_io},
	[OPERATOR_REPUBLISH] = {"republish", false, republish},
	[OPERATOR_RECREATE] = {"recreate", false, recreate},
	[OPERATOR_MOVE] = {"move", true, move},
	[OPERATOR_SWAP] = {"swap", true, swap},
	[OPERATOR_SHRINK] = {"shrink", true, shrink},
	[OPERATOR_GROW] = {"grow", false, grow},
	[OPERATOR_RESTART] = {"restart", false, restart},
};

const char *operator_action_name(enum operator_action action)
{
	return kinds[action].name;
}

/* ---- scripts ---- */

#define LINE_PREFIX "operator "
#define LINE_BYTES  256

bool operator_script_is_line(const char *line)
{
	return strncmp(line, LINE_PREFIX, strlen(LINE_PREFIX)) == 0;
}

static void line_add(struct operator_script *script, const struct operator_line *line)
{
	if (script->count == script->capacity) {
		script->capacity = script->capacity * 2 + 16;
		script->lines = realloc(script->lines, script->capacity * sizeof(*line));
		ASSERT(script->lines != NULL);
	}
	script->lines[script->count++] = *line;
}

static bool number_take(struct operator_line *line, const char *word)
{
	const char *value = strchr(word, '=');
	size_t length = value == NULL ? 0 : (size_t)(value - word);
	char *end;
	uint64_t number;

	if (value == NULL || value[1] < '0' || value[1] > '9')
		return false;
	number = strtoull(value + 1, &end, 10);
	if (*end != '\0' || number > INT64_MAX / 1000)
		return false;
	if (length == 5 && strncmp(word, "burst", length) == 0)
		line->burst = (uint32_t)number;
	else if (length == 5 && strncmp(word, "at_us", length) == 0)
		line->at_ns = number * SIM_US;
	else if (length == 6 && strncmp(word, "for_us", length) == 0)
		line->for_ns = number * SIM_US;
	else if (length == 3 && strncmp(word, "one", length) == 0)
		line->one = (uint32_t)number;
	else if (length == 5 && strncmp(word, "other", length) == 0)
		line->other = (uint32_t)number;
	else
		return false;
	return true;
}

bool operator_script_add(struct operator_script *script, const char *text)
{
	struct operator_line line = {.action = OPERATOR_COUNT};
	char copy[LINE_BYTES];
	char *rest = NULL;
	char *word;

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	(void)strtok_r(copy, " \t\n", &rest);
	word = strtok_r(NULL, " \t\n", &rest);
	for (uint32_t i = 0; word != NULL && i < OPERATOR_COUNT; i++) {
		if (strcmp(kinds[i].name, word) == 0)
			line.action = (enum operator_action)i;
	}
	if (line.action == OPERATOR_COUNT)
		return false;
	while ((word = strtok_r(NULL, " \t\n", &rest)) != NULL) {
		if (!number_take(&line, word))
			return false;
	}
	line_add(script, &line);
	return true;
}

void operator_script_deinit(struct operator_script *script)
{
	free(script->lines);
	*script = (struct operator_script){0};
}

void operator_script_write(const struct operator* operator, FILE * file)
{
	for (uint32_t i = 0; i < operator->done.count; i++) {
		const struct operator_line *line = &operator->done.lines[i];

		fprintf(file,
			LINE_PREFIX "%s burst=%u at_us=%" PRIu64 " for_us=%" PRIu64
				    " one=%u other=%u\n",
			kinds[line->action].name, line->burst, line->at_ns / SIM_US,
			line->for_ns / SIM_US, line->one, line->other);
	}
}

/* ---- when ---- */

/* The @number-th engine of @mask, counted round; any when there is none. */
static uint32_t engine_of(uint32_t mask, uint32_t number)
{
	if (mask == 0)
		return 0;
	number %= (uint32_t)__builtin_popcount(mask);
	while (number-- > 0)
		mask &= mask - 1;
	return (uint32_t)__builtin_ctz(mask);
}

static void act(struct operator* operator, const struct operator_line * told)
{
	struct operator_line line = *told;
	struct cluster *cluster = operator->cluster;
	uint32_t engines = (1u << cluster->options.engine_count) - 1;

	line.one = engine_of(kinds[line.action].is_of_copy ? cluster->placed : engines, line.one);
	line.other = engine_of(engines & ~cluster->placed, line.other);
	if (line.action == OPERATOR_GROW)
		line.one = line.other;
	if (!kinds[line.action].act(operator, & line))
		return;
	sim_trace(operator->cluster->sim, kinds[line.action].name, line.one, line.other,
		  line.for_ns);
	operator->counts[line.action]++;
	line_add(&operator->done, told);
}

/* Time goes on between an event's time and its firing. */
static void schedule(struct operator* operator)
{
	uint64_t elapsed_ns = sim_now_ns(operator->cluster->sim) - operator->begun_ns;
	uint64_t at_ns = operator->drawn.at_ns;

	sim_event_schedule(operator->cluster->sim, &operator->next,
			   at_ns > elapsed_ns ? at_ns - elapsed_ns : 0);
}

/* The next line of the script in this burst; they may stand in any order. */
static void line_choose(struct operator* operator)
{
	const struct operator_script *script = operator->options.script;
	const struct operator_line *best = NULL;
	const struct operator_line *last = &operator->drawn;

	for (uint32_t i = 0; i < script->count; i++) {
		const struct operator_line *line = &script->lines[i];
		bool is_later = line->at_ns > last->at_ns ||
				(line->at_ns == last->at_ns && i >= operator->next_line);

		if (line->burst != operator->burst || !is_later)
			continue;
		if (best == NULL || line->at_ns < best->at_ns)
			best = line;
	}
	if (best == NULL)
		return;
	operator->next_line =(uint32_t)(best - script->lines) + 1;
	operator->drawn = * best;
	schedule(operator);
}

/* Whole microseconds, as a script has them. */
static uint64_t draw_us(struct operator* operator, uint64_t limit_ns)
{
	return prng_below(&operator->prng, limit_ns / SIM_US + 1) * SIM_US;
}

static void line_draw(struct operator* operator)
{
	struct operator_line *line = &operator->drawn;
	uint64_t pick;

	if (operator->chosen == 0)
		return;
	pick = prng_below(&operator->prng, (uint64_t)__builtin_popcount(operator->chosen));
	line->action = 0;
	while ((operator->chosen & 1u << line->action) == 0 || pick-- > 0)
		line->action++;
	line->burst = operator->burst;
	line->one = (uint32_t)prng_below(&operator->prng, operator->cluster->options.engine_count);
	line->other =
		(uint32_t)prng_below(&operator->prng, operator->cluster->options.engine_count);
	line->at_ns += draw_us(operator, operator->pause_ns_max);
	line->for_ns = draw_us(operator, HOLD_NS_MAX);
	schedule(operator);
}

static void next_choose(struct operator* operator)
{
	if (operator->options.script != NULL)
		line_choose(operator);
	else
		line_draw(operator);
}

static void next_fire(struct sim_event *event)
{
	struct operator* operator= container_of(event, struct operator, next);

	act(operator, & operator->drawn);
	next_choose(operator);
}

struct operator* operator_create(struct cluster *cluster, const struct operator_options *options)
{
	struct operator* operator= sim_allocate(sizeof(*operator));

	operator->cluster = cluster;
	operator->options = * options;
	operator->next.fire = next_fire;
	stream_init(&operator->prng, cluster->sim->seed, "operator", 0);
	for (uint32_t i = 0; i < OPERATOR_COUNT; i++)
		operator->chosen |=(uint32_t) prng_chance(&operator->prng, 1, 3) << i;
	operator->pause_ns_max = SIM_S + draw_us(operator, PAUSE_NS_MAX);
	return operator;
}

void operator_destroy(struct operator* operator)
{
	operator_script_deinit(&operator->done);
	free(operator);
}

void operator_start(struct operator* operator)
{
	ASSERT(!operator->is_running);
	operator->is_running = true;
	operator->burst++;
	operator->begun_ns = sim_now_ns(operator->cluster->sim);
	operator->next_line = 0;
	operator->drawn =(struct operator_line){0};
	next_choose(operator);
}

void operator_stop(struct operator* operator)
{
	struct cluster *cluster = operator->cluster;

	operator->is_running = false;
	sim_event_cancel(cluster->sim, &operator->next);
	cluster->wish = WISH_NOTHING;
	cluster->hold_until_ns = 0;
	cluster_look(cluster);
}

uint32_t operator_count(const struct operator* operator, enum operator_action action)
{
	return operator->counts[action];
}
