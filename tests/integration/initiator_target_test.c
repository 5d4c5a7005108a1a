/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: our initiator and our target understand each other: data, fences, access states, growth,
 * loss and return, with queue pairs on two reactors.
 * Method: one process, two reactors (this thread and one more), real sockets, a memory disk behind
 * the target. Workloads verify every byte that they read against what they wrote.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "initiator/initiator.h"
#include "target/target.h"

#define PATIENCE_NS	(40ull * 1000 * 1000 * 1000)
#define DISK_BLOCKS	65536u
#define NQN		"nqn.2019-05.io.openebs:volume"
#define WORKLOAD_BLOCKS 2048u /* of each workload's own region */

struct setting {
	struct os *os;
	struct reactor *reactors[2];
	struct os_thread *thread;
	struct log log;
	struct bdev_registry *disks;	/* the target's side */
	struct bdev_registry *devices;	/* a host's */
	struct bdev_registry *devices2; /* another host's */
	struct target *target;
	struct target_subsystem *subsystem;
	struct bdev *disk;
	struct bdev *device;
	struct os_address address;
	struct op op;
};

static void idle_run(struct op *op)
{
	(void)op;
}

static void log_write(struct log *log, const char *line)
{
	if (log->user != NULL)
		fprintf(stderr, "%s\n", line);
}

#define until(setting, condition)                                               \
	do {                                                                    \
		uint64_t end_ns = os_clock_now_ns((setting)->os) + PATIENCE_NS; \
		while (!(condition)) {                                          \
			reactor_turn((setting)->reactors[0], true);             \
			assert_true(os_clock_now_ns((setting)->os) < end_ns);   \
		}                                                               \
	} while (0)

#define wait_op(setting) until(setting, (setting)->op.pending == 0)

static void thread_main(void *argument)
{
	reactor_run(argument);
}

static struct bdev *device_create(struct setting *setting, struct bdev_registry *registry,
				  const char *uri, int *ret_result)
{
	struct bdev_create create = {.parent = &setting->op, .registry = registry};

	(void)snprintf(create.uri_text, sizeof(create.uri_text), "%s", uri);
	op_wait(&setting->op);
	bdev_create_submit(&create);
	wait_op(setting);
	*ret_result = create.result;
	if (create.result != 0 && create.result != -ECONNREFUSED)
		fprintf(stderr, "%s\n", create.error);
	return create.bdev;
}

static struct bdev *remote_create(struct setting *setting, struct bdev_registry *registry,
				  const char *parameters)
{
	char address[OS_ADDRESS_TEXT_BYTES];
	char uri[512];
	struct bdev *bdev;
	int result;

	os_address_format(&setting->address, address);
	(void)snprintf(uri, sizeof(uri), "nvmf+tcp://%s/" NQN "%s", address, parameters);
	bdev = device_create(setting, registry, uri, &result);
	assert_int_equal(result, 0);
	return bdev;
}

static void device_destroy(struct setting *setting, struct bdev_registry *registry,
			   struct bdev *bdev)
{
	struct bdev_destroy destroy = {.parent = &setting->op, .bdev = bdev};

	op_wait(&setting->op);
	bdev_destroy_submit(registry, &destroy);
	wait_op(setting);
	assert_int_equal(destroy.result, 0);
}

static void subsystem_create(struct setting *setting)
{
	struct target_subsystem_create create = {
		.parent = &setting->op,
		.target = setting->target,
		.nqn = NQN,
		.serial = "DCS0123456789ABCDEF0",
		.bdev = setting->disk,
		.home = setting->reactors[1],
		.uuid = setting->disk->uuid,
		.is_ana_reporting = true,
	};

	op_wait(&setting->op);
	target_subsystem_create_submit(&create);
	wait_op(setting);
	assert_int_equal(create.result, 0);
	setting->subsystem = create.subsystem;
}

static void subsystem_destroy(struct setting *setting)
{
	struct target_subsystem_change change = {.parent = &setting->op,
						 .subsystem = setting->subsystem};

	op_wait(&setting->op);
	target_subsystem_destroy_submit(&change);
	wait_op(setting);
	setting->subsystem = NULL;
}

static void target_open(struct setting *setting)
{
	struct target_options options;
	struct target_create create = {
		.parent = &setting->op,
		.main = setting->reactors[0],
		.reactors = setting->reactors,
		.reactor_count = 2,
		.options = &options,
		.log = &setting->log,
	};

	target_options_default(&options);
	options.listen_count = 1;
	assert_int_equal(os_address_parse("127.0.0.1", 0, &options.listen[0]), 0);
	op_wait(&setting->op);
	target_create_submit(&create);
	wait_op(setting);
	assert_int_equal(create.result, 0);
	setting->target = create.target;
	target_listener_address(setting->target, 0, &setting->address);
}

static void initiator_add(struct setting *setting, struct bdev_registry *registry, uint8_t host)
{
	struct initiator_options options;

	initiator_options_default(&options);
	(void)snprintf(options.host_nqn, sizeof(options.host_nqn), "nqn.2019-05.io.openebs:node%u",
		       host);
	options.host_id[0] = host;
	options.reconnect_min_ms = 5;
	options.reconnect_max_ms = 20;
	options.connect_timeout_ms = 5000;
	options.log = &setting->log;
	assert_int_equal(initiator_register(registry, &options), 0);
}

static int setting_open(void **state)
{
	struct setting *setting = calloc(1, sizeof(*setting));
	struct reactor_options options;
	int result;

	setting->log =
		(struct log){.level = LOG_TRACE, .write = log_write, .user = getenv("BENCH_LOG")};
	assert_int_equal(os_open(&setting->os), 0);
	for (uint32_t i = 0; i < 2; i++) {
		reactor_options_default(&options);
		options.index = i;
		options.large_buffer_count = 128;
		options.small_buffer_count = 128;
		options.receive_buffer_count = 128;
		assert_int_equal(reactor_create(setting->os, &options, &setting->reactors[i]), 0);
	}
	op_init(&setting->op, reactor_ready(setting->reactors[0]), idle_run);
	assert_int_equal(os_thread_start(setting->os, -1, thread_main, setting->reactors[1],
					 &setting->thread),
			 0);
	assert_int_equal(bdev_registry_create(setting->reactors[0], &setting->disks), 0);
	assert_int_equal(bdev_registry_create(setting->reactors[0], &setting->devices), 0);
	assert_int_equal(bdev_registry_create(setting->reactors[0], &setting->devices2), 0);
	assert_int_equal(bdev_memory_register(setting->disks), 0);
	initiator_add(setting, setting->devices, 1);
	initiator_add(setting, setting->devices2, 2);
	setting->disk = device_create(setting, setting->disks,
				      "malloc:///disk?num_blocks=65536&blk_size=512", &result);
	assert_int_equal(result, 0);
	target_open(setting);
	subsystem_create(setting);
	*state = setting;
	return 0;
}

static int setting_close(void **state)
{
	struct setting *setting = *state;

	if (setting->device != NULL)
		device_destroy(setting, setting->devices, setting->device);
	if (setting->subsystem != NULL)
		subsystem_destroy(setting);
	op_wait(&setting->op);
	target_destroy_submit(setting->target, &setting->op);
	wait_op(setting);
	device_destroy(setting, setting->disks, setting->disk);
	reactor_stop(setting->reactors[1]);
	os_thread_join(setting->thread);
	for (uint32_t i = 0; i < 2; i++) {
		while (reactor_turn(setting->reactors[0], false) ||
		       reactor_turn(setting->reactors[1], false))
			;
	}
	bdev_registry_destroy(setting->disks);
	bdev_registry_destroy(setting->devices);
	bdev_registry_destroy(setting->devices2);
	reactor_destroy(setting->reactors[0]);
	reactor_destroy(setting->reactors[1]);
	os_close(setting->os);
	free(setting);
	return 0;
}

/* A workload: random reads and writes of its own region by one channel on one reactor. */
#define LANES 8

struct lane {
	struct op op;
	struct workload *workload;
	struct bdev_io io;
	struct iovec iov;
	uint8_t *memory;
	bool is_out;
	bool is_write;
	struct block_range range;
};

struct workload {
	struct reactor_call call; /* runs on the workload's reactor, answered at its end */
	struct bdev *bdev;
	struct bdev_channel *channel;
	struct prng prng;
	uint64_t first_block;
	uint8_t *shadow;
	uint32_t left_count;
	uint32_t running_count; /* lanes */
	uint32_t bad_count;	/* wrong bytes */
	uint32_t failed_count;
	bool may_fail;
	int open_result;
	struct lane lanes[LANES];
};

static void workload_end(struct workload *workload)
{
	bdev_channel_close(workload->channel);
	workload->channel = NULL;
	reactor_call_finish(&workload->call);
}

/* Lanes have a part of the region each, so that what they write does not overlap. */
static void lane_submit(struct lane *lane)
{
	struct workload *workload = lane->workload;
	uint32_t index = (uint32_t)(lane - workload->lanes);
	uint32_t part = WORKLOAD_BLOCKS / LANES;
	uint64_t count =
		1 + prng_below(&workload->prng, prng_chance(&workload->prng, 1, 4) ? 256 : 9);
	uint64_t first;

	if (count > part)
		count = part;
	first = index * part + prng_below(&workload->prng, part - count + 1);
	lane->range = (struct block_range){first, count};
	lane->is_write = prng_chance(&workload->prng, 1, 2);
	if (lane->is_write)
		prng_fill(&workload->prng, lane->memory, count * 512);
	lane->iov = (struct iovec){lane->memory, count * 512};
	lane->io = (struct bdev_io){
		.parent = &lane->op,
		.type = lane->is_write ? IO_WRITE : IO_READ,
		.range = {workload->first_block + first, count},
		.iov = &lane->iov,
		.iov_count = 1,
	};
	lane->is_out = true;
	workload->left_count--;
	op_wait(&lane->op);
	bdev_submit(workload->channel, &lane->io);
}

static void lane_judge(struct lane *lane)
{
	struct workload *workload = lane->workload;
	uint8_t *shadow = workload->shadow + lane->range.first * 512;
	size_t bytes = lane->range.count * 512;

	lane->is_out = false;
	if (lane->io.status != IO_OK) {
		workload->failed_count++;
		if (lane->is_write) /* old or new: make it known again */
			workload->left_count = workload->may_fail ? 0 : workload->left_count;
		return;
	}
	if (lane->is_write)
		memcpy(shadow, lane->memory, bytes);
	else if (memcmp(shadow, lane->memory, bytes) != 0)
		workload->bad_count++;
}

static void lane_run(struct op *op)
{
	struct lane *lane = container_of(op, struct lane, op);
	struct workload *workload = lane->workload;

	for (;;) {
		if (lane->is_out)
			lane_judge(lane);
		if (workload->left_count == 0)
			break;
		lane_submit(lane);
		if (op_join(op) == OP_WAIT)
			return;
	}
	if (--workload->running_count == 0)
		workload_end(workload);
}

static void workload_begin(struct reactor_call *call)
{
	struct workload *workload = container_of(call, struct workload, call);

	workload->open_result = bdev_channel_open(workload->bdev, call->target, &workload->channel);
	if (workload->open_result < 0) {
		reactor_call_finish(call);
		return;
	}
	workload->running_count = LANES;
	for (uint32_t i = 0; i < LANES; i++) {
		struct lane *lane = &workload->lanes[i];

		lane->workload = workload;
		op_init(&lane->op, reactor_ready(call->target), lane_run);
		op_wake(&lane->op);
	}
}

/* @region: a multiple of WORKLOAD_BLOCKS that nobody has written. */
static struct workload *workload_start(struct setting *setting, uint32_t reactor, uint32_t count,
				       uint32_t region, bool may_fail)
{
	struct workload *workload = calloc(1, sizeof(*workload));

	workload->bdev = setting->device;
	workload->first_block = (uint64_t)region * WORKLOAD_BLOCKS;
	workload->may_fail = may_fail;
	workload->left_count = count;
	workload->shadow = calloc(WORKLOAD_BLOCKS, 512);
	prng_init(&workload->prng, 42 + reactor);
	for (uint32_t i = 0; i < LANES; i++)
		workload->lanes[i].memory = malloc(WORKLOAD_BLOCKS / LANES * 512);
	workload->call = (struct reactor_call){.parent = &setting->op,
					       .origin = setting->reactors[0],
					       .target = setting->reactors[reactor],
					       .function = workload_begin};
	op_wait(&setting->op);
	reactor_call_submit(&workload->call);
	return workload;
}

static void workload_free(struct workload *workload)
{
	for (uint32_t i = 0; i < LANES; i++)
		free(workload->lanes[i].memory);
	free(workload->shadow);
	free(workload);
}

static void data_is_the_same_through_two_queue_pairs_at_once(void **state)
{
	struct setting *setting = *state;
	struct workload *workloads[2];
	struct initiator_info info;

	setting->device = remote_create(setting, setting->devices, "");
	assert_int_equal(setting->device->block_count, DISK_BLOCKS);
	for (uint32_t i = 0; i < 2; i++)
		workloads[i] = workload_start(setting, i, 4000, i, false);
	wait_op(setting);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(workloads[i]->open_result, 0);
		assert_int_equal(workloads[i]->bad_count, 0);
		assert_int_equal(workloads[i]->failed_count, 0);
		workload_free(workloads[i]);
	}
	assert_true(initiator_describe(setting->device, &info));
	assert_int_equal(info.queue_count, 2);
	assert_int_equal(info.reset_count, 0);
}

static void data_is_the_same_with_digests(void **state)
{
	struct setting *setting = *state;
	struct workload *workload;

	setting->device = remote_create(setting, setting->devices, "?hdgst=1&ddgst=1");
	workload = workload_start(setting, 1, 2000, 1, false);
	wait_op(setting);
	assert_int_equal(workload->bad_count, 0);
	assert_int_equal(workload->failed_count, 0);
	workload_free(workload);
}

static enum io_status do_io(struct setting *setting, struct bdev_channel *channel,
			    enum io_type type, void *bytes)
{
	struct iovec iov = {bytes, 512};
	struct bdev_io io = {
		.parent = &setting->op, .type = type, .range = {1, 1}, .iov = &iov, .iov_count = 1};

	op_wait(&setting->op);
	bdev_submit(channel, &io);
	wait_op(setting);
	return io.status;
}

static void resets_under_load_lose_no_byte(void **state)
{
	struct setting *setting = *state;
	struct initiator_info info;

	setting->device = remote_create(setting, setting->devices, "");
	for (int round = 0; round < 10; round++) {
		struct workload *workloads[2];

		for (uint32_t i = 0; i < 2; i++) {
			workloads[i] =
				workload_start(setting, i, 300, (uint32_t)round * 2 + i, true);
		}
		for (int turn = 0; turn < 20 + round * 10; turn++)
			reactor_turn(setting->reactors[0], false);
		assert_int_equal(initiator_reset(setting->device), 0);
		wait_op(setting);
		for (uint32_t i = 0; i < 2; i++) {
			assert_int_equal(workloads[i]->bad_count, 0);
			workload_free(workloads[i]);
		}
		until(setting, initiator_describe(setting->device, &info) &&
				       info.state == INITIATOR_RUNNING);
	}
	assert_int_equal(info.protocol_error_count, 0);
	assert_int_equal(info.reset_count, 10);
}

static void subsystem_that_goes_and_comes_back_is_found_again(void **state)
{
	struct setting *setting = *state;
	struct bdev_channel *channel;
	struct initiator_info info;
	uint8_t bytes[512] = {1, 2, 3};
	uint8_t read[512];

	setting->device = remote_create(setting, setting->devices, "");
	assert_int_equal(bdev_channel_open(setting->device, setting->reactors[0], &channel), 0);
	assert_int_equal(do_io(setting, channel, IO_WRITE, bytes), IO_OK);
	subsystem_destroy(setting);
	until(setting,
	      initiator_describe(setting->device, &info) && info.state == INITIATOR_RESETTING);
	until(setting, do_io(setting, channel, IO_READ, read) == IO_DEVICE_GONE);
	subsystem_create(setting);
	until(setting, do_io(setting, channel, IO_READ, read) == IO_OK);
	assert_memory_equal(read, bytes, 512);
	assert_true(initiator_describe(setting->device, &info));
	assert_int_equal(info.connect_count, 2);
	bdev_channel_close(channel);
}

static void life_of_the_cache_is_passed_on_and_unknown_while_the_link_is_down(void **state)
{
	struct setting *setting = *state;
	struct initiator_info info;

	setting->device = remote_create(setting, setting->devices, "");
	assert_false(uuid_is_nil(&setting->disk->cache_id));
	assert_true(uuid_is_equal(&setting->device->cache_id, &setting->disk->cache_id));
	subsystem_destroy(setting);
	until(setting,
	      initiator_describe(setting->device, &info) && info.state == INITIATOR_RESETTING);
	assert_true(uuid_is_nil(&setting->device->cache_id));
	/* As after a loss of power: the same namespace, and another life. */
	setting->disk->cache_id.bytes[0] ^= 1;
	subsystem_create(setting);
	until(setting,
	      initiator_describe(setting->device, &info) && info.state == INITIATOR_RUNNING);
	assert_true(uuid_is_equal(&setting->device->cache_id, &setting->disk->cache_id));
}

static void access_state_is_followed(void **state)
{
	struct setting *setting = *state;
	struct target_subsystem_change change = {.parent = &setting->op,
						 .subsystem = setting->subsystem,
						 .ana_state = TARGET_ANA_INACCESSIBLE};
	struct bdev_channel *channel;
	struct initiator_info info;
	uint8_t bytes[512];

	setting->device = remote_create(setting, setting->devices, "");
	assert_int_equal(bdev_channel_open(setting->device, setting->reactors[0], &channel), 0);
	assert_int_equal(do_io(setting, channel, IO_READ, bytes), IO_OK);
	op_wait(&setting->op);
	target_subsystem_set_ana_state_submit(&change);
	wait_op(setting);
	assert_int_equal(do_io(setting, channel, IO_READ, bytes), IO_NOT_READY);
	until(setting, initiator_describe(setting->device, &info) &&
			       info.ana_state == NVME_ANA_INACCESSIBLE);
	change.ana_state = TARGET_ANA_OPTIMIZED;
	op_wait(&setting->op);
	target_subsystem_set_ana_state_submit(&change);
	wait_op(setting);
	until(setting, do_io(setting, channel, IO_READ, bytes) == IO_OK);
	bdev_channel_close(channel);
}

struct listener {
	struct bdev_listener listener;
	uint32_t resized_count;
};

static void listener_event(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event)
{
	(void)bdev;
	if (event == BDEV_RESIZED)
		container_of(listener, struct listener, listener)->resized_count++;
}

static void growth_is_passed_on(void **state)
{
	struct setting *setting = *state;
	struct listener listener = {.listener.event = listener_event};
	int result;

	setting->device = remote_create(setting, setting->devices, "");
	bdev_listen(setting->device, &listener.listener);
	(void)device_create(setting, setting->disks,
			    "malloc:///disk?num_blocks=131072&blk_size=512&resize", &result);
	assert_int_equal(result, 0);
	until(setting, listener.resized_count == 1);
	assert_int_equal(setting->device->block_count, 131072);
	bdev_unlisten(&listener.listener);
}

static enum io_status reserve(struct setting *setting, struct bdev_channel *channel,
			      struct initiator_reservation *reservation,
			      struct nvme_reservation request)
{
	memset(reservation, 0, sizeof(*reservation));
	reservation->parent = &setting->op;
	reservation->request = request;
	op_wait(&setting->op);
	initiator_reservation_submit(channel, reservation);
	wait_op(setting);
	return reservation->status;
}

static void reservation_fences_the_other_host(void **state)
{
	struct setting *setting = *state;
	struct initiator_reservation *reservation = malloc(sizeof(*reservation));
	struct nvme_reservation join = {.opcode = NVME_RESERVATION_REGISTER,
					.is_ignoring_key = true};
	struct nvme_reservation acquire = {.opcode = NVME_RESERVATION_ACQUIRE,
					   .type = NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS};
	struct bdev_channel *channels[2];
	struct bdev *other;
	uint8_t bytes[512] = {0};

	setting->device = remote_create(setting, setting->devices, "");
	other = remote_create(setting, setting->devices2, "");
	assert_int_equal(bdev_channel_open(setting->device, setting->reactors[0], &channels[0]), 0);
	assert_int_equal(bdev_channel_open(other, setting->reactors[0], &channels[1]), 0);
	join.other_key = 0x1111;
	assert_int_equal(reserve(setting, channels[0], reservation, join), IO_OK);
	acquire.current_key = 0x1111;
	assert_int_equal(reserve(setting, channels[0], reservation, acquire), IO_OK);
	assert_int_equal(do_io(setting, channels[0], IO_WRITE, bytes), IO_OK);
	assert_int_equal(do_io(setting, channels[1], IO_WRITE, bytes), IO_RESERVATION_CONFLICT);
	assert_int_equal(do_io(setting, channels[1], IO_READ, bytes), IO_OK);
	/* The other one takes over: register, preempt. */
	join.other_key = 0x2222;
	assert_int_equal(reserve(setting, channels[1], reservation, join), IO_OK);
	acquire.current_key = 0x2222;
	acquire.other_key = 0x1111;
	acquire.action = NVME_RESERVATION_PREEMPT;
	assert_int_equal(reserve(setting, channels[1], reservation, acquire), IO_OK);
	assert_int_equal(do_io(setting, channels[0], IO_WRITE, bytes), IO_RESERVATION_CONFLICT);
	assert_int_equal(do_io(setting, channels[1], IO_WRITE, bytes), IO_OK);
	assert_int_equal(reserve(setting, channels[1], reservation,
				 (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT}),
			 IO_OK);
	assert_int_equal(reservation->registrant_count, 1);
	assert_int_equal(reservation->registrants[0].key, 0x2222);
	assert_int_equal(reservation->registrants[0].host_id[0], 2);
	assert_true(reservation->registrants[0].is_holder);
	bdev_channel_close(channels[0]);
	bdev_channel_close(channels[1]);
	device_destroy(setting, setting->devices2, other);
	free(reservation);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setting_open, setting_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_is_the_same_through_two_queue_pairs_at_once),
		TEST(data_is_the_same_with_digests),
		TEST(resets_under_load_lose_no_byte),
		TEST(subsystem_that_goes_and_comes_back_is_found_again),
		TEST(life_of_the_cache_is_passed_on_and_unknown_while_the_link_is_down),
		TEST(access_state_is_followed),
		TEST(growth_is_passed_on),
		TEST(reservation_fences_the_other_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
