/* SPDX-License-Identifier: Apache-2.0 */
/* campaign_shape.c - a table of numbers: names, bounds, and how each is drawn. */
#include "sim/campaign_shape.h"

#include "sim/sim_impl.h"
#include "sim/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 512

struct number {
	const char *name;
	size_t offset;
	uint64_t least;
	uint64_t most;
	/* NULL: anything from @least to @most */
	uint64_t (*draw)(struct prng *prng);
};

static uint64_t draw(struct prng *prng, uint64_t from, uint64_t to_inclusive)
{
	return from + prng_below(prng, to_inclusive - from + 1);
}

static uint64_t seldom_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 12);
}

static uint64_t half_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 2);
}

static uint64_t quarter_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 4);
}

static uint64_t reservations_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 3) ? 1 + prng_below(prng, 2) : 0;
}

static uint64_t hosts_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 3) ? 1 : draw(prng, 1, HOSTS_MAX);
}

static uint64_t segments_draw(struct prng *prng)
{
	return draw(prng, 2, 24);
}

static uint64_t block_bytes_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 2) ? 512 : 4096;
}

static uint64_t slots_draw(struct prng *prng)
{
	(void)prng;
	return 0;
}

static uint64_t kato_draw(struct prng *prng)
{
	static const uint64_t values[] = {2000, 5000, 10000, 15000};

	return values[prng_below(prng, 4)];
}

static uint64_t give_up_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 2) ? draw(prng, 1, 10) * 1000 : draw(prng, 10, 90) * 1000;
}

/* Slow ones are often met by the next fault. */
static uint64_t rebuild_kib_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 2) ? 0 : draw(prng, 128, 2048);
}

static uint64_t bursts_draw(struct prng *prng)
{
	return draw(prng, 2, 5);
}

static uint64_t burst_seconds_draw(struct prng *prng)
{
	return prng_chance(prng, 1, 2) ? draw(prng, 3, 20) : draw(prng, 20, 90);
}

static uint64_t operations_draw(struct prng *prng)
{
	return draw(prng, 200, 2000);
}

static uint64_t quiet_draw(struct prng *prng)
{
	return draw(prng, 15, 60) * 60;
}

static uint64_t fault_pause_draw(struct prng *prng)
{
	return draw(prng, 1, 30) * 100;
}

#define NUMBER(name) #name, offsetof(struct campaign_shape, name)
static const struct number numbers[] = {
	{NUMBER(local), 0, 1, seldom_draw},
	{NUMBER(engines), 2, ENGINES_MAX, NULL},
	{NUMBER(copies), 2, COPIES_MAX, NULL},
	{NUMBER(hosts), 1, HOSTS_MAX, hosts_draw},
	{NUMBER(segments), 1, 64, segments_draw},
	{NUMBER(block_bytes), 512, 4096, block_bytes_draw},
	{NUMBER(reactors), 1, 2, NULL},
	{NUMBER(slots), 0, WORKLOAD_SLOTS_MAX, slots_draw},
	{NUMBER(digests), 0, 1, half_draw},
	{NUMBER(kato_ms), 1000, 60000, kato_draw},
	{NUMBER(host_retrying), 0, 1, quarter_draw},
	{NUMBER(give_up_ms), 100, 1000000, give_up_draw},
	{NUMBER(reservations), 0, 2, reservations_draw},
	{NUMBER(rebuild_kib), 0, 1000000, rebuild_kib_draw},
	{NUMBER(ghosts), 0, 1, quarter_draw},
	{NUMBER(bursts), 0, 100, bursts_draw},
	{NUMBER(burst_seconds), 0, 100000, burst_seconds_draw},
	{NUMBER(operations), 0, 1000000, operations_draw},
	{NUMBER(quiet_seconds), 0, 1000000, quiet_draw},
	{NUMBER(fault_pause_ms), 0, 1000000, fault_pause_draw},
	{NUMBER(sparing), 0, 1, quarter_draw},
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))
STATIC_ASSERT(NUMBERS <= 32);
STATIC_ASSERT(NUMBERS * sizeof(uint64_t) == sizeof(struct campaign_shape));

static uint64_t *number_at(struct campaign_shape *shape, size_t index)
{
	ASSERT(index < NUMBERS);
	return (uint64_t *)(void *)((char *)shape + numbers[index].offset);
}

/* What does not fit together gives way. */
static void shape_fit(struct campaign_shape *shape)
{
	if (shape->block_bytes != 512)
		shape->block_bytes = 4096;
	if (shape->engines < shape->copies)
		shape->engines = shape->copies;
	if (shape->local) {
		shape->hosts = 1;
		shape->sparing = 0;
		shape->reservations = 0;
	}
	if (shape->sparing)
		shape->give_up_ms = 1000000;
}

void campaign_shape_draw(const struct sim *sim, const struct campaign_script *script, bool is_local,
			 struct campaign_shape *ret_shape)
{
	struct campaign_script given = {0};
	struct prng prng;

	if (script != NULL)
		given = *script;
	stream_init(&prng, sim->seed, "shape", 0);
	for (size_t i = 0; i < NUMBERS; i++) {
		const struct number *number = &numbers[i];

		*number_at(ret_shape, i) = number->draw != NULL
						   ? number->draw(&prng)
						   : draw(&prng, number->least, number->most);
		if ((given.given & 1u << i) != 0)
			*number_at(ret_shape, i) = *number_at(&given.shape, i);
	}
	if (is_local)
		ret_shape->local = 1;
	shape_fit(ret_shape);
}

void campaign_shape_write(const struct campaign_shape *shape, FILE *file)
{
	struct campaign_shape copy = *shape;

	for (size_t i = 0; i < NUMBERS; i++)
		fprintf(file, "%s %" PRIu64 "\n", numbers[i].name, *number_at(&copy, i));
}

/* ---- scripts ---- */

static bool number_parse(struct campaign_script *script, const char *line)
{
	char name[32];
	uint64_t value;
	char rest;

	if (sscanf(line, "%31s %" SCNu64 " %c", name, &value, &rest) != 2)
		return false;
	if (strcmp(name, "seed") == 0) {
		script->has_seed = true;
		script->seed = value;
		return true;
	}
	for (size_t i = 0; i < NUMBERS; i++) {
		if (strcmp(name, numbers[i].name) != 0)
			continue;
		if (value < numbers[i].least || value > numbers[i].most)
			return false;
		script->given |= 1u << i;
		*number_at(&script->shape, i) = value;
		return true;
	}
	return false;
}

static bool line_parse(struct campaign_script *script, const char *line,
		       char ret_error[ERROR_TEXT_BYTES])
{
	if (line[strspn(line, " \t\n")] == '\0' || line[0] == '#')
		return true;
	if (nemesis_script_is_line(line))
		return nemesis_script_add(script->faults, line, ret_error, ERROR_TEXT_BYTES);
	if (operator_script_is_line(line) ? operator_script_add(&script->operator, line)
					  : number_parse(script, line))
		return true;
	snprintf(ret_error, ERROR_TEXT_BYTES, "not a statement, or out of bounds: %.200s", line);
	return false;
}

bool campaign_script_read(struct campaign_script *script, const char *path,
			  char ret_error[ERROR_TEXT_BYTES])
{
	char line[LINE_BYTES];
	uint32_t place = 0;
	bool is_good = true;
	FILE *file = fopen(path, "r");

	*script = (struct campaign_script){.faults = nemesis_script_create()};
	if (file == NULL) {
		snprintf(ret_error, ERROR_TEXT_BYTES, "%.200s: %s", path, strerror(errno));
		return false;
	}
	while (is_good && fgets(line, sizeof(line), file) != NULL) {
		char error[ERROR_TEXT_BYTES] = "";

		place++;
		is_good = line_parse(script, line, error);
		if (!is_good)
			snprintf(ret_error, ERROR_TEXT_BYTES, "%.150s:%u: %.200s", path, place,
				 error);
	}
	fclose(file);
	return is_good;
}

void campaign_script_deinit(struct campaign_script *script)
{
	operator_script_deinit(&script->operator);
	nemesis_script_destroy(script->faults);
}
