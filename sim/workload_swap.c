/* SPDX-License-Identifier: Apache-2.0 */
/* workload_swap.c - compare and write as one (fused), on few blocks that all hosts go for.
 *
 * The pair goes over a path of the initiator as it is: the block layer has no such operation. What
 * it compares with is what the history says may be there, so that of several hosts that try at once
 * one should win; the history sees to it that no content is swapped for two others.
 *
 * Invariant: the comparison and the write of a pair are closed at the history once each, and the
 * pair at the reservation check.
 */
#include "sim/sim_impl.h"
#include "sim/stream.h"
#include "sim/workload_impl.h"

#include <string.h>

#define REST_NS_SHORT (2 * SIM_MS)
#define SWAP_PLACES   2 /* blocks of the volume, the same for all hosts */
#define REST_NS_MAX   (400 * SIM_MS)
#define FUSED_FIRST   1
#define FUSED_SECOND  2
#define SWAP_NSID     1

static uint64_t place_draw(struct swapper *swapper)
{
	const struct workload *workload = swapper->workload;
	uint64_t number = prng_below(&swapper->prng, SWAP_PLACES);
	struct prng prng;

	stream_init(&prng, workload->options.sim->seed, "swaps", number);
	return prng_below(&prng, workload->options.block_count);
}

/* ---- a pair ---- */

static void half_send(struct swapper *swapper, enum nvme_opcode opcode, uint8_t fuse,
		      struct initiator_command *command, uint8_t *bytes)
{
	const struct nvme_rw rw = {.first_block = swapper->write_io.first_block, .block_count = 1};

	*command = (struct initiator_command){
		.parent = &swapper->op,
		.data = bytes,
		.data_bytes = swapper->workload->options.block_bytes,
	};
	nvme_rw_encode(&command->sqe, opcode, SWAP_NSID, &rw);
	command->sqe.flags |= fuse;
	op_wait(&swapper->op);
	initiator_io_submit(swapper->path, command);
}

/* Both at once: nothing comes between them on the connection. */
static void pair_send(struct swapper *swapper, struct bdev_channel *path)
{
	struct workload *workload = swapper->workload;
	struct history *history = workload->options.history;
	uint64_t now_ns = workload_now_ns(workload);

	swapper->is_busy = true;
	swapper->path = path;
	swapper->read_io = (struct history_io){.first_block = place_draw(swapper),
					       .block_count = 1,
					       .host = workload->options.host};
	swapper->write_io = swapper->read_io;
	history_read_begin(history, &swapper->read_io, now_ns);
	history_expect(history, &swapper->read_io, 0, swapper->expected);
	history_write_begin(history, &swapper->write_io, now_ns);
	swapper->read_io.sequence = swapper->write_io.sequence;
	history_stamp(history, &swapper->write_io, swapper->written);
	if (workload->options.reservations != NULL) {
		swapper->reservation =
			(struct reservation_io){.host = workload->options.host, .is_write = true};
		reservation_io_begin(workload->options.reservations, &swapper->reservation, now_ns);
	}
	sim_trace(workload->options.sim, "host swaps", workload->options.host,
		  swapper->write_io.first_block, swapper->write_io.sequence);
	half_send(swapper, NVME_COMPARE, FUSED_FIRST, &swapper->compare, swapper->expected);
	half_send(swapper, NVME_WRITE, FUSED_SECOND, &swapper->write, swapper->written);
}

enum pair_outcome {
	PAIR_SWAPPED,
	PAIR_DIFFERED, /* the comparison found something else: nothing is written */
	PAIR_REFUSED,  /* nothing is compared or written */
	PAIR_UNKNOWN,
};

static enum pair_outcome pair_outcome(const struct swapper *swapper)
{
	uint16_t first = swapper->compare.nvme_status;

	if (swapper->compare.status == IO_OK && swapper->write.status == IO_OK)
		return PAIR_SWAPPED;
	if (first == NVME_STATUS_COMPARE_FAILURE)
		return PAIR_DIFFERED;
	return first == NVME_STATUS_RESERVATION_CONFLICT ? PAIR_REFUSED : PAIR_UNKNOWN;
}

static void reservation_judge(struct swapper *swapper, enum pair_outcome outcome)
{
	static const enum reservation_verdict verdicts[] = {
		[PAIR_SWAPPED] = RESERVATION_IO_DONE,
		[PAIR_DIFFERED] = RESERVATION_IO_DONE,
		[PAIR_REFUSED] = RESERVATION_IO_REFUSED,
		[PAIR_UNKNOWN] = RESERVATION_IO_UNKNOWN,
	};
	const struct workload *workload = swapper->workload;

	if (workload->options.reservations != NULL)
		reservation_io_done(workload->options.reservations, &swapper->reservation,
				    verdicts[outcome], workload_now_ns(workload));
}

/* Return: is everything as it may be? */
static bool history_judge(struct swapper *swapper, enum pair_outcome outcome,
			  char ret_error[HISTORY_ERROR_BYTES])
{
	struct history *history = swapper->workload->options.history;
	uint64_t now_ns = workload_now_ns(swapper->workload);
	bool is_right = true;

	if (outcome == PAIR_SWAPPED) {
		is_right = history_swap_check(history, &swapper->write_io, swapper->expected,
					      ret_error) &&
			   history_read_done(history, &swapper->read_io, now_ns, swapper->expected,
					     ret_error);
		history_write_done(history, &swapper->write_io, now_ns, false);
		return is_right;
	}
	if (outcome == PAIR_DIFFERED)
		is_right = history_compare_differed(history, &swapper->read_io, swapper->expected,
						    ret_error);
	else
		history_read_failed(history, &swapper->read_io);
	if (outcome == PAIR_UNKNOWN) {
		history_write_unknown(history, &swapper->write_io, now_ns);
	} else if (!history_write_refused(history, &swapper->write_io, now_ns)) {
		snprintf(ret_error, HISTORY_ERROR_BYTES, "nothing was swapped, and a read saw it");
		is_right = false;
	} else if (swapper->write.status == IO_OK) {
		snprintf(ret_error, HISTORY_ERROR_BYTES,
			 "its comparison failed, and its write was answered OK");
		is_right = false;
	}
	return is_right;
}

static void pair_end(struct swapper *swapper, enum pair_outcome outcome)
{
	struct workload *workload = swapper->workload;
	const struct block_range range = {swapper->write_io.first_block, 1};
	char error[HISTORY_ERROR_BYTES];

	ASSERT(swapper->is_busy);
	swapper->is_busy = false;
	sim_trace(workload->options.sim, "host swapped", workload->options.host, outcome,
		  swapper->write_io.sequence);
	workload->stats.swaps += outcome == PAIR_SWAPPED;
	reservation_judge(swapper, outcome);
	if (!history_judge(swapper, outcome, error))
		workload_complain(workload, "swap", range, swapper->write_io.begun_ns, error);
}

/* ---- running ---- */

static struct bdev_channel *path_draw(struct swapper *swapper)
{
	struct bdev_channel *const *paths = swapper->workload->paths;
	uint64_t path = prng_below(&swapper->prng, WORKLOAD_PATHS_MAX);

	return paths[path] != NULL ? paths[path] : paths[1 - path];
}

/* Mostly short, so that hosts meet. */
static uint64_t rest_draw_ns(struct swapper *swapper)
{
	uint64_t pace_ns = swapper->workload->pace_ns;
	uint64_t rest_ns = prng_chance(&swapper->prng, 3, 4) ? REST_NS_SHORT : REST_NS_MAX;

	return stream_draw(&swapper->prng, 0, pace_ns > rest_ns ? pace_ns : rest_ns);
}

static void swapper_run(struct op *op)
{
	struct swapper *swapper = container_of(op, struct swapper, op);
	struct workload *workload = swapper->workload;

	if (swapper->is_busy) {
		pair_end(swapper, pair_outcome(swapper));
		reactor_timer_start(&swapper->timer, rest_draw_ns(swapper));
		return;
	}
	if (workload->is_stopped)
		return;
	pair_send(swapper, path_draw(swapper));
	if (op_join(op) == OP_NEXT)
		op_wake(op);
}

static void swapper_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct swapper, timer)->op);
}

void swapper_start(struct workload *workload)
{
	struct swapper *swapper = &workload->swapper;

	ASSERT(workload->channel != NULL && !swapper->is_started);
	if (!workload->options.mix.has_swaps ||
	    (workload->paths[0] == NULL && workload->paths[1] == NULL))
		return;
	swapper->is_started = true;
	op_init(&swapper->op, reactor_ready(workload->channel->reactor), swapper_run);
	reactor_timer_init(&swapper->timer, workload->channel->reactor, swapper_rested);
	op_wake(&swapper->op);
}

void swapper_wake(struct workload *workload)
{
	struct swapper *swapper = &workload->swapper;

	if (!swapper->is_started || swapper->is_busy)
		return;
	reactor_timer_stop(&swapper->timer);
	op_wake(&swapper->op);
}

void swapper_end(struct workload *workload)
{
	struct swapper *swapper = &workload->swapper;

	ASSERT(!swapper->is_busy);
	if (swapper->is_started) {
		reactor_timer_stop(&swapper->timer);
		op_unwake(&swapper->op);
	}
	swapper->is_started = false;
}

void swapper_crashed(struct workload *workload)
{
	if (workload->swapper.is_busy)
		pair_end(&workload->swapper, PAIR_UNKNOWN);
	workload->swapper.is_started = false;
}
