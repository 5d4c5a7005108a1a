/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_model_test.c - random schedules of I/O, faults, store outages and management.
 *
 * Goal: to find an order of events that breaks a promise of nexus.h. A seed makes a schedule: a
 * volume of three or four children; racing writes, zeroings, reads and flushes; children that fail,
 * fail after they have written, or hold what they got; a store that is late or refuses; children
 * that go offline, come back, and are rebuilt; machines of children that lose their power, and with
 * it what they answered and did not flush; an end without warning, and a new beginning from the
 * record.
 *
 * The model keeps, for every cell of blocks, all values that it may hold: that of a write leaves
 * when a write that began after its end was answered as done. Checked all the time:
 *  1. Whoever the durable record calls healthy, and has not lost its power since, holds an allowed
 *     value in every cell.
 *  2. A read returns a value that was allowed at some time between its start and its end.
 * When no copy that counts has kept its power, values that were overwritten are allowed again, but
 * for what an answered flush made durable, or was answered before the record gave a child up.
 * And at the end, when faults have stopped: every child comes level, all copies are the same in
 * every byte, and a nexus created anew from the record serves the same.
 */
#include "nexus/test_cached_disk.h"

#define SCHEDULES   600
#define STEPS	    120
#define CELLS	    48
#define CELL_BLOCKS 4
#define CELL_STRIDE 84 /* blocks; so that cells lie in many segments, some across two */
#define VALUES_MAX  160
#define IOS_MAX	    8
#define NEVER	    UINT64_MAX
#define CACHED	    3 /* of the children have a volatile cache */

struct cell_value {
	uint8_t byte;
	uint64_t begun;
	uint64_t ended;	  /* NEVER: still in work */
	uint64_t removed; /* NEVER: still allowed */
};

struct cell {
	uint32_t count;
	struct cell_value values[VALUES_MAX];
};

struct model_io {
	struct test_io *test;
	bool is_busy;
	uint32_t cell;
	uint8_t byte;
	uint64_t begun;
};

struct model {
	struct volume *volume;
	struct prng prng;
	uint64_t seed;
	uint64_t clock;
	uint32_t child_count;
	uint8_t byte_last;
	struct cell cells[CELLS];
	struct model_io ios[IOS_MAX];
	struct nexus_request request;
	struct waiter waiter;
	char uri[128];
	uint64_t writes_done;
	/* of power */
	struct cached_disk disks[CACHED];
	struct uuid hidden_id[CACHED]; /* not known yet: the link is down */
	struct nexus_record record;    /* as seen last */
	bool is_unflushed;	       /* ... and of the next one */
	uint64_t durable;	       /* what ended by then is durable on those who count */
	uint64_t doubted;	       /* what began by then is not counted on */
};

/* Time goes by with every look at the clock, so that a seed is the same schedule every time. */
static uint64_t model_time_ns = 1000000000;

uint64_t __wrap_os_clock_now_ns(struct os *os);

uint64_t __wrap_os_clock_now_ns(struct os *os)
{
	(void)os;
	model_time_ns += 1000;
	return model_time_ns;
}

static struct block_range cell_range(uint32_t cell)
{
	return (struct block_range){(uint64_t)cell * CELL_STRIDE, CELL_BLOCKS};
}

static void cell_begin(struct model *model, uint32_t cell, uint8_t byte)
{
	struct cell *to = &model->cells[cell];

	assert_true(to->count < VALUES_MAX);
	to->values[to->count++] = (struct cell_value){byte, model->clock, NEVER, NEVER};
}

static void cell_end(struct model *model, const struct model_io *io, bool is_done)
{
	struct cell *cell = &model->cells[io->cell];

	is_done &= io->begun > model->doubted;

	for (uint32_t i = 0; i < cell->count; i++) {
		struct cell_value *value = &cell->values[i];

		if (value->begun == io->begun && value->byte == io->byte)
			value->ended = model->clock;
		else if (is_done && value->ended < io->begun && value->removed == NEVER)
			value->removed = model->clock;
	}
}

static bool cell_allows(const struct cell *cell, uint8_t byte, uint64_t since)
{
	for (uint32_t i = 0; i < cell->count; i++) {
		if (cell->values[i].byte == byte && cell->values[i].removed > since)
			return true;
	}
	return false;
}

static void model_fail(const struct model *model, const char *what, uint32_t cell, uint32_t child)
{
	fail_msg("seed %llu: %s, cell %u, child %u", (unsigned long long)model->seed, what, cell,
		 child);
}

/* RAM disks answer at once. */
static uint8_t model_peek(struct model *model, uint32_t child, uint32_t cell)
{
	uint8_t bytes[512];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct block_range range = {10240 + cell_range(cell).first, 1};
	struct bdev_io io = {.type = IO_READ, .range = range, .iov = &iov, .iov_count = 1};
	struct waiter waiter;

	waiter_init(&waiter, model->volume->fixture->main);
	io.parent = &waiter.op;
	op_wait(&waiter.op);
	bdev_submit(model->volume->below[child], &io);
	assert_int_equal(waiter.op.pending, 0);
	return bytes[0];
}

static bool model_counts(struct model *model, uint32_t child)
{
	const struct nexus_record *record = volume_record(model->volume);
	const struct nexus_record_child *recorded;
	char text[64];
	struct uuid uuid;

	snprintf(text, sizeof(text), "00000000-0000-4000-8000-00000000000%u", child);
	assert_true(uuid_parse(text, &uuid));
	recorded = nexus_record_find(record, &uuid);
	return recorded != NULL && recorded->is_healthy &&
	       uuid_is_equal(&recorded->cache_id, &model->volume->disks[child]->cache_id);
}

/* No copy that counts has kept its power: what was not durable may be gone. */
static void model_doubt(struct model *model)
{
	for (uint32_t child = 0; child < model->child_count; child++) {
		if (model_counts(model, child))
			return;
	}
	model->doubted = ++model->clock;
	for (uint32_t cell = 0; cell < CELLS; cell++) {
		for (uint32_t i = 0; i < model->cells[cell].count; i++) {
			struct cell_value *value = &model->cells[cell].values[i];

			if (value->removed != NEVER && value->removed > model->durable)
				value->removed = NEVER;
		}
	}
}

/* The nexus says when it gives a child up though those who stay could not be flushed. */
static void model_log(struct log *log, const char *line)
{
	struct model *model = log->user;

	model->is_unflushed |= strstr(line, "could not be flushed") != NULL;
}

/* Before the answers of the same turn are seen. */
static void model_watch_record(struct model *model)
{
	const struct nexus_record *record = volume_record(model->volume);
	bool is_loss = false;

	if (record == NULL || memcmp(record, &model->record, sizeof(*record)) == 0)
		return;
	for (uint32_t i = 0; i < model->record.child_count; i++) {
		const struct nexus_record_child *was = &model->record.children[i];

		is_loss |= was->is_healthy && !nexus_record_is_healthy(record, &was->uuid);
	}
	model->record = *record;
	if (is_loss && !model->is_unflushed)
		model->durable = model->clock;
	model->is_unflushed = false;
	model_doubt(model);
}

static void model_check_healthy(struct model *model)
{
	for (uint32_t child = 0; child < model->child_count; child++) {
		if (!model_counts(model, child))
			continue;
		for (uint32_t cell = 0; cell < CELLS; cell++) {
			uint8_t byte = model_peek(model, child, cell);

			/* Allowed now: the present is later than any removal. */
			if (!cell_allows(&model->cells[cell], byte, model->clock))
				model_fail(model, "a healthy child lacks an answered write", cell,
					   child);
		}
	}
}

static void model_reap(struct model *model)
{
	for (uint32_t i = 0; i < IOS_MAX; i++) {
		struct model_io *io = &model->ios[i];
		bool is_done;

		if (!io->is_busy || !test_io_is_done(io->test))
			continue;
		io->is_busy = false;
		model->clock++;
		is_done = io->test->io.status == IO_OK;
		if (io->test->io.type == IO_READ) {
			if (is_done &&
			    !cell_allows(&model->cells[io->cell], io->test->bytes[0], io->begun))
				model_fail(model, "a read returned old data", io->cell, 99);
		} else if (io->test->io.type == IO_FLUSH) {
			if (is_done && io->begun > model->doubted && io->begun > model->durable)
				model->durable = io->begun;
		} else {
			cell_end(model, io, is_done);
			model->writes_done += is_done;
		}
	}
}

static void model_turn(struct model *model, int count)
{
	struct fixture *fixture = model->volume->fixture;

	for (int i = 0; i < count; i++) {
		if (prng_chance(&model->prng, 1, 2))
			reactor_turn(fixture->main, false);
		else
			reactor_turn(fixture->other, false);
		model_watch_record(model);
		model_reap(model);
	}
}

static void model_submit(struct model *model)
{
	static const enum io_type types[] = {IO_WRITE, IO_WRITE, IO_WRITE, IO_READ,
					     IO_READ,  IO_FLUSH, IO_UNMAP, IO_WRITE_ZEROES};
	enum io_type type = types[prng_below(&model->prng, 8)];

	for (uint32_t i = 0; i < IOS_MAX; i++) {
		struct model_io *io = &model->ios[i];

		if (io->is_busy)
			continue;
		/* Few cells, so that they meet. */
		io->cell = (uint32_t)prng_below(&model->prng,
						prng_chance(&model->prng, 1, 2) ? 4 : CELLS);
		io->begun = ++model->clock;
		io->is_busy = true;
		io->byte = 0;
		if (type == IO_WRITE) {
			model->byte_last = (uint8_t)(model->byte_last % 250 + 1);
			io->byte = model->byte_last;
		}
		memset(io->test->bytes, io->byte, CELL_BLOCKS * 512);
		if (type != IO_READ && type != IO_FLUSH)
			cell_begin(model, io->cell, io->byte);
		volume_submit(model->volume, io->test, type, cell_range(io->cell));
		return;
	}
}

static void model_fault(struct model *model)
{
	static const enum io_status statuses[] = {IO_MEDIUM_ERROR, IO_NO_SPACE, IO_DEVICE_GONE,
						  IO_TIMED_OUT};
	static const enum filter_action actions[] = {FILTER_FAIL, FILTER_FAIL, FILTER_FAIL_AFTER,
						     FILTER_HOLD, FILTER_DELAY};
	uint32_t child = (uint32_t)prng_below(&model->prng, model->child_count);
	struct bdev *filter = volume_filter(model->volume, child);
	struct filter_rule rule = {
		.action = actions[prng_below(&model->prng, 5)],
		.type_mask = 1u << (prng_chance(&model->prng, 2, 3)
					    ? IO_WRITE
					    : (enum io_type)prng_below(&model->prng, 5)),
		.hits_max = 1 + prng_below(&model->prng, 3),
		.status = statuses[prng_below(&model->prng, 4)],
		.delay_ns = 20000,
	};

	if (filter == NULL)
		return;
	if (prng_chance(&model->prng, 1, 12))
		bdev_notify(filter, BDEV_REMOVED);
	else if (prng_chance(&model->prng, 1, 12))
		bdev_notify(filter, BDEV_INTERRUPTED);
	else
		(void)!filter_rule_add(filter, &rule);
}

static void model_check_marks(void)
{
	for (struct mark *mark = mark_next(NULL); mark != NULL; mark = mark_next(mark)) {
		if (strncmp(mark->name, "nexus_", 6) == 0 && mark->is_required && mark->count == 0)
			fail_msg("no schedule has come to %s", mark->name);
	}
}

static void model_release(struct model *model, uint32_t child)
{
	struct bdev *filter = volume_filter(model->volume, child);

	if (filter != NULL)
		filter_release(filter);
}

static void model_link_up(struct model *model, uint32_t child)
{
	struct bdev *filter = volume_filter(model->volume, child);

	if (filter != NULL && uuid_is_nil(&filter->cache_id))
		filter->cache_id = model->hidden_id[child];
}

static void model_power(struct model *model)
{
	uint32_t child = (uint32_t)prng_below(&model->prng, CACHED);
	struct cached_disk *disk = &model->disks[child];
	struct bdev *filter;

	if (disk->bdev != model->volume->disks[child])
		return;
	volume_lose_power(model->volume, disk, child, &model->prng);
	model->hidden_id[child] = disk->bdev->cache_id;
	model_watch_record(model);
	model_doubt(model);
	filter = volume_filter(model->volume, child);
	if (filter != NULL && prng_chance(&model->prng, 1, 2))
		filter->cache_id = (struct uuid){{0}};
}

static void model_store(struct model *model)
{
	struct nexus_recorder_memory *recorder = &model->volume->recorder;

	switch (prng_below(&model->prng, 4)) {
	case 0:
		recorder->is_held = true;
		break;
	case 1:
		recorder->answer = NEXUS_RECORD_FAILED;
		recorder->is_stored_in_spite = prng_chance(&model->prng, 1, 2);
		break;
	default:
		recorder->answer = NEXUS_RECORD_OK;
		nexus_recorder_memory_release(recorder);
		break;
	}
}

static void model_manage(struct model *model)
{
	static void (*const submits[])(struct nexus *, struct nexus_request *) = {
		nexus_child_action_submit,  nexus_child_action_submit, nexus_child_action_submit,
		nexus_rebuild_start_submit, nexus_rebuild_stop_submit, nexus_rebuild_pause_submit,
		nexus_rebuild_resume_submit};
	static const enum nexus_action actions[] = {NEXUS_ACTION_ONLINE, NEXUS_ACTION_ONLINE,
						    NEXUS_ACTION_OFFLINE,
						    NEXUS_ACTION_FAULT_IO_ERROR};
	uint32_t child = (uint32_t)prng_below(&model->prng, model->child_count);

	if (model->waiter.op.pending > 0)
		return;
	snprintf(model->uri, sizeof(model->uri), "%s", volume_uri(model->volume, child));
	model->request = (struct nexus_request){
		.parent = &model->waiter.op,
		.uri = model->uri,
		.action = actions[prng_below(&model->prng, 4)],
	};
	op_wait(&model->waiter.op);
	submits[prng_below(&model->prng, 7)](model->volume->nexus, &model->request);
}

static void model_step(struct model *model)
{
	uint64_t dice = prng_below(&model->prng, 100);

	if (dice < 45)
		model_submit(model);
	else if (dice < 55)
		model_fault(model);
	else if (dice < 65)
		model_release(model, (uint32_t)prng_below(&model->prng, model->child_count));
	else if (dice < 70)
		model_store(model);
	else if (dice < 80)
		model_manage(model);
	else if (dice < 86)
		model_power(model);
	else if (dice < 91)
		model_link_up(model, (uint32_t)prng_below(&model->prng, CACHED));
	model_turn(model, (int)prng_below(&model->prng, 12));
	if (prng_chance(&model->prng, 1, 4))
		model_check_healthy(model);
}

static bool model_is_busy(const struct model *model)
{
	bool is_busy = model->waiter.op.pending > 0;

	for (uint32_t i = 0; i < IOS_MAX; i++)
		is_busy |= model->ios[i].is_busy;
	return is_busy;
}

static void model_calm(struct model *model)
{
	struct volume *volume = model->volume;

	volume->recorder.answer = NEXUS_RECORD_OK;
	nexus_recorder_memory_release(&volume->recorder);
	for (uint32_t child = 0; child < CACHED; child++)
		model_link_up(model, child);
	for (int i = 0; i < 200000; i++) {
		for (uint32_t child = 0; child < model->child_count; child++) {
			struct bdev *filter = volume_filter(volume, child);

			for (int id = 0; filter != NULL && i % 64 == 0 && id < 64; id++)
				(void)filter_rule_remove(filter, id);
			model_release(model, child);
		}
		model_turn(model, 20);
		if (!model_is_busy(model))
			return;
	}
	model_fail(model, "something is stuck", 0, 0);
}

/* A new activation, from @stored. */
static void model_recreate(struct model *model, const struct nexus_record *stored)
{
	struct volume *volume = model->volume;
	struct nexus_record record = *stored;

	volume_destroy(volume);
	volume->stored = &record;
	volume->epoch++;
	volume_create(volume, model->child_count);
	volume->stored = NULL;
	model_watch_record(model);
}

/* One that has stopped itself is made anew. */
static void model_replace(struct model *model)
{
	struct nexus_record record;

	if (!model->volume->nexus->is_fenced)
		return;
	model_calm(model);
	record = *volume_record(model->volume);
	model_recreate(model, &record);
}

/* The nexus ends without warning, and some machines lose their power with it. */
static void model_crash(struct model *model)
{
	struct volume *volume = model->volume;
	struct nexus_record record = *volume_record(volume);

	for (uint32_t i = 0; i < CACHED; i++)
		model->disks[i].is_flush_void = true;
	volume_destroy(volume);
	/* What that recorded was never there. */
	for (uint32_t i = 0; i < volume->recorder.key_count; i++)
		volume->recorder.records[i] = record;
	model->record = record;
	for (uint32_t i = 0; i < CACHED; i++) {
		model->disks[i].is_flush_void = false;
		if (prng_chance(&model->prng, 1, 2))
			cached_disk_lose_power(&model->disks[i], &model->prng);
	}
	model_doubt(model);
	volume->stored = &record;
	volume->epoch++;
	volume_create(volume, model->child_count);
	volume->stored = NULL;
	model_watch_record(model);
}

/*
 * Destroyed in whatever state, and created anew. A copy may not be flushed at this end; whoever a
 * clean record calls healthy loses nothing with its power after it.
 */
static void model_end(struct model *model)
{
	struct volume *volume = model->volume;
	uint32_t child = (uint32_t)prng_below(&model->prng, model->child_count);

	if (prng_chance(&model->prng, 1, 2) && volume_filter(volume, child) != NULL)
		volume_rule(volume, child, RULE_FAIL_ONCE(IO_FLUSH, IO_MEDIUM_ERROR));
	volume_destroy(volume);
	model_watch_record(model);
	for (uint32_t i = 0; i < CACHED && model->record.is_clean_shutdown; i++) {
		if (prng_chance(&model->prng, 1, 2))
			cached_disk_lose_power(&model->disks[i], &model->prng);
	}
	volume->stored = &model->record;
	volume->epoch++;
	volume_create(volume, model->child_count);
	volume->stored = NULL;
}

/* Every child comes back. */
static void model_heal(struct model *model)
{
	struct volume *volume = model->volume;

	for (int i = 0; i < 2000; i++) {
		model_replace(model);
		if (volume_info(volume)->state == NEXUS_ONLINE)
			return;
		for (uint32_t child = 0; child < model->child_count; child++) {
			if (volume_child(volume, child)->state == NEXUS_CHILD_ONLINE)
				continue;
			volume->request = (struct nexus_request){.parent = NULL};
			(void)volume_child_call(volume, child, nexus_rebuild_resume_submit);
			(void)volume_child_call(volume, child, nexus_rebuild_start_submit);
			(void)volume_action(volume, child, NEXUS_ACTION_ONLINE);
		}
		model_turn(model, 200);
	}
	model_fail(model, "a child does not come level", 0, 0);
}

static void model_check_equal(struct model *model)
{
	model->clock++;
	for (uint32_t child = 1; child < model->child_count; child++) {
		if (!volume_is_equal(model->volume, 0, child))
			model_fail(model, "copies differ at the end", 0, child);
	}
	model_check_healthy(model);
}

static void model_begin(struct model *model, struct volume *volume, uint64_t seed)
{
	volume->nexus = NULL;
	volume->stored = NULL;
	nexus_recorder_memory_init(&volume->recorder);
	model->volume = volume;
	model->seed = seed;
	model->clock = 1;
	model->child_count = 3 + (uint32_t)(seed % 2);
	prng_init(&model->prng, seed);
	waiter_init(&model->waiter, volume->fixture->main);
	model->durable = 0;
	model->is_unflushed = false;
	model->doubted = 0;
	model->record = (struct nexus_record){.epoch = 0};
	/* Equal at first, as fresh replicas are. */
	for (uint32_t child = 0; child < model->child_count; child++)
		volume_write_below(volume, child, (struct block_range){0, 4062}, 0xfe);
	for (uint32_t i = 0; i < CACHED; i++)
		cached_disk_flush(&model->disks[i], model->disks[i].below);
	for (uint32_t cell = 0; cell < CELLS; cell++) {
		model->cells[cell].count = 1;
		model->cells[cell].values[0] = (struct cell_value){0xfe, 0, 0, NEVER};
	}
	volume_create(volume, model->child_count);
}

static void model_run(struct model *model, struct volume *volume, uint64_t seed)
{
	model_begin(model, volume, seed);
	for (int step = 0; step < STEPS; step++) {
		model_step(model);
		model_replace(model);
	}
	model_calm(model);
	model_check_healthy(model);
	model_replace(model);
	if (seed % 3 == 0) {
		model_end(model);
	} else if (seed % 3 == 1) {
		model_crash(model);
	}
	model_heal(model);
	model_check_equal(model);
	volume_destroy(volume);
}

static void schedules_run(void **state, bool is_home_main, uint64_t first, uint64_t count)
{
	struct volume *volume = volume_begin(state);
	struct model *model = memory_alloc(sizeof(*model));
	uint64_t writes_done = 0;

	assert_non_null(model);
	volume->record_wait_ns = 400000;
	volume->log = (struct log){.level = LOG_WARN, .write = model_log, .user = model};
	for (uint32_t i = 0; i < CACHED; i++)
		cached_disk_init(&model->disks[i], volume, i);
	if (is_home_main)
		volume->home = volume->fixture->main;
	for (uint32_t i = 0; i < IOS_MAX; i++)
		model->ios[i].test = test_io_create();
	for (uint64_t seed = first; seed < first + count; seed++)
		model_run(model, volume, seed);
	writes_done = model->writes_done;
	for (uint32_t i = 0; i < IOS_MAX; i++)
		test_io_destroy(model->ios[i].test);
	for (uint32_t i = 0; i < CACHED; i++)
		cached_disk_deinit(&model->disks[i]);
	memory_free(model);
	assert_true(writes_done > count * 5);
	model_check_marks();
	volume_end(volume);
}

static void no_schedule_breaks_a_promise_with_a_home_of_its_own(void **state)
{
	schedules_run(state, false, 1, SCHEDULES);
}

static void no_schedule_breaks_a_promise_with_home_on_main(void **state)
{
	schedules_run(state, true, 1000001, SCHEDULES / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(no_schedule_breaks_a_promise_with_a_home_of_its_own),
		RULE(no_schedule_breaks_a_promise_with_home_on_main),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
