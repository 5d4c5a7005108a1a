/* SPDX-License-Identifier: Apache-2.0 */
/* nth_box.c - what the scripts of "fail the n-th" are made of: processes, devices, I/O, exports.
 *
 * Each function is one or a few submissions and a wait for their answers. What the script itself
 * needs is memory of the world, so that only the code under test meets faults.
 */
#include "base/memory.h"
#include "block/filter.h"
#include "initiator/initiator.h"
#include "sim/nth.h"
#include "sim/sim_impl.h"

#include <stdlib.h>
#include <string.h>

#define DRAIN_NS    (100 * SIM_MS)
#define DEVICES_MAX 16

static void log_write(struct log *log, const char *line)
{
	struct nth_box *box = log->user;

	if (box->run->log_file != NULL)
		fprintf(box->run->log_file, "%10.6f %s: %s\n",
			(double)sim_now_ns(box->run->sim) / 1e9, sim_process_name(box->process),
			line);
}

struct nth_box *nth_box_add(struct nth_run *run, const char *name, const char *ip)
{
	struct nth_box *box = aligned_alloc(_Alignof(struct nth_box), sizeof(*box));

	ASSERT(box != NULL);
	ASSERT(run->box_count < NTH_BOXES_MAX);
	memset(box, 0, sizeof(*box));
	box->run = run;
	box->process = sim_process_create(run->sim, name, ip);
	box->log = (struct log){.level = run->log_file != NULL ? LOG_TRACE : LOG_ERROR,
				.write = log_write,
				.user = box};
	run->boxes[run->box_count++] = box;
	return box;
}

void nth_disk_add(struct nth_box *box, uint64_t size_bytes)
{
	const struct sim_disk_options disk = {.size_bytes = size_bytes,
					      .block_bytes = NTH_BLOCK_BYTES};

	ASSERT(size_bytes % NTH_BLOCK_BYTES == 0);
	sim_disk_create(box->process, NTH_DISK_PATH, &disk);
}

/* ---- waiting ---- */

static void box_run(struct op *op)
{
	container_of(op, struct nth_box, op)->is_over = true;
}

static bool box_is_over(void *argument)
{
	return ((struct nth_box *)argument)->is_over;
}

void nth_enter(struct nth_box *box)
{
	struct sim_process *previous = sim_enter(box->process);

	ASSERT(previous == NULL);
	/* Reactors read the clock once a turn: one that has slept would set timers in the past. */
	for (uint32_t i = 0; i < box->reactor_count; i++)
		reactor_turn(box->reactors[i], false);
}

void nth_begin(struct nth_box *box, struct reactor *reactor)
{
	nth_enter(box);
	box->is_over = false;
	op_init(&box->op, reactor_ready(reactor), box_run);
	op_wait(&box->op);
}

bool nth_end(struct nth_box *box)
{
	ASSERT(sim_current() == box->process);
	sim_leave(NULL);
	if (op_join(&box->op) == OP_NEXT)
		return true;
	if (sim_run(box->run->sim, box_is_over, box, NTH_STEP_NS_MAX) == SIM_REACHED)
		return true;
	nth_bad(box->run, "step '%s' does not end", box->run->scenario->steps[box->run->step].name);
	return nth_error(box->run, "no answer");
}

/* ---- start and stop ---- */

static int drivers_register(struct nth_box *box)
{
	int rc = bdev_memory_register(box->registry);

	if (rc == 0)
		rc = bdev_null_register(box->registry);
	if (rc == 0)
		rc = bdev_uring_register(box->registry);
	if (rc == 0)
		rc = bdev_loopback_register(box->registry);
	if (rc == 0)
		rc = bdev_pcie_register(box->registry);
	return rc == 0 ? bdev_filter_register(box->registry) : rc;
}

static int box_start(struct nth_box *box, uint32_t reactor_count)
{
	int rc = 0;

	for (uint32_t i = 0; i < reactor_count && rc == 0; i++) {
		struct reactor_options options;

		reactor_options_default(&options);
		options.index = i;
		options.small_buffer_count = 16;
		options.large_buffer_count = 8;
		options.receive_buffer_count = 16;
		rc = reactor_create(sim_process_os(box->process), &options, &box->reactors[i]);
		if (rc == 0) {
			sim_reactor_add(box->process, box->reactors[i]);
			box->reactor_count++;
		}
	}
	if (rc == 0)
		rc = bdev_registry_create(box->reactors[0], &box->registry);
	return rc == 0 ? drivers_register(box) : rc;
}

bool nth_box_stop(struct nth_box *box)
{
	/* What has ended may still have messages on their way between reactors. */
	sim_run_for(box->run->sim, DRAIN_NS);
	nth_enter(box);
	bdev_registry_destroy(box->registry);
	box->registry = NULL;
	while (box->reactor_count > 0) {
		struct reactor *reactor = box->reactors[--box->reactor_count];

		sim_reactor_remove(box->process, reactor);
		reactor_destroy(reactor);
		box->reactors[box->reactor_count] = NULL;
	}
	sim_leave(NULL);
	return true;
}

bool nth_box_start(struct nth_box *box, uint32_t reactor_count)
{
	int rc;

	ASSERT(reactor_count <= NTH_REACTORS_MAX);
	nth_enter(box);
	rc = box_start(box, reactor_count);
	sim_leave(NULL);
	if (rc == 0)
		return true;
	nth_box_stop(box);
	return nth_error(box->run, "%s: %s", sim_process_name(box->process), strerror(-rc));
}

static int device_compare(const void *one, const void *other)
{
	const struct bdev *const *left = one;
	const struct bdev *const *right = other;

	return strcmp((*left)->name, (*right)->name);
}

/* By name: the order of creation differs between runs. */
static void devices_describe(struct nth_box *box, FILE *out)
{
	struct bdev *devices[DEVICES_MAX];
	struct bdev *bdev = NULL;
	size_t count = 0;

	while ((bdev = bdev_next(box->registry, bdev)) != NULL) {
		ASSERT(count < DEVICES_MAX);
		devices[count++] = bdev;
	}
	qsort(devices, count, sizeof(devices[0]), device_compare);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "device %s claimed by '%s' channels %u references %u\n",
			devices[i]->name, devices[i]->claimed_by, bdev_channel_count(devices[i]),
			devices[i]->reference_count);
}

void nth_box_describe(struct nth_box *box, FILE *out)
{
	const char *name = sim_process_name(box->process);
	struct target_subsystem *subsystem = NULL;

	fprintf(out, "%s\n", name);
	if (box->registry != NULL)
		devices_describe(box, out);
	if (box->target != NULL)
		fprintf(out, "%s: target with %u connections\n", name,
			target_connection_count(box->target));
	while (box->target != NULL &&
	       (subsystem = target_subsystem_next(box->target, subsystem)) != NULL)
		fprintf(out, "%s: export %s access %d\n", name, target_subsystem_nqn(subsystem),
			target_subsystem_ana_state(subsystem));
	list_for_each (node, &box->process->listeners)
		fprintf(out, "%s: a listener\n", name);
	list_for_each (node, &box->process->connects)
		fprintf(out, "%s: connects\n", name);
	fprintf(out, "%s: memory %zu\n", name, sim_process_memory_bytes(box->process));
}

/* ---- devices ---- */

bool nth_device_create(struct nth_box *box, const char *uri, struct bdev **ret_bdev)
{
	struct bdev_create *create = &box->create;

	nth_begin(box, box->reactors[0]);
	*create = (struct bdev_create){.parent = &box->op, .registry = box->registry};
	snprintf(create->uri_text, sizeof(create->uri_text), "%s", uri);
	bdev_create_submit(create);
	if (!nth_end(box))
		return false;
	if (create->result < 0)
		return nth_error(box->run, "%s", create->error);
	*ret_bdev = create->bdev;
	return true;
}

bool nth_device_destroy(struct nth_box *box, struct bdev *bdev, bool is_reference)
{
	struct bdev_destroy *destroy = &box->destroy;

	nth_begin(box, box->reactors[0]);
	*destroy = (struct bdev_destroy){
		.parent = &box->op, .bdev = bdev, .is_reference = is_reference};
	bdev_destroy_submit(box->registry, destroy);
	if (!nth_end(box))
		return false;
	return destroy->result == 0 || nth_error(box->run, "%s", destroy->error);
}

bool nth_channel_open(struct nth_box *box, struct bdev *bdev, struct reactor *reactor,
		      struct bdev_channel **ret_channel)
{
	int rc;

	nth_enter(box);
	rc = bdev_channel_open(bdev, reactor, ret_channel);
	sim_leave(NULL);
	return rc == 0 || nth_error(box->run, "channel of %s: %s", bdev->name, strerror(-rc));
}

void nth_channel_close(struct nth_box *box, struct bdev_channel **channel)
{
	nth_enter(box);
	bdev_channel_close(*channel);
	sim_leave(NULL);
	*channel = NULL;
}

/* Every eight bytes name their block and generation. */
static void content_make(uint8_t *bytes, struct block_range range, uint32_t generation)
{
	for (uint64_t i = 0; i < range.count * NTH_BLOCK_BYTES / 8; i++) {
		uint64_t block = range.first + i * 8 / NTH_BLOCK_BYTES;
		uint64_t word = generation == 0 ? 0 : block << 32 | generation << 8 | (i & 63);

		memcpy(bytes + i * 8, &word, sizeof(word));
	}
}

static void content_check(struct nth_box *box, const struct bdev *bdev, struct block_range range,
			  uint32_t generation)
{
	static const uint32_t block_bytes = NTH_BLOCK_BYTES;

	for (uint64_t i = 0; i < range.count; i++) {
		struct block_range one = {range.first + i, 1};
		uint8_t wanted[NTH_BLOCK_BYTES];

		content_make(wanted, one, generation);
		if (memcmp(box->bytes + i * block_bytes, wanted, block_bytes) == 0)
			continue;
		nth_bad(box->run, "%s: block %llu does not hold what was written", bdev->name,
			(unsigned long long)one.first);
		return;
	}
}

bool nth_io(struct nth_box *box, struct bdev_channel *channel, enum io_type type,
	    struct block_range range, uint32_t generation)
{
	struct bdev_io *io = &box->io;

	ASSERT(channel->bdev->block_bytes == NTH_BLOCK_BYTES);
	ASSERT(range.count * NTH_BLOCK_BYTES <= NTH_IO_BYTES_MAX);
	memset(box->bytes, 0xee, sizeof(box->bytes));
	if (type == IO_WRITE || type == IO_COMPARE)
		content_make(box->bytes, range, generation);
	nth_begin(box, channel->reactor);
	box->iov = (struct iovec){box->bytes, range.count * NTH_BLOCK_BYTES};
	*io = (struct bdev_io){
		.parent = &box->op,
		.type = type,
		.range = range,
		.iov = &box->iov,
		.iov_count = 1,
	};
	bdev_submit(channel, io);
	if (!nth_end(box))
		return false;
	if (io->status != IO_OK)
		return nth_error(box->run, "%s: I/O %d ended with status %d", channel->bdev->name,
				 type, io->status);
	if (type == IO_READ)
		content_check(box, channel->bdev, range, generation);
	return true;
}

/* ---- network ---- */

bool nth_target_start(struct nth_box *box, uint32_t listen_count)
{
	struct target_options *options = sim_allocate(sizeof(*options));
	struct target_create *create = sim_allocate(sizeof(*create));
	bool is_ok = false;

	target_options_default(options);
	options->listen_count = listen_count;
	for (uint32_t i = 0; i < listen_count; i++) {
		uint16_t port = i == 0 ? TARGET_DEFAULT_PORT : TARGET_SECOND_PORT;
		int rc = os_address_parse(sim_process_ip(box->process), port, &options->listen[i]);

		ASSERT(rc == 0);
	}
	nth_begin(box, box->reactors[0]);
	*create = (struct target_create){
		.parent = &box->op,
		.main = box->reactors[0],
		.reactors = box->reactors,
		.reactor_count = box->reactor_count,
		.options = options,
		.log = &box->log,
	};
	target_create_submit(create);
	if (nth_end(box)) {
		is_ok = create->result == 0 || nth_error(box->run, "%s", create->error);
		box->target = create->result == 0 ? create->target : NULL;
		free(options);
		free(create);
	}
	return is_ok;
}

bool nth_target_stop(struct nth_box *box)
{
	struct target *target = box->target;

	box->target = NULL;
	nth_begin(box, box->reactors[0]);
	target_destroy_submit(target, &box->op);
	return nth_end(box);
}

struct target_subsystem *nth_export_find(struct nth_box *box, const char *name)
{
	char nqn[NQN_BYTES_MAX];
	int rc = target_nqn_format(name, nqn);

	ASSERT(rc == 0);
	return target_find_subsystem(box->target, nqn);
}

bool nth_export(struct nth_box *box, struct bdev *bdev, const char *name,
		struct target_reservation_store *reservations)
{
	struct target_subsystem_create *create = sim_allocate(sizeof(*create));
	bool is_ok;
	int rc;

	*create = (struct target_subsystem_create){
		.parent = &box->op,
		.target = box->target,
		.bdev = bdev,
		.home = bdev->home != NULL ? NULL : box->reactors[box->reactor_count - 1],
		.uuid = bdev->uuid,
		.is_ana_reporting = true,
		.reservation_store = reservations,
	};
	rc = target_nqn_format(name, create->nqn);
	ASSERT(rc == 0);
	snprintf(box->run->object, sizeof(box->run->object), "%s", create->nqn);
	target_serial_from_uuid(&bdev->uuid, create->serial);
	nth_begin(box, box->reactors[0]);
	target_subsystem_create_submit(create);
	if (!nth_end(box))
		return false;
	is_ok = create->result == 0 || nth_error(box->run, "%s", create->error);
	free(create);
	return is_ok;
}

bool nth_unexport(struct nth_box *box, const char *name)
{
	struct target_subsystem_change *change = sim_allocate(sizeof(*change));
	bool is_ok;

	*change = (struct target_subsystem_change){
		.parent = &box->op,
		.subsystem = nth_export_find(box, name),
	};
	ASSERT(change->subsystem != NULL);
	nth_begin(box, box->reactors[0]);
	target_subsystem_destroy_submit(change);
	if (!nth_end(box))
		return false;
	is_ok = change->result == 0 || nth_error(box->run, "%s not removed", name);
	free(change);
	return is_ok;
}

bool nth_initiator_register(struct nth_box *box)
{
	struct initiator_options options;
	int rc;

	initiator_options_default(&options);
	snprintf(options.host_nqn, sizeof(options.host_nqn), "nqn.2014-08.org.nvmexpress:nth:%s",
		 sim_process_name(box->process));
	options.host_id[0] = 1;
	options.host_id[15] = (uint8_t)sim_process_index(box->process);
	options.log = &box->log;
	nth_enter(box);
	rc = initiator_register(box->registry, &options);
	sim_leave(NULL);
	return rc == 0 || nth_error(box->run, "initiator: %s", strerror(-rc));
}

bool nth_initiators_are_running(struct nth_box *box)
{
	struct bdev *bdev = NULL;

	while (box->registry != NULL && (bdev = bdev_next(box->registry, bdev)) != NULL) {
		struct initiator_info info;

		if (initiator_describe(bdev, &info) && info.state != INITIATOR_RUNNING)
			return false;
	}
	return true;
}
