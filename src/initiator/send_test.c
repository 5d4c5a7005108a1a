/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an I/O is answered only after the send batch that refers to its memory is done, however
 * early the controller answers or the connection ends.
 * Method: os_socket_send() and os_socket_abort() are wrapped. The bytes leave at once, so the
 * controller can answer, but the test decides when the initiator learns that they have left, as on
 * a system that takes its time to give the memory back.
 */
#include "initiator/test_bench.h"

#define SPLIT_COUNT 4 /* writes whose data PDUs need more iovecs than one batch has */
#define SPLIT_BYTES (IO_IOV_COUNT_MAX * FAKE_BLOCK_BYTES)

STATIC_ASSERT(SPLIT_COUNT *(IO_IOV_COUNT_MAX + 1) > SEND_IOV_COUNT);
STATIC_ASSERT((SPLIT_COUNT - 1) * (IO_IOV_COUNT_MAX + 1) < SEND_IOV_COUNT);

static struct {
	struct os_socket *socket; /* whose sends are held; NULL: none */
	struct op op;		  /* stands in for the initiator's */
	struct op *parent;	  /* of the send that is held; NULL: none is */
	uint32_t send_count;
	bool is_closing;
	struct op *close_parent;
} hold;

static uint16_t kept_cids[SPLIT_COUNT];
static uint32_t kept_count;

void __wrap_os_socket_send(struct os_socket *socket, struct os_send *send);
void __real_os_socket_send(struct os_socket *socket, struct os_send *send);
void __wrap_os_socket_abort(struct os_socket *socket, struct op *parent);
void __real_os_socket_abort(struct os_socket *socket, struct op *parent);

void __wrap_os_socket_send(struct os_socket *socket, struct os_send *send)
{
	if (hold.socket == socket) {
		ASSERT(hold.parent == NULL); /* one at a time */
		hold.parent = send->parent;
		hold.send_count++;
		send->parent = &hold.op;
		op_wait(&hold.op);
	}
	__real_os_socket_send(socket, send);
}

void __wrap_os_socket_abort(struct os_socket *socket, struct op *parent)
{
	if (hold.socket == socket && hold.parent != NULL) {
		hold.is_closing = true;
		hold.close_parent = parent;
		return;
	}
	__real_os_socket_abort(socket, parent);
}

static void hold_start(struct bench *bench)
{
	struct initiator_queue *queue = bench->channel->driver;

	hold.send_count = 0;
	hold.is_closing = false;
	op_init(&hold.op, reactor_ready(bench->reactor), bench_op_run);
	bench_until(bench, queue_is_live(queue));
	hold.socket = queue->socket;
}

/* The initiator learns that its batch has left. */
static void hold_release(struct bench *bench)
{
	struct op *parent = hold.parent;

	bench_until(bench, hold.op.pending == 0);
	hold.parent = NULL;
	op_done(parent);
}

static uint32_t answered_count(const struct initiator_queue *queue)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < queue->slot_count; i++)
		count += queue->slots[i].state == SLOT_ANSWERED;
	return count;
}

static void response_waits_for_the_batch(struct bench *bench, enum io_type type, uint32_t bytes)
{
	struct initiator_queue *queue;
	uint8_t *data = calloc(1, bytes);
	struct bench_io io;

	bench_open(bench, "");
	queue = bench->channel->driver;
	hold_start(bench);
	bench_submit(bench, &io, type, (struct block_range){8, bytes / FAKE_BLOCK_BYTES},
		     (struct iovec){data, bytes});
	bench_until(bench, io.op.pending == 0 || answered_count(queue) == 1);
	bench_turn(bench, 20);
	assert_int_equal(io.op.pending, 1);
	assert_int_equal(hold.send_count, 1);
	assert_int_equal(queue->free_count, queue->slot_count - 1);
	hold.socket = NULL;
	hold_release(bench);
	assert_int_equal(bench_wait(bench, &io), IO_OK);
	assert_int_equal(queue->free_count, queue->slot_count);
	free(data); /* from here on nobody may look at it */
	bench_turn(bench, 20);
}

static void write_is_answered_only_after_its_batch_is_done(void **state)
{
	response_waits_for_the_batch(*state, IO_WRITE, 4096);
}

static void read_is_answered_only_after_its_batch_is_done(void **state)
{
	response_waits_for_the_batch(*state, IO_READ, 65536);
}

static bool keep_hook(struct fake_connection *connection, const struct nvme_sqe *sqe,
		      const uint8_t *data, uint32_t data_bytes)
{
	(void)data;
	(void)data_bytes;
	if (connection->qid == 0 || sqe->opcode != NVME_WRITE)
		return false;
	assert_true(kept_count < SPLIT_COUNT);
	kept_cids[kept_count++] = le16_load(sqe->cid);
	return true;
}

static void split_submit(struct bench *bench, struct bench_io *io, uint8_t *data)
{
	memset(&io->io, 0, sizeof(io->io));
	op_init(&io->op, reactor_ready(bench->reactor), bench_op_run);
	for (uint32_t i = 0; i < IO_IOV_COUNT_MAX; i++)
		io->iov[i] = (struct iovec){data + i * FAKE_BLOCK_BYTES, FAKE_BLOCK_BYTES};
	io->io.parent = &io->op;
	io->io.type = IO_WRITE;
	io->io.range = (struct block_range){0, IO_IOV_COUNT_MAX};
	io->io.iov = io->iov;
	io->io.iov_count = IO_IOV_COUNT_MAX;
	op_wait(&io->op);
	bdev_submit(bench->channel, &io->io);
}

/* The last write's data PDU has begun in one batch and ends in the next. */
static void split_write_refused_midway_is_answered_after_its_last_batch(void **state)
{
	struct bench *bench = *state;
	struct initiator_queue *queue;
	struct fake_connection *connection;
	struct bench_io io[SPLIT_COUNT];
	uint8_t *data = calloc(1, SPLIT_BYTES);
	uint32_t last = SPLIT_COUNT - 1;

	kept_count = 0;
	bench->fake->hook = keep_hook;
	bench_open(bench, "");
	queue = bench->channel->driver;
	bench_until(bench, queue_is_live(queue));
	for (uint32_t i = 0; i < SPLIT_COUNT; i++)
		split_submit(bench, &io[i], data);
	bench_until(bench, kept_count == SPLIT_COUNT && queue->send.step == SEND_COLLECT);
	hold_start(bench);
	connection = fake_io_connection(bench->fake);
	connection->is_holding = true;
	for (uint32_t i = 0; i < SPLIT_COUNT; i++)
		fake_send_r2t(connection, kept_cids[i], 0, SPLIT_BYTES);
	fake_release(connection);
	bench_until(bench, hold.parent != NULL);
	assert_non_null(queue->send.current);
	assert_int_equal(queue->send.current->cid, kept_cids[last]);
	fake_respond(connection, kept_cids[last], NVME_STATUS_INTERNAL_ERROR, 0);
	bench_until(bench, io[last].op.pending == 0 || answered_count(queue) == 1);
	assert_int_equal(io[last].op.pending, 1);
	hold_release(bench);
	bench_until(bench, io[last].op.pending == 0 || hold.send_count == 2);
	bench_turn(bench, 20);
	assert_int_equal(io[last].op.pending, 1);
	hold.socket = NULL;
	hold_release(bench);
	assert_int_equal(bench_wait(bench, &io[last]), IO_INTERNAL_ERROR);
	for (uint32_t i = 0; i < last; i++) {
		fake_respond(connection, kept_cids[i], 0, 0);
		assert_int_equal(bench_wait(bench, &io[i]), IO_OK);
	}
	free(data);
	bench_turn(bench, 20);
}

/* The response is here, the connection ends, and the system still has the batch. */
static void lost_write_is_answered_only_after_the_socket_is_closed(void **state)
{
	struct bench *bench = *state;
	struct initiator_queue *queue;
	struct os_socket *socket;
	uint8_t *data = calloc(1, 4096);
	struct bench_io io;

	kept_count = 0;
	bench->fake->hook = keep_hook;
	bench_open(bench, "");
	queue = bench->channel->driver;
	hold_start(bench);
	bench_submit(bench, &io, IO_WRITE, (struct block_range){0, 8}, (struct iovec){data, 4096});
	bench_until(bench, kept_count == 1);
	fake_drop(bench->fake);
	bench_until(bench, io.op.pending == 0 || hold.is_closing);
	bench_turn(bench, 20);
	assert_int_equal(io.op.pending, 1);
	assert_int_not_equal(queue->step, QUEUE_IDLE);
	socket = hold.socket;
	hold.socket = NULL;
	hold_release(bench);
	__real_os_socket_abort(socket, hold.close_parent);
	assert_int_equal(bench_wait(bench, &io), IO_DEVICE_GONE);
	free(data);
	bench_turn(bench, 20);
}

/* A test that fails may leave something held, for which the teardown would wait. */
static int hold_teardown(void **state)
{
	struct bench *bench = *state;
	struct os_socket *socket = hold.socket;

	hold.socket = NULL;
	if (hold.parent != NULL)
		hold_release(bench);
	if (hold.is_closing && socket != NULL)
		__real_os_socket_abort(socket, hold.close_parent);
	return bench_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, hold_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_is_answered_only_after_its_batch_is_done),
		TEST(read_is_answered_only_after_its_batch_is_done),
		TEST(split_write_refused_midway_is_answered_after_its_last_batch),
		TEST(lost_write_is_answered_only_after_the_socket_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
