/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_test.c - scripts say what happened; faults end; what is spared is left alone. */
#include "sim/nemesis_impl.h"
#include "sim/net_impl.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BOOT_NS	     (5 * SIM_S)
#define PACE_NS	     (200 * SIM_MS)
#define BURST_NS     (15 * SIM_S)
#define BURSTS	     2
#define LOOK_NS	     (50 * SIM_MS)
#define ERROR_BYTES  200
#define SCRIPT_BYTES (1 << 20)

/* ---- lines ---- */

static void every_kind_has_one_row_and_a_name_of_its_own(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		assert_int_equal(fault_find(fault_name((enum fault)i)), i);
		assert_int_equal(fault_kind((enum fault)i)->fault, i);
	}
	assert_int_equal(fault_find("nothing"), FAULT_COUNT);
}

static void line_draw(struct prng *prng, struct fault_line *ret_line)
{
	*ret_line = (struct fault_line){
		.fault = (enum fault)prng_below(prng, FAULT_COUNT),
		.burst = (uint32_t)prng_below(prng, INT32_MAX),
		.one = (uint32_t)prng_below(prng, 20),
		.other = (uint32_t)prng_below(prng, 20),
		.at_us = prng_below(prng, UINT64_C(1) << 40),
		.for_us = prng_next(prng) >> 1,
		.a = prng_next(prng) >> 1,
		.b = prng_below(prng, 3),
		.c = INT64_MAX,
	};
}

static void a_line_is_read_as_it_was_written(void **state)
{
	struct prng prng;

	(void)state;
	prng_init(&prng, 1);
	for (int i = 0; i < 500; i++) {
		struct nemesis_script *script = nemesis_script_create();
		struct fault_line line;
		char text[ERROR_BYTES * 2];
		char error[ERROR_BYTES];
		FILE *file = fmemopen(text, sizeof(text), "w");

		line_draw(&prng, &line);
		fault_line_write(&line, file);
		fclose(file);
		assert_true(nemesis_script_is_line(text));
		assert_true(nemesis_script_add(script, text, error, sizeof(error)));
		assert_int_equal(nemesis_script_count(script), 1);
		assert_memory_equal(nemesis_script_line(script, 0), &line, sizeof(line));
		nemesis_script_destroy(script);
	}
}

static void a_line_that_cannot_be_understood_is_refused_with_a_reason(void **state)
{
	static const char *const lines[] = {
		"fault nothing burst=1",
		"fault kill burst",
		"fault kill burst=",
		"fault kill burst=-1",
		"fault kill burst=2147483648",
		"fault kill at_us=9223372036854775808",
		"fault kill at_us=18446744073709551617",
		"fault kill one=0x1",
		"fault kill one=1 two=2",
		"fault  ",
		"faults kill",
		"operator move burst=1",
	};
	struct nemesis_script *script = nemesis_script_create();

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char error[ERROR_BYTES] = "";

		assert_false(nemesis_script_add(script, lines[i], error, sizeof(error)));
		assert_int_not_equal(error[0], '\0');
	}
	assert_int_equal(nemesis_script_count(script), 0);
	nemesis_script_destroy(script);
}

static void lines_are_run_in_the_order_of_their_times(void **state)
{
	static char text[] = "# a comment\n"
			     "fault kill burst=2 at_us=5\n"
			     "engines 3\n"
			     "fault pause burst=1 at_us=9\n"
			     "fault reset burst=1 at_us=1 a=1\n"
			     "  fault reset burst=1 at_us=1 a=2\n";
	struct nemesis_script *script = nemesis_script_create();
	FILE *file = fmemopen(text, strlen(text), "r");
	char error[ERROR_BYTES];

	(void)state;
	assert_true(nemesis_script_read(script, file, error, sizeof(error)));
	fclose(file);
	assert_int_equal(nemesis_script_count(script), 4);
	assert_int_equal(nemesis_script_line(script, 0)->a, 1);
	assert_int_equal(nemesis_script_line(script, 1)->a, 2);
	assert_int_equal(nemesis_script_line(script, 2)->fault, FAULT_PAUSE);
	assert_int_equal(nemesis_script_line(script, 3)->fault, FAULT_KILL);
	nemesis_script_destroy(script);
}

/* ---- a cluster under faults ---- */

struct trial {
	struct sim *sim;
	struct cluster cluster;
	struct nemesis *nemesis;
	char *text; /* what happened */
	uint64_t hash;
};

/* @nemesis: whoever is spared is one with a copy, its number counted among those. */
static void trial_open(struct trial *trial, uint64_t seed, bool is_local,
		       struct nemesis_options *nemesis)
{
	const struct cluster_options options = {
		.volume_bytes = 4 * 128 * 1024,
		.block_bytes = 4096,
		.engine_count = 4,
		.copy_count = 3,
		.host_count = is_local ? 1 : 2,
		.reactor_count = 1,
		.slot_count = 4,
		.kato_ms = 2000,
		.is_local = is_local,
		.has_digests = true,
		.path_give_up_ns = 60 * SIM_S,
	};

	trial->sim = sim_create(seed);
	cluster_init(&trial->cluster, trial->sim, &options);
	if (nemesis->spared_engine != NEMESIS_NOBODY) {
		uint32_t placed = trial->cluster.placed;

		for (uint32_t i = 0; i < nemesis->spared_engine; i++)
			placed &= placed - 1;
		nemesis->spared_engine = (uint32_t)__builtin_ctz(placed);
	}
	trial->nemesis = nemesis_create(&trial->cluster, nemesis);
	assert_non_null(trial->nemesis);
	for (uint32_t i = 0; i < options.host_count; i++)
		workload_set_pace(trial->cluster.hosts[i].workload, PACE_NS);
	sim_run_for(trial->sim, BOOT_NS);
}

static void trial_close(struct trial *trial)
{
	FILE *file;

	trial->text = calloc(1, SCRIPT_BYTES);
	assert_non_null(trial->text);
	file = fmemopen(trial->text, SCRIPT_BYTES, "w");
	nemesis_script_write(trial->nemesis, file);
	fclose(file);
	trial->hash = sim_trace_hash(trial->sim);
	nemesis_destroy(trial->nemesis);
	sim_destroy(trial->sim);
	cluster_deinit(&trial->cluster);
}

/* Bursts with a pause after each; @look is called again and again during them. */
static void trial_run(struct trial *trial, void (*look)(struct trial *trial),
		      void (*look_after)(struct trial *trial))
{
	for (int i = 0; i < BURSTS; i++) {
		nemesis_start(trial->nemesis);
		for (uint64_t ns = 0; ns < BURST_NS; ns += LOOK_NS) {
			sim_run_for(trial->sim, LOOK_NS);
			if (look != NULL)
				look(trial);
		}
		nemesis_stop(trial->nemesis);
		if (look_after != NULL)
			look_after(trial);
		sim_run_for(trial->sim, BURST_NS);
	}
}

static struct nemesis_options options_all(void)
{
	return (struct nemesis_options){
		.allowed = FAULTS_ALL,
		.pause_ns_max = 200 * SIM_MS,
		.spared_engine = NEMESIS_NOBODY,
	};
}

static void a_script_gives_the_trace_of_the_seed_that_wrote_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct nemesis_options options = options_all();
		struct nemesis_script *script = nemesis_script_create();
		struct trial drawn;
		struct trial scripted;
		char error[ERROR_BYTES];
		FILE *file;

		trial_open(&drawn, seed, seed % 4 == 0, &options);
		trial_run(&drawn, NULL, NULL);
		trial_close(&drawn);
		file = fmemopen(drawn.text, strlen(drawn.text), "r");
		assert_true(nemesis_script_read(script, file, error, sizeof(error)));
		fclose(file);
		assert_true(nemesis_script_count(script) > 20);
		options.script = script;
		trial_open(&scripted, seed, seed % 4 == 0, &options);
		trial_run(&scripted, NULL, NULL);
		trial_close(&scripted);
		assert_string_equal(scripted.text, drawn.text);
		assert_int_equal(scripted.hash, drawn.hash);
		nemesis_script_destroy(script);
		free(drawn.text);
		free(scripted.text);
	}
}

static void links_are_whole(const struct sim *sim)
{
	const struct sim_link *links = &sim->links[0][0][0];

	for (size_t i = 0; i < sizeof(sim->links) / sizeof(*links); i++) {
		assert_int_equal(links[i].block_count, 0);
		assert_int_equal(links[i].extra_ns, 0);
		assert_int_equal(links[i].extra_ns_per_kib, 0);
		assert_int_equal(links[i].corrupt_chance, 0);
	}
}

static void nothing_is_broken(struct trial *trial)
{
	struct cluster *cluster = &trial->cluster;

	links_are_whole(trial->sim);
	for (uint32_t i = 0; i < cluster->options.engine_count; i++) {
		struct sim_disk *disk = cluster_disk(cluster, i);
		struct sim_disk_faults faults = *sim_disk_faults(disk);

		faults.region_offset_bytes = 0;
		faults.region_size_bytes = 0;
		assert_memory_equal(&faults, &(struct sim_disk_faults){0}, sizeof(faults));
		assert_int_equal(sim_disk_size_bytes(disk),
				 sim_disk_size_bytes(cluster_disk(cluster, 0)));
	}
	for (uint32_t i = 0; i < cluster_machine_count(cluster); i++) {
		const struct sim_process *process = cluster_machine(cluster, i);

		assert_true(process->is_running);
		assert_true(process->paused_until_ns <= trial->sim->now_ns);
		assert_false(process->is_out_of_sockets);
		assert_int_equal(process->wall_jump_ns, 0);
		assert_int_equal(process->fail_allocation, 0);
	}
	list_for_each (node, &trial->sim->connections) {
		const struct connection *connection = list_entry(node, struct connection, link);

		assert_false(connection->is_cutting);
		assert_false(connection->ends[0].is_black_hole);
		assert_false(connection->ends[1].is_black_hole);
	}
}

static void damage_is_done_to_nobody_who_is_believed(struct trial *trial)
{
	struct cluster *cluster = &trial->cluster;

	for (uint32_t i = 0; i < cluster->options.engine_count; i++) {
		const struct sim_disk_faults *faults = sim_disk_faults(cluster_disk(cluster, i));

		if (faults->read_wrong_chance > 0 || faults->write_lost_chance > 0)
			assert_false(cluster_is_recorded_healthy(cluster, i));
	}
}

static void every_fault_ends_with_its_burst_and_silent_ones_hit_nobody_believed(void **state)
{
	uint32_t counts[FAULT_COUNT] = {0};

	(void)state;
	for (uint64_t seed = 100; seed < 130; seed++) {
		struct nemesis_options options = options_all();
		struct trial trial;

		trial_open(&trial, seed, seed % 5 == 0, &options);
		trial_run(&trial, damage_is_done_to_nobody_who_is_believed, nothing_is_broken);
		for (uint32_t i = 0; i < FAULT_COUNT; i++)
			counts[i] += nemesis_count(trial.nemesis, (enum fault)i);
		trial_close(&trial);
		free(trial.text);
	}
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		if (counts[i] == 0)
			fail_msg("%s never happened", fault_name((enum fault)i));
	}
}

static void what_is_spared_is_left_alone(void **state)
{
	uint32_t happened = 0;

	(void)state;
	for (uint64_t seed = 200; seed < 216; seed++) {
		struct nemesis_options options = options_all();
		struct trial trial;
		uint32_t spared;

		options.spared_engine = (uint32_t)(seed % 3);
		trial_open(&trial, seed, false, &options);
		spared = options.spared_engine;
		trial_run(&trial, NULL, nothing_is_broken);
		for (uint32_t i = 0; i < FAULT_COUNT; i++)
			happened += nemesis_count(trial.nemesis, (enum fault)i);
		assert_int_equal(trial.cluster.engines[0].process->incarnation, 1);
		assert_int_equal(trial.cluster.engines[spared].process->incarnation, 1);
		for (uint32_t i = 0; i < 2; i++)
			assert_int_equal(trial.cluster.hosts[i].process->incarnation, 1);
		assert_true(cluster_is_recorded_healthy(&trial.cluster, spared));
		trial_close(&trial);
		free(trial.text);
	}
	assert_true(happened > 200);
}

static void a_script_that_asks_for_too_much_is_cut_to_size(void **state)
{
	struct nemesis_options options = options_all();
	struct nemesis_script *script = nemesis_script_create();
	struct trial trial;
	char error[ERROR_BYTES];

	(void)state;
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		struct fault_line line = {(enum fault)i, 1,	    INT32_MAX, 1,	 0,
					  INT64_MAX,	 INT64_MAX, INT64_MAX, INT64_MAX};
		char text[ERROR_BYTES * 2];
		FILE *file = fmemopen(text, sizeof(text), "w");

		line.at_us = i * 300000;
		fault_line_write(&line, file);
		fclose(file);
		assert_true(nemesis_script_add(script, text, error, sizeof(error)));
	}
	options.script = script;
	trial_open(&trial, 1, false, &options);
	trial_run(&trial, NULL, nothing_is_broken);
	trial_close(&trial);
	free(trial.text);
	nemesis_script_destroy(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_has_one_row_and_a_name_of_its_own),
		cmocka_unit_test(a_line_is_read_as_it_was_written),
		cmocka_unit_test(a_line_that_cannot_be_understood_is_refused_with_a_reason),
		cmocka_unit_test(lines_are_run_in_the_order_of_their_times),
		cmocka_unit_test(a_script_gives_the_trace_of_the_seed_that_wrote_it),
		cmocka_unit_test(
			every_fault_ends_with_its_burst_and_silent_ones_hit_nobody_believed),
		cmocka_unit_test(what_is_spared_is_left_alone),
		cmocka_unit_test(a_script_that_asks_for_too_much_is_cut_to_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
