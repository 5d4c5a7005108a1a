/* SPDX-License-Identifier: Apache-2.0 */
/* nth_pair.c - a target and a host: export, connect, I/O, abort, reservations, access states,
 * pause, reset, disconnect, remove.
 */
#include "engine/reservation_files.h"
#include "initiator/initiator.h"
#include "sim/nth.h"
#include "sim/sim_impl.h"

#include <stdlib.h>
#include <string.h>

#define DISK_BYTES   (4 << 20)
#define NAME	     "volume"
#define RESET_NS_MAX (20 * SIM_S) /* less than after which the device is given up */
#define KEY	     0x1122334455667788u
#define RANGE	     ((struct block_range){100, 96})
#define SMALL	     ((struct block_range){8, 4})

struct pair_state {
	struct nth_box *server;
	struct nth_box *host;
	struct bdev *disk;
	struct bdev *remote;
	struct bdev_channel *channels[2];
	struct reservation_file *reservations;
	uint32_t generation; /* of RANGE */
	uint64_t connect_count;
	struct initiator_reservation reservation;
	struct initiator_command command;
	struct target_subsystem_change change;
	struct target_subsystem_inspect inspect;
};

static void begin(struct nth_run *run)
{
	struct pair_state *state = run->state;

	state->server = nth_box_add(run, "server", "10.0.0.1");
	state->host = nth_box_add(run, "host", "10.0.0.2");
	nth_disk_add(state->server, DISK_BYTES);
}

static bool server_start(struct nth_run *run)
{
	return nth_box_start(((struct pair_state *)run->state)->server, 2);
}

static bool host_start(struct nth_run *run)
{
	struct nth_box *host = ((struct pair_state *)run->state)->host;

	if (!nth_box_start(host, 2))
		return false;
	if (nth_initiator_register(host))
		return true;
	nth_box_stop(host);
	return false;
}

static bool disk_create(struct nth_run *run)
{
	struct pair_state *state = run->state;

	snprintf(run->object, sizeof(run->object), "%s", NTH_DISK_PATH);
	return nth_device_create(state->server,
				 "aio://" NTH_DISK_PATH
				 "?blk_size=512&uuid=c1000000-0000-4000-8000-000000000001",
				 &state->disk);
}

static bool target_start(struct nth_run *run)
{
	return nth_target_start(((struct pair_state *)run->state)->server, 2);
}

static bool export_create(struct nth_run *run)
{
	struct pair_state *state = run->state;
	struct nth_box *server = state->server;
	int rc;

	nth_enter(server);
	rc = reservation_file_create(server->reactors[1], "/ptpl/volume.json", &server->log,
				     &state->reservations);
	sim_leave(NULL);
	if (rc < 0)
		return nth_error(run, "reservations of %s: %s", NAME, strerror(-rc));
	if (nth_export(server, state->disk, NAME, reservation_file_store(state->reservations)))
		return true;
	nth_enter(server);
	reservation_file_destroy(state->reservations);
	sim_leave(NULL);
	state->reservations = NULL;
	return false;
}

static bool export_destroy(struct nth_run *run)
{
	struct pair_state *state = run->state;

	if (!nth_unexport(state->server, NAME))
		return false;
	nth_enter(state->server);
	reservation_file_destroy(state->reservations);
	sim_leave(NULL);
	state->reservations = NULL;
	return true;
}

/* Argument 1: with digests. */
static bool host_connect(struct nth_run *run)
{
	struct pair_state *state = run->state;

	snprintf(run->object, sizeof(run->object), "%s", NAME);
	return nth_device_create(state->host,
				 run->argument == 1 ? "nvmf://10.0.0.1:8420/" TARGET_NQN_PREFIX
						      ":" NAME "?hdgst=1&ddgst=1"
						    : "nvmf://10.0.0.1:8420/" TARGET_NQN_PREFIX
						      ":" NAME,
				 &state->remote);
}

static bool host_disconnect(struct nth_run *run)
{
	struct pair_state *state = run->state;

	if (!nth_device_destroy(state->host, state->remote, false))
		return false;
	state->remote = NULL;
	return true;
}

static bool channel_open(struct nth_run *run)
{
	struct pair_state *state = run->state;

	snprintf(run->object, sizeof(run->object), "%s", NAME);
	return nth_channel_open(state->host, state->remote, state->host->reactors[run->argument],
				&state->channels[run->argument]);
}

static bool channel_close(struct nth_run *run)
{
	struct pair_state *state = run->state;

	nth_channel_close(state->host, &state->channels[run->argument]);
	return true;
}

static bool io(struct nth_run *run)
{
	struct pair_state *state = run->state;
	struct bdev_channel *channel = state->channels[run->argument];

	/* The generation goes up once, however often the step is repeated. */
	state->generation = run->step;
	return nth_io(state->host, channel, IO_WRITE, RANGE, run->step) &&
	       nth_io(state->host, channel, IO_READ, RANGE, run->step) &&
	       nth_io(state->host, channel, IO_WRITE, SMALL, run->step) &&
	       nth_io(state->host, channel, IO_FLUSH, SMALL, 0) &&
	       nth_io(state->host, channel, IO_WRITE_ZEROES, SMALL, 0) &&
	       nth_io(state->host, channel, IO_READ, SMALL, 0) &&
	       nth_io(state->host, channel, IO_COMPARE, RANGE, run->step);
}

static bool read_back(struct nth_run *run)
{
	struct pair_state *state = run->state;

	return nth_io(state->host, state->channels[run->argument], IO_READ, RANGE,
		      state->generation);
}

static bool abort_command(struct nth_run *run)
{
	struct pair_state *state = run->state;
	struct initiator_command *command = &state->command;

	nth_begin(state->host, state->host->reactors[0]);
	*command = (struct initiator_command){.parent = &state->host->op,
					      .sqe = {.opcode = NVME_ADMIN_ABORT}};
	command->sqe.cdw10 = le32_store(1 | 77 << 16);
	initiator_admin_submit(state->remote, command);
	if (!nth_end(state->host))
		return false;
	return command->status == IO_OK ||
	       nth_error(run, "abort ended with status %d", command->status);
}

static bool reserve(struct nth_run *run, struct nvme_reservation request)
{
	struct pair_state *state = run->state;
	struct initiator_reservation *reservation = &state->reservation;

	memset(reservation, 0, sizeof(*reservation));
	nth_begin(state->host, state->host->reactors[0]);
	reservation->parent = &state->host->op;
	reservation->request = request;
	initiator_reservation_submit(state->channels[0], reservation);
	if (!nth_end(state->host))
		return false;
	return reservation->status == IO_OK || nth_error(run, "reservation command %d: status %d",
							 request.opcode, reservation->status);
}

static bool reservation_register(struct nth_run *run)
{
	return reserve(run, (struct nvme_reservation){.opcode = NVME_RESERVATION_REGISTER,
						      .is_ignoring_key = true,
						      .persist = NVME_RESERVATION_PERSIST_SET,
						      .other_key = KEY});
}

static bool reservation_acquire(struct nth_run *run)
{
	struct pair_state *state = run->state;

	if (!reserve(run,
		     (struct nvme_reservation){.opcode = NVME_RESERVATION_ACQUIRE,
					       .type = NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS,
					       .current_key = KEY}) ||
	    !reserve(run, (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT}))
		return false;
	if (state->reservation.registrant_count != 1 ||
	    !state->reservation.registrants[0].is_holder)
		nth_bad(run, "the reservation that was answered is not reported");
	return true;
}

static bool reservation_give(struct nth_run *run)
{
	struct pair_state *state = run->state;

	if (!reserve(run, (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT}))
		return false;
	/* It may be gone by the first try, whose answer was lost. */
	if (state->reservation.registrant_count == 0)
		return true;
	return reserve(run, (struct nvme_reservation){.opcode = NVME_RESERVATION_RELEASE,
						      .action = NVME_RESERVATION_CLEAR,
						      .current_key = KEY});
}

static bool change(struct nth_run *run, void (*submit)(struct target_subsystem_change *change))
{
	struct pair_state *state = run->state;

	nth_begin(state->server, state->server->reactors[0]);
	state->change.parent = &state->server->op;
	state->change.subsystem = nth_export_find(state->server, NAME);
	submit(&state->change);
	if (!nth_end(state->server))
		return false;
	return state->change.result == 0 ||
	       nth_error(run, "change: %s", strerror(-state->change.result));
}

static bool pause_and_resume(struct nth_run *run)
{
	if (!change(run, target_subsystem_pause_submit))
		return false;
	if (!change(run, target_subsystem_resume_submit))
		nth_bad(run, "a pause cannot be ended");
	return true;
}

static bool access_change(struct nth_run *run)
{
	struct pair_state *state = run->state;

	state->change.ana_state = run->argument;
	return change(run, target_subsystem_set_ana_state_submit);
}

static bool hosts_change(struct nth_run *run)
{
	static const char *const hosts[] = {"nqn.2014-08.org.nvmexpress:nth:host",
					    "nqn.2014-08.org.nvmexpress:nth:other"};
	struct pair_state *state = run->state;

	state->change.allowed_hosts = hosts;
	state->change.allowed_host_count = run->argument;
	return change(run, target_subsystem_set_allowed_hosts_submit);
}

static bool host_is_connected(void *argument)
{
	return nth_initiators_are_running(argument);
}

/* Connected once more than when the reset began. */
static bool reset_is_over(void *argument)
{
	const struct pair_state *state = argument;
	struct initiator_info info;

	return initiator_describe(state->remote, &info) && info.state == INITIATOR_RUNNING &&
	       info.connect_count > state->connect_count;
}

static bool reset(struct nth_run *run)
{
	struct pair_state *state = run->state;
	struct initiator_info info;
	int rc;

	initiator_describe(state->remote, &info);
	state->connect_count = info.connect_count;
	nth_enter(state->host);
	rc = initiator_reset(state->remote);
	sim_leave(NULL);
	if (rc < 0)
		return nth_error(run, "reset: %s", strerror(-rc));
	/* While faults last it cannot come back; then it must by itself. */
	if (sim_run(run->sim, reset_is_over, state, RESET_NS_MAX) != SIM_REACHED)
		return nth_error(run, "not connected again after a reset");
	return true;
}

static bool disk_destroy(struct nth_run *run)
{
	struct pair_state *state = run->state;

	if (!nth_device_destroy(state->server, state->disk, false))
		return false;
	state->disk = NULL;
	return true;
}

static bool target_stop(struct nth_run *run)
{
	return nth_target_stop(((struct pair_state *)run->state)->server);
}

static bool server_stop(struct nth_run *run)
{
	return nth_box_stop(((struct pair_state *)run->state)->server);
}

static bool host_stop(struct nth_run *run)
{
	return nth_box_stop(((struct pair_state *)run->state)->host);
}

/* A disk that does not tell its size is taken for lost; who has it closes it and opens it anew. */
static bool disk_mend(struct nth_run *run)
{
	struct pair_state *state = run->state;
	bool is_exported = state->reservations != NULL;

	if (state->disk == NULL || !bdev_is_removed(state->disk))
		return true;
	return (!is_exported || export_destroy(run)) && disk_destroy(run) && disk_create(run) &&
	       (!is_exported || export_create(run));
}

static bool settle(struct nth_run *run)
{
	struct pair_state *state = run->state;

	if (!disk_mend(run))
		return false;
	if (nth_initiators_are_running(state->host) ||
	    sim_run(run->sim, host_is_connected, state->host, NTH_SETTLE_NS_MAX) == SIM_REACHED)
		return true;
	return nth_error(run, "the host is not connected again");
}

static void describe(struct nth_run *run, FILE *out)
{
	struct pair_state *state = run->state;
	struct target_subsystem_inspect *inspect = &state->inspect;

	if (state->server->target == NULL || nth_export_find(state->server, NAME) == NULL)
		return;
	nth_begin(state->server, state->server->reactors[0]);
	inspect->parent = &state->server->op;
	inspect->subsystem = nth_export_find(state->server, NAME);
	target_subsystem_inspect_submit(inspect);
	if (!nth_end(state->server))
		return;
	fprintf(out, "controllers %u hosts %u reservation %u registrants %u persistent %d\n",
		inspect->controller_count, inspect->host_count, inspect->reservations.type,
		inspect->reservations.registrant_count, inspect->reservations.is_persistent);
	for (uint32_t i = 0; i < inspect->host_count; i++)
		fprintf(out, "queues %u\n", inspect->hosts[i].io_queue_count);
}

static const struct nth_step steps[] = {
	{"start the server", server_start, 0},
	{"start the host", host_start, 0},
	{"open the disk", disk_create, 0},
	{"start the target", target_start, 0},
	{"export", export_create, 0},
	{"connect", host_connect, 0},
	{"open a channel", channel_open, 0},
	{"I/O", io, 0},
	{"open a second channel", channel_open, 1},
	{"I/O by the second", io, 1},
	{"abort", abort_command, 0},
	{"register", reservation_register, 0},
	{"reserve", reservation_acquire, 0},
	{"pause and resume", pause_and_resume, 0},
	{"make it non-optimized", access_change, TARGET_ANA_NON_OPTIMIZED},
	{"make it optimized", access_change, TARGET_ANA_OPTIMIZED},
	{"allow two hosts", hosts_change, 2},
	{"reset", reset, 0},
	{"read back after the reset", read_back, 1},
	{"give the reservation back", reservation_give, 0},
	{"allow any host", hosts_change, 0},
	{"close the second channel", channel_close, 1},
	{"close the channel", channel_close, 0},
	{"disconnect", host_disconnect, 0},
	{"connect with digests", host_connect, 1},
	{"open a channel with digests", channel_open, 0},
	{"read back with digests", read_back, 0},
	{"I/O with digests", io, 0},
	{"close the channel with digests", channel_close, 0},
	{"disconnect again", host_disconnect, 0},
	{"remove the export", export_destroy, 0},
	{"export again", export_create, 0},
	{"remove it again", export_destroy, 0},
	{"stop the target", target_stop, 0},
	{"close the disk", disk_destroy, 0},
	{"stop the host", host_stop, 0},
	{"stop the server", server_stop, 0},
};

const struct nth_scenario nth_pair_scenario = {
	.name = "pair",
	.state_bytes = sizeof(struct pair_state),
	.begin = begin,
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.settle = settle,
	.describe = describe,
	.points_min = 400,
};
