/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds any byte stream to a queue pair with commands in flight, as if its controller sent it.
 *
 * The socket is replaced by wrapped calls: what is sent vanishes, what is received is the input, in
 * pieces whose sizes the input chooses. The stream begins after the handshake (first byte:
 * digests). Whatever it says, every command is answered once, and the sanitizers watch their
 * memory, which has exactly the size of its data.
 */
#include "initiator/queue_impl.h"

#include <errno.h>
#include <stdlib.h>

#define COMMAND_COUNT 6
#define DATA_BYTES    4096

static struct {
	const uint8_t *bytes;
	size_t size_bytes;
	uint32_t piece_bytes;
	bool is_closed;
} input;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int __lsan_is_turned_off(void);
ssize_t __wrap_os_socket_peek(struct os_socket *socket, const uint8_t **ret_bytes);
void __wrap_os_socket_consume(struct os_socket *socket, size_t size_bytes);
void __wrap_os_socket_send(struct os_socket *socket, struct os_send *send);
void __wrap_os_socket_abort(struct os_socket *socket, struct op *parent);

/* The reactor is never destroyed, and is kept on pages where the leak check does not look. */
int __lsan_is_turned_off(void)
{
	return 1;
}

ssize_t __wrap_os_socket_peek(struct os_socket *socket, const uint8_t **ret_bytes)
{
	size_t size_bytes = input.size_bytes;

	(void)socket;
	ASSERT(!input.is_closed);
	if (size_bytes == 0)
		return -ENOTCONN;
	*ret_bytes = input.bytes;
	return (ssize_t)(size_bytes < input.piece_bytes ? size_bytes : input.piece_bytes);
}

void __wrap_os_socket_consume(struct os_socket *socket, size_t size_bytes)
{
	(void)socket;
	ASSERT(size_bytes <= input.size_bytes);
	input.bytes += size_bytes;
	input.size_bytes -= size_bytes;
}

void __wrap_os_socket_send(struct os_socket *socket, struct os_send *send)
{
	(void)socket;
	ASSERT(!input.is_closed);
	for (uint32_t i = 0; i < send->iov_count; i++) {
		volatile uint8_t last =
			((uint8_t *)send->iov[i].iov_base)[send->iov[i].iov_len - 1];

		(void)last;
	}
	send->result = 0;
	op_done(send->parent);
}

void __wrap_os_socket_abort(struct os_socket *socket, struct op *parent)
{
	(void)socket;
	input.is_closed = true;
	op_done(parent);
}

static void answered(struct op *op)
{
	(void)op;
}

static void queue_failed(struct initiator_queue *queue)
{
	ASSERT(queue->step == QUEUE_IDLE);
}

static void queue_abort(struct initiator_queue *queue, uint16_t cid)
{
	(void)queue;
	(void)cid;
}

static void log_nothing(struct log *log, const char *line)
{
	(void)log;
	(void)line;
}

/* As receive_start() leaves it after a handshake with these digests. */
static void queue_pretend_live(struct initiator_queue *queue, uint8_t digests)
{
	queue->parameters = (struct queue_parameters){.qid = 1,
						      .depth = COMMAND_COUNT,
						      .capsule_data_bytes_max = 512,
						      .nsid = 1,
						      .block_bytes = 512,
						      .transfer_bytes_max = IO_BYTES_MAX};
	queue->error = 0;
	queue->has_fault = false;
	queue->start_parent = NULL;
	queue->socket = (struct os_socket *)(uintptr_t)1;
	queue->step = QUEUE_LIVE;
	queue->is_initialized = true;
	queue->is_associated = true;
	queue->was_live = true;
	queue_slots_reset(queue);
	/* The same cids for every input. */
	for (uint32_t i = 0; i < COMMAND_COUNT; i++)
		queue->slots[i].cid = (uint16_t)i;
	send_start(queue);
	queue->receive.step = RECEIVE_COMMON;
	queue->receive.head_bytes = 0;
	queue->receive.slot = NULL;
	queue->receive.memo.is_known = false;
	queue->receive.rules = (struct nvme_tcp_rules){
		.side = NVME_TCP_CONTROLLER_TO_HOST,
		.is_initialized = true,
		.has_header_digest = (digests & 1) != 0,
		.has_data_digest = (digests & 2) != 0,
		.alignment = 4,
		.data_bytes_max = IO_BYTES_MAX,
	};
	queue->send.frame.has_header_digest = (digests & 1) != 0;
	queue->send.frame.has_data_digest = (digests & 2) != 0;
}

static void stream_run(struct reactor *reactor, struct initiator_queue *queue)
{
	static const uint8_t opcodes[COMMAND_COUNT] = {NVME_READ,    NVME_READ,	 NVME_WRITE,
						       NVME_COMPARE, NVME_FLUSH, NVME_WRITE};
	struct initiator_command commands[COMMAND_COUNT];
	struct op ops[COMMAND_COUNT];

	for (uint32_t i = 0; i < COMMAND_COUNT; i++) {
		uint32_t data_bytes = opcodes[i] == NVME_FLUSH ? 0 : DATA_BYTES;

		op_init(&ops[i], reactor_ready(reactor), answered);
		commands[i] = (struct initiator_command){.parent = &ops[i],
							 .sqe = {.opcode = opcodes[i]},
							 .data = malloc(DATA_BYTES),
							 .data_bytes = data_bytes};
		ASSERT(commands[i].data != NULL);
		op_wait(&ops[i]);
		queue_submit(queue, &commands[i]);
	}
	for (int turn = 0; turn < 3; turn++)
		reactor_turn(reactor, false);
	while (queue->step != QUEUE_IDLE) {
		if (queue->error == 0)
			op_wake(&queue->receive.op);
		reactor_turn(reactor, false);
	}
	for (uint32_t i = 0; i < COMMAND_COUNT; i++) {
		ASSERT(ops[i].pending == 0);
		free(commands[i].data);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static struct reactor *reactor;
	static struct initiator_queue *queue;
	static struct initiator_options options;
	static struct log log = {.level = LOG_ERROR, .write = log_nothing};
	static struct queue_shared shared = {.options = &options, .name = "fuzz"};
	struct reactor_options reactor_options;
	struct os *os;

	if (reactor == NULL) {
		reactor_options_default(&reactor_options);
		reactor_options.small_buffer_count = 1;
		reactor_options.large_buffer_count = 1;
		reactor_options.receive_buffer_count = 2;
		ASSERT(os_open(&os) == 0);
		ASSERT(reactor_create(os, &reactor_options, &reactor) == 0);
		initiator_options_default(&options);
		options.log = &log;
		atomic_init(&shared.ana_state, NVME_ANA_OPTIMIZED);
		ASSERT(queue_create(&shared, reactor, false, COMMAND_COUNT, &queue) == 0);
		queue->failed = queue_failed;
		queue->abort = queue_abort;
	}
	if (size_bytes < 2)
		return 0;
	input.bytes = bytes + 2;
	input.size_bytes = size_bytes - 2;
	input.piece_bytes = bytes[1] == 0 ? UINT32_MAX : bytes[1];
	input.is_closed = false;
	queue_pretend_live(queue, bytes[0]);
	stream_run(reactor, queue);
	return 0;
}
