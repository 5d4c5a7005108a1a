/* SPDX-License-Identifier: Apache-2.0 */
/* nth_devices.c - reactors start and stop; every driver of block/ opens, does I/O, and closes. */
#include "sim/nth.h"

#include <string.h>

#define DISK_BYTES	 (4 << 20)
#define FILE_BLOCKS	 2048
#define DEVICE_COUNT_MAX 8

/* ---- start and stop of a process with two reactors ---- */

static void start_begin(struct nth_run *run)
{
	nth_box_add(run, "box", "10.0.0.1");
}

static bool start_play(struct nth_run *run)
{
	return nth_box_start(run->boxes[0], 2);
}

static bool stop_play(struct nth_run *run)
{
	return nth_box_stop(run->boxes[0]);
}

static bool initiator_play(struct nth_run *run)
{
	return nth_initiator_register(run->boxes[0]);
}

static bool target_start_play(struct nth_run *run)
{
	return nth_target_start(run->boxes[0], 2);
}

static bool target_stop_play(struct nth_run *run)
{
	return nth_target_stop(run->boxes[0]);
}

static const struct nth_step start_steps[] = {
	{"start reactors and registry", start_play},
	{"register the initiator", initiator_play},
	{"start a target", target_start_play},
	{"stop the target", target_stop_play},
	{"stop", stop_play},
	{"start again", start_play},
	{"stop again", stop_play},
};

const struct nth_scenario nth_start_scenario = {
	.name = "start",
	.begin = start_begin,
	.steps = start_steps,
	.step_count = sizeof(start_steps) / sizeof(start_steps[0]),
	.points_min = 20,
};

/* ---- devices ---- */

struct device {
	const char *name;
	const char *uri;
	bool is_reference;
};

static const struct device devices[] = {
	{"ram", "malloc:///ram?num_blocks=2048&blk_size=512", false},
	{"null", "null:///null?num_blocks=2048&blk_size=512", false},
	{NTH_DISK_PATH,
	 "aio://" NTH_DISK_PATH "?blk_size=512&uuid=c1000000-0000-4000-8000-000000000001", false},
	{"/var/file", "uring:///var/file?blk_size=512", false},
	{"ram", "bdev:///ram", true},
	{"ram", "loopback:///ram", true},
	{"fault", "filter:///fault?lower=" NTH_DISK_PATH, false},
};
#define DEVICE_COUNT (sizeof(devices) / sizeof(devices[0]))
STATIC_ASSERT(DEVICE_COUNT <= DEVICE_COUNT_MAX);

struct devices_state {
	struct bdev *bdevs[DEVICE_COUNT_MAX];
	struct bdev_channel *channels[DEVICE_COUNT_MAX];
};

static void devices_begin(struct nth_run *run)
{
	const struct sim_disk_options file = {
		.size_bytes = FILE_BLOCKS * 512, .block_bytes = 512, .is_file = true};
	struct nth_box *box = nth_box_add(run, "box", "10.0.0.1");

	nth_disk_add(box, DISK_BYTES);
	sim_disk_create(box->process, "/var/file", &file);
}

static bool create_play(struct nth_run *run)
{
	uint32_t index = run->argument;
	struct devices_state *state = run->state;

	snprintf(run->object, sizeof(run->object), "%s", devices[index].name);
	return nth_device_create(run->boxes[0], devices[index].uri, &state->bdevs[index]);
}

static bool destroy_play(struct nth_run *run)
{
	uint32_t index = run->argument;
	struct devices_state *state = run->state;

	snprintf(run->object, sizeof(run->object), "%s", devices[index].name);
	if (!nth_device_destroy(run->boxes[0], state->bdevs[index], devices[index].is_reference))
		return false;
	state->bdevs[index] = NULL;
	return true;
}

static bool open_play(struct nth_run *run)
{
	uint32_t index = run->argument;
	struct devices_state *state = run->state;
	struct nth_box *box = run->boxes[0];

	snprintf(run->object, sizeof(run->object), "%s", devices[index].name);
	return nth_channel_open(box, state->bdevs[index], box->reactors[index % 2],
				&state->channels[index]);
}

static bool close_play(struct nth_run *run)
{
	uint32_t index = run->argument;
	struct devices_state *state = run->state;

	nth_channel_close(run->boxes[0], &state->channels[index]);
	return true;
}

/* Repeating it from its beginning is always right. */
static bool io_play(struct nth_run *run)
{
	uint32_t index = run->argument;
	struct devices_state *state = run->state;
	struct bdev_channel *channel = state->channels[index];
	struct nth_box *box = run->boxes[0];
	const struct bdev *bdev = state->bdevs[index];
	bool is_null = strcmp(bdev->name, "null") == 0;

	return nth_io(box, channel, IO_WRITE, (struct block_range){0, 64}, index + 1) &&
	       nth_io(box, channel, IO_FLUSH, (struct block_range){0, 64}, 0) &&
	       nth_io(box, channel, IO_READ, (struct block_range){0, 64},
		      is_null ? 0 : index + 1) &&
	       (!bdev->can_write_zeroes ||
		nth_io(box, channel, IO_WRITE_ZEROES, (struct block_range){8, 8}, 0)) &&
	       (!bdev->can_unmap ||
		nth_io(box, channel, IO_UNMAP, (struct block_range){16, 8}, 0)) &&
	       nth_io(box, channel, IO_WRITE, (struct block_range){0, 64}, index + 11) &&
	       nth_io(box, channel, IO_READ, (struct block_range){0, 64}, is_null ? 0 : index + 11);
}

/* A disk that does not tell its size is taken for lost; who has it closes it and opens it anew. */
static bool devices_settle(struct nth_run *run)
{
	struct devices_state *state = run->state;

	for (uint32_t i = 0; i < DEVICE_COUNT; i++) {
		bool is_open = state->channels[i] != NULL;

		if (state->bdevs[i] == NULL || !bdev_is_removed(state->bdevs[i]))
			continue;
		run->argument = i;
		if (is_open)
			close_play(run);
		if (!destroy_play(run) || !create_play(run) || (is_open && !open_play(run)))
			return false;
	}
	return true;
}

static const struct nth_step devices_steps[] = {
	{"start", start_play},
	{"create ram", create_play, 0},
	{"open ram", open_play, 0},
	{"I/O of ram", io_play, 0},
	{"refer by bdev", create_play, 4},
	{"open by bdev", open_play, 4},
	{"I/O by bdev", io_play, 4},
	{"close by bdev", close_play, 4},
	{"refer by loopback", create_play, 5},
	{"give bdev back", destroy_play, 4},
	{"give loopback back", destroy_play, 5},
	{"close ram", close_play, 0},
	{"destroy ram", destroy_play, 0},
	{"create null", create_play, 1},
	{"open null", open_play, 1},
	{"I/O of null", io_play, 1},
	{"close null", close_play, 1},
	{"destroy null", destroy_play, 1},
	{"create disk", create_play, 2},
	{"open disk", open_play, 2},
	{"I/O of disk", io_play, 2},
	{"close disk", close_play, 2},
	{"create filter", create_play, 6},
	{"open filter", open_play, 6},
	{"I/O of filter", io_play, 6},
	{"close filter", close_play, 6},
	{"destroy filter", destroy_play, 6},
	{"create file", create_play, 3},
	{"open file", open_play, 3},
	{"I/O of file", io_play, 3},
	{"close file", close_play, 3},
	{"destroy file", destroy_play, 3},
	{"destroy disk", destroy_play, 2},
	{"stop", stop_play},
};

const struct nth_scenario nth_devices_scenario = {
	.name = "devices",
	.state_bytes = sizeof(struct devices_state),
	.settle = devices_settle,
	.begin = devices_begin,
	.steps = devices_steps,
	.step_count = sizeof(devices_steps) / sizeof(devices_steps[0]),
	.points_min = 60,
};
