/* SPDX-License-Identifier: Apache-2.0 */
/* io.c - I/O commands: checked on arrival, let in, kept off each other, given to the bdev.
 *
 *	BEGIN -> ADMIT -> RANGE -> LOCK -> CHECK -> COMPARE* -> SUBMIT* -> UNLOCK -> RANGE ... ->
 *END
 *
 * Most commands pass each step once. Dataset management comes back to RANGE for each of its
 * ranges; zeroes and comparisons that the bdev cannot do itself go in pieces through the spare
 * room of the command's own buffer, so that nobody who holds a buffer ever waits for another.
 *
 * Compare and write (fused): the first half parks when its data is there, and the second half does
 * both under one exclusive lock. All changes of blocks hold a shared lock for that reason; while
 * nobody compares, that costs one list insertion.
 *
 * Invariants:
 *  1. Reservation, ANA state and association are checked after the last wait before the bdev is
 *     touched: what was not submitted when they change never is.
 *  2. A range is within the namespace, computed without overflow, before anything is done.
 *  3. A command is on the subsystem's books (inflight) from ADMIT to END; pauses, fences and ghost
 *     checks count on it.
 *  4. The first half's buffer outlives the second half's use of it.
 */
#include "target/target_parts_impl.h"

#include "base/planted.h"

#include <string.h>

enum io_step {
	IO_STEP_BEGIN,
	IO_STEP_ADMIT, /* not while the subsystem is paused */
	IO_STEP_RANGE, /* the next range, if there is one more */
	IO_STEP_LOCK,
	IO_STEP_CHECK,	 /* may it still? */
	IO_STEP_COMPARE, /* one piece */
	IO_STEP_COMPARED,
	IO_STEP_SUBMIT, /* one piece */
	IO_STEP_JUDGE,
	IO_STEP_UNLOCK,
	IO_STEP_END,
	IO_STEP_LAST, /* second half: behind the first half's answer */
};

STATIC_ASSERT(LARGE_BUFFER_BYTES - IO_BYTES_MAX >= BLOCK_BYTES_MAX);

static struct target_subsystem *command_subsystem(const struct command *command)
{
	return command->connection->subsystem;
}

/* ---- on arrival ---- */

static uint16_t plan_blocks(struct command *command, uint32_t data_bytes)
{
	const struct bdev *bdev = command_subsystem(command)->bdev;
	struct nvme_rw rw;
	uint16_t status;
	uint64_t bytes;

	ASSERT(command->connection->qid != 0);
	ASSERT(command_subsystem(command)->bdev->block_bytes <= BLOCK_BYTES_MAX);
	status = nvme_rw_decode(&command->sqe, bdev->block_count, &rw);
	if (status != NVME_STATUS_SUCCESS)
		return status;
	/* Flags between engines come with the pools' snapshots; a read must not ignore them. */
	if (rw.is_unwritten_fail || rw.is_unwritten_self_fail)
		return NVME_STATUS_INVALID_FIELD;
	bytes = (uint64_t)rw.block_count * bdev->block_bytes;
	command->range = (struct block_range){.first = rw.first_block, .count = rw.block_count};
	command->is_fua = rw.is_fua || command->connection->controller->is_write_through;
	if (command->io_type == IO_WRITE_ZEROES) {
		if (!bdev->can_write_zeroes)
			command->scratch_bytes =
				bytes < IO_BYTES_MAX ? (uint32_t)bytes : IO_BYTES_MAX;
		return NVME_STATUS_SUCCESS;
	}
	if (bytes > IO_BYTES_MAX)
		return NVME_STATUS_INVALID_FIELD; /* MDTS */
	if (bytes != data_bytes)
		return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
	if (command->io_type == IO_COMPARE && !bdev->can_compare)
		command->scratch_bytes = BLOCK_BYTES_MAX;
	return NVME_STATUS_SUCCESS;
}

static uint16_t plan_deallocate(struct command *command, uint32_t data_bytes)
{
	struct nvme_dsm dsm = nvme_dsm_decode(&command->sqe);

	ASSERT(command->connection->qid != 0);
	ASSERT(command->io_type == IO_UNMAP);
	command->range_count = dsm.is_deallocate ? dsm.range_count : 0;
	/* Hosts send a full-size list and say how much of it counts. */
	if (data_bytes < dsm.range_count * sizeof(struct nvme_dsm_range) ||
	    data_bytes > DSM_RANGES_MAX * sizeof(struct nvme_dsm_range))
		return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
	return NVME_STATUS_SUCCESS;
}

/* Sets io_type and is_write. Return: false for an opcode that is not one of these. */
static bool plan_type(struct command *command)
{
	static const struct {
		uint8_t opcode;
		enum io_type type;
		bool is_write;
	} types[] = {
		{NVME_READ, IO_READ, false},
		{NVME_WRITE, IO_WRITE, true},
		{NVME_FLUSH, IO_FLUSH, false},
		{NVME_COMPARE, IO_COMPARE, false},
		{NVME_WRITE_ZEROES, IO_WRITE_ZEROES, true},
		{NVME_DATASET_MANAGEMENT, IO_UNMAP, true},
	};

	ASSERT(command->connection->qid != 0);
	ASSERT(command->connection->controller != NULL);
	for (uint32_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].opcode != command->sqe.opcode)
			continue;
		command->io_type = types[i].type;
		command->is_write = types[i].is_write;
		return true;
	}
	return false;
}

uint16_t io_plan(struct command *command, uint32_t data_bytes)
{
	uint32_t nsid = le32_load(command->sqe.nsid);
	uint8_t opcode = command->sqe.opcode;
	bool is_reservation =
		nvme_reservation_data_bytes(opcode) > 0 || opcode == NVME_RESERVATION_REPORT;

	ASSERT(command->connection != NULL);
	ASSERT(command->connection->qid != 0);
	if (!controller_is_enabled(command->connection->controller))
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR;
	if (!is_reservation && !plan_type(command))
		return NVME_STATUS_INVALID_OPCODE;
	if (nsid != NAMESPACE_ID && !(nsid == NVME_NSID_ALL && opcode == NVME_FLUSH))
		return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT;
	if (opcode == NVME_RESERVATION_REPORT)
		return NVME_STATUS_SUCCESS;
	if (is_reservation)
		return data_bytes == nvme_reservation_data_bytes(opcode)
			       ? NVME_STATUS_SUCCESS
			       : NVME_STATUS_SGL_DATA_LENGTH_INVALID;
	command->range_count = 1;
	command->is_fua = false;
	command->range = (struct block_range){0};
	if (command->io_type == IO_FLUSH)
		return NVME_STATUS_SUCCESS;
	if (command->io_type == IO_UNMAP)
		return plan_deallocate(command, data_bytes);
	return plan_blocks(command, data_bytes);
}

/* A half that has its data and waits for the other. */
static bool half_is_ready(const struct command *half)
{
	ASSERT(half->connection->qid != 0);
	ASSERT(half->connection->subsystem != NULL);
	return half->step == COMMAND_EXECUTE && half->execute_step == IO_STEP_BEGIN &&
	       half->is_parked && !half->is_awaiting_data && !half->is_receiving;
}

static void fuse_break(struct command *first)
{
	struct connection *connection = first->connection;

	ASSERT(first->connection->qid != 0);
	ASSERT(connection->fused_first == first);
	connection->fused_first = NULL;
	first->is_missing_fused = true;
	if (half_is_ready(first))
		command_unpark(first);
}

static uint16_t fuse_pair(struct command *first, struct command *second)
{
	ASSERT(first == NULL || first->connection == second->connection);
	ASSERT(second->fused == NULL);
	if (first == NULL)
		return NVME_STATUS_ABORTED_MISSING_FUSED;
	if (first->io_type != IO_COMPARE || second->sqe.opcode != NVME_WRITE ||
	    first->range.first != second->range.first ||
	    first->range.count != second->range.count) {
		fuse_break(first);
		return NVME_STATUS_INVALID_FIELD;
	}
	first->connection->fused_first = NULL;
	first->fused = second;
	second->fused = first;
	return NVME_STATUS_SUCCESS;
}

uint16_t io_fuse(struct command *command, uint16_t status)
{
	struct connection *connection = command->connection;
	struct command *first = connection->fused_first;
	uint8_t fuse = command->sqe.flags & NVME_SQE_FUSE_MASK;

	ASSERT(command->connection != NULL);
	ASSERT(first == NULL || first->fused == NULL);
	if (fuse != 2 || status != NVME_STATUS_SUCCESS) {
		if (first != NULL)
			fuse_break(first);
	}
	if (fuse == 0 || status != NVME_STATUS_SUCCESS)
		return status;
	if (connection->qid == 0 || command->sqe.opcode == NVMF_OPCODE || fuse == 3)
		return NVME_STATUS_INVALID_FIELD;
	if (fuse == 2)
		return fuse_pair(first, command);
	if (command->sqe.opcode != NVME_COMPARE)
		return NVME_STATUS_INVALID_FIELD;
	connection->fused_first = command;
	return NVME_STATUS_SUCCESS;
}

void io_part(struct command *command)
{
	struct command *other = command->fused;

	ASSERT(command->connection != NULL);
	ASSERT(!command->is_fused_running);
	if (command->connection->fused_first == command)
		command->connection->fused_first = NULL;
	if (other == NULL)
		return;
	command->fused = NULL;
	other->fused = NULL;
	other->is_missing_fused = true;
	if (half_is_ready(other))
		command_unpark(other);
}

/* ---- steps ---- */

static bool command_has_failed(const struct command *command)
{
	ASSERT(command->connection != NULL);
	return command->status.status != NVME_STATUS_SUCCESS;
}

/* The first half waits for the second to do the work of both. */
static enum op_flow io_begin_first(struct command *first)
{
	struct command *second = first->fused;

	ASSERT(first->connection->qid != 0);
	ASSERT(first->step == COMMAND_EXECUTE);
	if (first->is_fused_done)
		return OP_NEXT;
	if (second == NULL &&
	    (first->is_missing_fused || connection_is_ending(first->connection))) {
		if (!command_has_failed(first))
			command_fail(first, NVME_STATUS_ABORTED_MISSING_FUSED);
		return OP_NEXT;
	}
	if (second != NULL && half_is_ready(second))
		command_unpark(second);
	command_park(first, NULL);
	return OP_WAIT;
}

/* The second half waits until the first one has its data. */
static enum op_flow io_begin_second(struct command *second)
{
	struct command *first = second->fused;

	ASSERT(second->connection->qid != 0);
	ASSERT(!second->is_fused_running);
	if (first == NULL) {
		if (!command_has_failed(second))
			command_fail(second, NVME_STATUS_ABORTED_FAILED_FUSED);
		return OP_NEXT;
	}
	if (!half_is_ready(first) && !connection_is_ending(second->connection)) {
		command_park(second, NULL);
		return OP_WAIT;
	}
	if (command_has_failed(first) && !command_has_failed(second))
		command_fail(second, NVME_STATUS_ABORTED_FAILED_FUSED);
	second->is_fused_running = true;
	return OP_NEXT;
}

static bool command_is_first_half(const struct command *command)
{
	ASSERT(command->connection->qid != 0);
	return (command->sqe.flags & NVME_SQE_FUSE_MASK) == 1;
}

/* The end of the pair: the first half is answered before the second. */
static void io_end_pair(struct command *second)
{
	struct command *first = second->fused;

	ASSERT(second->connection->qid != 0);
	ASSERT(first->fused == second);
	if (command_has_failed(second) && !command_has_failed(first)) {
		/* A comparison that failed is the first half's outcome. */
		first->status = second->status;
		command_fail(second, NVME_STATUS_ABORTED_FAILED_FUSED);
	}
	second->fused = NULL;
	first->fused = NULL;
	first->is_fused_done = true;
	second->is_fused_running = false;
}

static enum op_flow io_begin(struct command *command)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->connection->qid != 0);
	if (command_is_first_half(command))
		return io_begin_first(command);
	if ((command->sqe.flags & NVME_SQE_FUSE_MASK) == 2)
		return io_begin_second(command);
	return OP_NEXT;
}

static bool io_is_ready_to_end(const struct command *command)
{
	return command_is_cancelled(command) || command_has_failed(command);
}

/* All ranges are looked at before the first is touched. */
static void io_check_ranges(struct command *command)
{
	const struct nvme_dsm_range *ranges = (const struct nvme_dsm_range *)command->data;
	uint64_t block_count = command_subsystem(command)->bdev->block_count;
	struct nvme_rw rw;

	ASSERT(command->range_count <= DSM_RANGES_MAX);
	ASSERT(command->range_count == 0 || ranges != NULL);
	for (uint32_t i = 0; i < command->range_count; i++) {
		uint16_t status = nvme_dsm_range_decode(&ranges[i], block_count, &rw);

		if (status != NVME_STATUS_SUCCESS) {
			command_fail(command, status);
			return;
		}
	}
}

/* Return: OP_WAIT when parked; it is entered again then. */
static enum op_flow io_admit(struct command *command)
{
	struct target_subsystem *subsystem = command_subsystem(command);
	const struct controller *controller = command->connection->controller;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->connection->qid != 0 && subsystem != NULL);
	/* A cancelled one may not have its data. */
	if (command->io_type == IO_UNMAP && !io_is_ready_to_end(command))
		io_check_ranges(command);
	if (io_is_ready_to_end(command))
		return OP_NEXT;
	if (subsystem->pause_count > 0) {
		command->is_abortable = command->fused == NULL;
		command_park(command, &subsystem->paused);
		return OP_WAIT;
	}
	/* A retry over another path must not be overtaken by what it repeats. */
	if (command->is_write && subsystem->ghost_writes > 0 &&
	    host_has_ghosts(subsystem, controller->host_nqn, controller->host_id.bytes)) {
		REACHED("target_write_waits_for_ghosts");
		command_park(command, &subsystem->ghost_line);
		return OP_WAIT;
	}
	subsystem_io_begin(subsystem, command);
	return OP_NEXT;
}

static enum io_step io_next_range(struct command *command)
{
	const struct bdev *bdev = command_subsystem(command)->bdev;
	const struct nvme_dsm_range *ranges = (const struct nvme_dsm_range *)command->data;
	struct nvme_rw rw;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->connection->qid != 0);
	if (!command->is_inflight || io_is_ready_to_end(command))
		return IO_STEP_END;
	while (command->range_index < command->range_count) {
		uint16_t status;

		command->range_index++;
		command->done_blocks = 0;
		if (command->io_type != IO_UNMAP)
			return IO_STEP_LOCK;
		status = nvme_dsm_range_decode(&ranges[command->range_index - 1], bdev->block_count,
					       &rw);
		if (status != NVME_STATUS_SUCCESS) {
			command_fail(command, status);
			return IO_STEP_END;
		}
		command->range =
			(struct block_range){.first = rw.first_block, .count = rw.block_count};
		if (rw.block_count > 0 && bdev->can_unmap)
			return IO_STEP_LOCK;
	}
	return IO_STEP_END;
}

static bool io_needs_compare(const struct command *command)
{
	return command->io_type == IO_COMPARE || command->is_fused_running;
}

static enum op_flow io_lock(struct command *command)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(!command->is_locked);
	if (!command->is_write && !io_needs_compare(command))
		return OP_NEXT;
	command->lock = (struct range_lock){.parent = &command->op,
					    .range = command->range,
					    .is_exclusive = io_needs_compare(command)};
	command->is_locked = true;
	range_lock(&command_subsystem(command)->locks, &command->lock);
	return op_join(&command->op);
}

static enum io_step io_check(struct command *command)
{
	struct target_subsystem *subsystem = command_subsystem(command);
	uint16_t status;

	ASSERT(command->is_inflight);
	ASSERT(command->step == COMMAND_EXECUTE);
	REACHED_IF(command_is_cancelled(command), "target_io_cancelled_behind_its_lock");
	if (command_is_cancelled(command))
		return IO_STEP_UNLOCK;
	status = status_from_ana(subsystem->ana_state);
	if (status == NVME_STATUS_SUCCESS)
		status = reservation_check(command);
	if (status == NVME_STATUS_SUCCESS && command->fused != NULL)
		status = reservation_check(command->fused);
	if (status == NVME_STATUS_SUCCESS && subsystem->channel == NULL)
		status = status_from_io(IO_DEVICE_GONE, command->is_write);
	/* The bdev may have shrunk since the command was planned. */
	if (status == NVME_STATUS_SUCCESS && command->io_type != IO_FLUSH &&
	    !block_range_is_within(command->range, subsystem->bdev->block_count))
		status = NVME_STATUS_LBA_OUT_OF_RANGE;
	if (status != NVME_STATUS_SUCCESS) {
		command_fail(command, status);
		return IO_STEP_UNLOCK;
	}
	return io_needs_compare(command) ? IO_STEP_COMPARE : IO_STEP_SUBMIT;
}

/* The command whose data is compared: itself, or its first half. */
static struct command *compare_subject(struct command *command)
{
	ASSERT(command->connection->qid != 0);
	ASSERT(!command->is_fused_running || command->fused != NULL);
	return command->is_fused_running ? command->fused : command;
}

static enum op_flow io_submit_piece(struct command *command, enum io_type type, uint8_t *bytes,
				    uint64_t blocks)
{
	struct target_subsystem *subsystem = command_subsystem(command);
	struct bdev_io *io = &command->io;

	ASSERT(command->is_inflight);
	ASSERT(blocks <= command->range.count - command->done_blocks || type == IO_FLUSH);
	command->piece_blocks = (uint32_t)blocks;
	io->parent = &command->op;
	io->type = type;
	io->is_fua = command->is_fua && (type == IO_WRITE || type == IO_WRITE_ZEROES) &&
		     !PLANTED(TARGET_FUA_DROPPED);
	io->range = (struct block_range){.first = command->range.first + command->done_blocks,
					 .count = blocks};
	io->iov = NULL;
	io->iov_count = 0;
	if (bytes != NULL) {
		command->iov = (struct iovec){.iov_base = bytes,
					      .iov_len = blocks * subsystem->bdev->block_bytes};
		io->iov = &command->iov;
		io->iov_count = 1;
	}
	op_wait(&command->op);
	bdev_submit(subsystem->channel, io);
	return op_join(&command->op);
}

/* Natively in one go, else a piece is read behind the data, as much as there is room. */
static enum op_flow io_compare(struct command *command)
{
	const struct bdev *bdev = command_subsystem(command)->bdev;
	struct command *subject = compare_subject(command);
	uint64_t left = command->range.count - command->done_blocks;
	uint64_t room;

	ASSERT(subject->data != NULL && subject->data_bytes > 0);
	ASSERT(command->done_blocks < command->range.count);
	if (bdev->can_compare)
		return io_submit_piece(command, IO_COMPARE, subject->data, left);
	room = (subject->buffer->size_bytes - subject->data_bytes) / bdev->block_bytes;
	ASSERT(room > 0);
	return io_submit_piece(command, IO_READ, subject->data + subject->data_bytes,
			       room < left ? room : left);
}

static enum io_step io_compared(struct command *command)
{
	const struct bdev *bdev = command_subsystem(command)->bdev;
	struct command *subject = compare_subject(command);
	uint64_t offset = command->done_blocks * bdev->block_bytes;
	uint64_t bytes = (uint64_t)command->piece_blocks * bdev->block_bytes;

	ASSERT(command->is_inflight);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (command->io.status != IO_OK) {
		command_fail(command, status_from_io(command->io.status, false));
		return IO_STEP_UNLOCK;
	}
	if (!bdev->can_compare &&
	    memcmp(subject->data + offset, subject->data + subject->data_bytes, bytes) != 0) {
		command_fail(command, NVME_STATUS_COMPARE_FAILURE);
		return IO_STEP_UNLOCK;
	}
	command->done_blocks += command->piece_blocks;
	if (command->done_blocks < command->range.count)
		return IO_STEP_COMPARE;
	command->done_blocks = 0;
	return command->is_fused_running ? IO_STEP_SUBMIT : IO_STEP_UNLOCK;
}

static enum op_flow io_submit(struct command *command)
{
	const struct bdev *bdev = command_subsystem(command)->bdev;
	uint64_t left = command->range.count - command->done_blocks;
	uint64_t room;

	ASSERT(command->is_inflight);
	ASSERT(command->step == COMMAND_EXECUTE);
	switch (command->io_type) {
	case IO_READ:
	case IO_WRITE:
		return io_submit_piece(command, command->io_type, command->data, left);
	case IO_WRITE_ZEROES:
		if (bdev->can_write_zeroes || command->scratch_bytes == 0)
			break;
		memset(command->data, 0, command->scratch_bytes);
		room = command->scratch_bytes / bdev->block_bytes;
		return io_submit_piece(command, IO_WRITE, command->data, room < left ? room : left);
	case IO_FLUSH:
	case IO_UNMAP:
	case IO_COMPARE:
		break;
	}
	return io_submit_piece(command, command->io_type, NULL, left);
}

static void io_count(const struct command *command)
{
	struct controller *controller = command->connection->controller;
	uint64_t bytes = command->data_bytes;

	ASSERT(command->is_inflight);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (command->io_type == IO_READ) {
		controller->reads++;
		controller->read_bytes += bytes;
	} else if (command->io_type == IO_WRITE) {
		controller->writes++;
		controller->written_bytes += bytes;
	}
}

static enum io_step io_judge(struct command *command)
{
	ASSERT(command->is_inflight);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (PLANTED(WRITE_ERROR_ANSWERED_OK) && command->io_type == IO_WRITE)
		command->io.status = IO_OK;
	if (command->io.status != IO_OK) {
		REACHED("target_io_failed");
		command_fail(command, status_from_io(command->io.status, command->is_write));
		return IO_STEP_UNLOCK;
	}
	command->done_blocks += command->piece_blocks;
	if (command->done_blocks < command->range.count)
		return IO_STEP_SUBMIT;
	io_count(command);
	return IO_STEP_UNLOCK;
}

static void io_unlock(struct command *command)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(!command->is_locked || command->is_inflight);
	ASSERT(command->connection->qid != 0);
	if (!command->is_locked)
		return;
	command->is_locked = false;
	range_unlock(&command_subsystem(command)->locks, &command->lock);
}

/* Return: OP_WAIT for a second half, which is entered again behind its first half. */
static enum op_flow io_end(struct command *command)
{
	struct command *first = command->fused;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(!command->is_locked);
	if (command->is_inflight)
		subsystem_io_end(command_subsystem(command), command);
	if (first == NULL)
		return OP_NEXT;
	io_end_pair(command);
	if (half_is_ready(first))
		command_unpark(first);
	op_wake(&command->op);
	return OP_WAIT;
}

enum op_flow io_execute(struct command *command)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->connection->qid != 0);
	for (;;) {
		switch ((enum io_step)command->execute_step) {
		case IO_STEP_BEGIN:
			if (io_begin(command) == OP_WAIT)
				return OP_WAIT;
			command->execute_step =
				command_is_first_half(command) ? IO_STEP_END : IO_STEP_ADMIT;
			break;
		case IO_STEP_ADMIT:
			if (io_admit(command) == OP_WAIT)
				return OP_WAIT;
			command->execute_step = IO_STEP_RANGE;
			break;
		case IO_STEP_RANGE:
			command->execute_step = io_next_range(command);
			break;
		case IO_STEP_LOCK:
			command->execute_step = IO_STEP_CHECK;
			if (io_lock(command) == OP_WAIT)
				return OP_WAIT;
			break;
		case IO_STEP_CHECK:
			command->execute_step = io_check(command);
			break;
		case IO_STEP_COMPARE:
			command->execute_step = IO_STEP_COMPARED;
			if (io_compare(command) == OP_WAIT)
				return OP_WAIT;
			break;
		case IO_STEP_COMPARED:
			command->execute_step = io_compared(command);
			break;
		case IO_STEP_SUBMIT:
			command->execute_step = IO_STEP_JUDGE;
			if (io_submit(command) == OP_WAIT)
				return OP_WAIT;
			break;
		case IO_STEP_JUDGE:
			command->execute_step = io_judge(command);
			break;
		case IO_STEP_UNLOCK:
			io_unlock(command);
			command->execute_step = IO_STEP_RANGE;
			break;
		case IO_STEP_END:
			command->execute_step = IO_STEP_LAST;
			if (io_end(command) == OP_WAIT)
				return OP_WAIT;
			break;
		case IO_STEP_LAST:
			return OP_NEXT;
		}
	}
}
