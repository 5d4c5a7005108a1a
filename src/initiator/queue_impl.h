/* SPDX-License-Identifier: Apache-2.0 */
/* queue_impl.h - one queue pair: a TCP connection that carries commands. Private to initiator/.
 *
 * Three ops on the queue's reactor:
 *	op       set-up and teardown (queue_pair.c): idle -> connecting -> live -> closing -> idle
 *	receive  bytes from the controller (receive.c)
 *	send     PDUs to the controller, collected at the end of a turn (send.c)
 * and a tick (timeouts.c) that runs only while something could expire.
 *
 * Invariants:
 *  1. A slot is FREE, or it belongs to exactly one command. Its cid holds a generation that changes
 *     with every use, so a late or repeated PDU finds no slot.
 *  2. A command is answered only when neither a batch in flight nor a begun PDU refers to its
 *     memory. When the queue closes that is after the socket is gone.
 *  3. The queue's memory is freed only while it is idle, by the main reactor.
 */
#ifndef INITIATOR_QUEUE_IMPL_H
#define INITIATOR_QUEUE_IMPL_H

#include "initiator/slot_impl.h"
#include "reactor/reactor_call.h"

#define SEND_IOV_COUNT	     128 /* of one batch */
/* What goes on the wire at once, when PDUs are small: two of TCP's largest segments (64 KiB) and
 * never a third, short one, that would have to wait for a timer where TCP paces. */
#define SEND_BYTES_MAX	     (116 * 1024)
/* A batch of so much has large PDUs: segments are full anyway, and calls are what counts. */
#define SEND_LARGE_BYTES     (128 * 1024)
#define SEND_LARGE_BYTES_MAX (512 * 1024)
#define TIMEOUT_NEVER_MS     UINT32_MAX

enum receive_step {
	RECEIVE_COMMON, /* the first 8 bytes of a PDU */
	RECEIVE_HEADER, /* the rest of its header, and the header digest */
	RECEIVE_PADDING,
	RECEIVE_DATA,
	RECEIVE_DIGEST, /* of the data */
};

struct queue_receive {
	struct op op;
	enum receive_step step;
	uint8_t head[NVME_TCP_HEADER_BYTES_MAX + NVME_TCP_DIGEST_BYTES];
	uint32_t head_bytes; /* collected */
	struct nvme_tcp_header header;
	struct nvme_tcp_memo memo; /* of which @header is the outcome */
	uint32_t left_bytes;	   /* padding, data or digest still to come */
	struct queue_slot *slot;   /* whose data it is */
	uint32_t crc;
	struct nvme_tcp_rules rules;
};

enum send_step {
	SEND_COLLECT, /* nothing is in flight */
	SEND_WAIT,    /* a batch is with the system */
};

struct queue_send {
	struct op op; /* runs late in a turn */
	enum send_step step;
	struct os_send batch;
	struct iovec iov[SEND_IOV_COUNT];
	uint32_t iov_count;
	uint32_t batch_bytes;
	struct list_node ready;		      /* slots with a PDU to begin */
	struct list_node in_batch;	      /* slots whose memory the batch uses */
	struct queue_slot *current;	      /* its PDU has begun and is not yet all in a batch */
	uint32_t current_left_bytes;	      /* data of it */
	bool has_data_digest;		      /* current's PDU ends with one */
	uint8_t raw[NVME_TCP_TERM_BYTES_MAX]; /* a PDU without a slot: ICReq, H2CTermReq */
	uint32_t raw_bytes;		      /* 0: none */
	struct nvme_tcp_frame frame;
	uint32_t data_bytes_max; /* MAXH2CDATA */
};

enum queue_step {
	QUEUE_IDLE,
	QUEUE_CONNECT,	      /* TCP */
	QUEUE_HANDSHAKE,      /* send ICReq */
	QUEUE_HANDSHAKE_WAIT, /* for ICResp */
	QUEUE_ASSOCIATE,      /* Connect command */
	QUEUE_ASSOCIATE_WAIT,
	QUEUE_LIVE,
	QUEUE_TERM,	 /* tell the controller what it did wrong, if the socket takes it */
	QUEUE_TERM_WAIT, /* not for long */
	QUEUE_CLOSE,	 /* until the system has let go of all memory */
	QUEUE_DRAIN,	 /* answer or keep what was in flight */
};

/* What a start needs; written by main while the queue is idle. */
struct queue_parameters {
	struct os_address address;
	uint16_t qid;
	uint32_t depth;
	uint16_t cntlid; /* ffffh for an admin queue */
	uint32_t capsule_data_bytes_max;
	/* of the namespace: I/O queues */
	uint32_t nsid;
	uint32_t block_bytes;
	uint32_t transfer_bytes_max;
};

/* What all queues of a controller share. Other reactors read the atomics. */
struct queue_shared {
	const struct initiator_options *options;
	const char *subnqn;
	const char *hostnqn;
	const char *name; /* for the log */
	bool has_header_digest;
	bool has_data_digest;
	_Atomic bool is_gone;	    /* given up: nothing waits any more */
	_Atomic uint32_t ana_state; /* enum nvme_ana_state */
	_Atomic uint64_t timeout_count;
	_Atomic uint64_t protocol_error_count;
};

struct initiator_queue {
	struct queue_shared *shared;
	struct reactor *reactor;
	struct queue_parameters parameters;
	bool is_admin;
	uint32_t slot_capacity;
	uint32_t slot_count; /* in use: parameters.depth */
	struct queue_slot *slots;
	uint16_t *free_slots; /* a stack of indices */
	uint32_t free_count;
	uint32_t timed_count;	  /* slots in use that have a deadline */
	struct list_node waiting; /* initiator_command.link */
	uint32_t waiting_count;

	struct op op;
	enum queue_step step;
	struct op *start_parent; /* gets one op_done() when live, or idle after a failure */
	struct op *stop_parent;	 /* gets one op_done() when idle */
	bool is_stopping;
	bool was_live; /* since it was made */
	int error;     /* why it fails; 0 while it does not */
	bool has_fault;
	struct nvme_tcp_fault fault; /* what a terminate request says */
	struct os_connect connect;
	struct os_socket *socket;
	uint64_t setup_deadline_ns;
	uint16_t cntlid; /* as answered by Connect */
	struct nvmf_connect_data connect_data;
	struct initiator_command connect_command;
	struct op connect_op; /* its parent */
	bool is_initialized;  /* ICResp arrived */
	bool is_associated;   /* Connect was answered */

	struct queue_receive receive;
	struct queue_send send;
	struct reactor_timer tick;

	/* Called on the queue's reactor when a live queue, or a start, has failed. */
	void (*failed)(struct initiator_queue *queue);
	/* Asks main to abort @slot's command. NULL for an admin queue: its time-outs are fatal. */
	void (*abort)(struct initiator_queue *queue, uint16_t cid);
	_Atomic bool is_abort_busy;

	/* I/O queues: messages between main and the queue's reactor. */
	struct initiator_controller *controller;
	struct reactor_message register_message;
	struct reactor_message start_message;
	struct queue_parameters next_parameters; /* main's, for the start */
	struct reactor_call stop_call;
	struct op stop_op;
	struct reactor_message failed_message;
	struct reactor_message abort_message;
	uint16_t abort_cid;
	bool is_registered; /* main's */
	bool is_started;    /* main's: a start was sent, and no stop since */
	int failed_error;
};

/* queue_pair.c */

/** At most @slot_capacity commands in flight. Context: @reactor. Return: 0 or -ENOMEM. */
int queue_create(struct queue_shared *shared, struct reactor *reactor, bool is_admin,
		 uint32_t slot_capacity, struct initiator_queue **ret_queue)
	__attribute__((warn_unused_result));
/** Idle, nothing waits. NULL is allowed. */
void queue_destroy(struct initiator_queue *queue);

/**
 * queue_start - connect
 * @parent: may be NULL; gets one op_done() when live (queue->error 0) or idle again.
 * Context: queue's reactor; idle.
 */
void queue_start(struct initiator_queue *queue, const struct queue_parameters *parameters,
		 struct op *parent);
/** Ends the connection; op_done(@parent) once idle, at once if it is. */
void queue_stop(struct initiator_queue *queue, struct op *parent);
/** Something is wrong: close and report. The first reason counts. */
void queue_fail(struct initiator_queue *queue, int error);
/** The controller sent something impossible. */
void queue_fail_protocol(struct initiator_queue *queue, const struct nvme_tcp_fault *fault);
bool queue_is_live(const struct initiator_queue *queue);
/** Lets the set-up and teardown look at what has changed. */
void queue_wake(struct initiator_queue *queue);
/** Asserts what holds in its step, and what must not. O(1). */
void queue_check(const struct initiator_queue *queue);

/* slots.c */

/** Takes a command; it waits when the queue is not live or full. Context: queue's reactor. */
void queue_submit(struct initiator_queue *queue, struct initiator_command *command);
/** Sends @command although the queue is not live yet: Connect. A slot is free. */
void queue_submit_now(struct initiator_queue *queue, struct initiator_command *command);
/** Starts waiting commands while slots are free. */
void queue_kick(struct initiator_queue *queue);
/** The active slot with @cid, NULL when there is none. */
struct queue_slot *queue_slot_find(struct initiator_queue *queue, uint16_t cid);
/** The controller has answered @slot. */
void queue_slot_answer(struct initiator_queue *queue, struct queue_slot *slot);
/** The sender is through with @slot: an answered one is finished. */
void queue_slot_sent(struct initiator_queue *queue, struct queue_slot *slot);
/** Only a planted bug lets go of a command whose connection lives. False: not possible now. */
bool queue_slot_forget(struct initiator_queue *queue, struct queue_slot *slot);
/** The connection is gone: all slots become free. */
void queue_slots_drain(struct initiator_queue *queue);
/** Answers waiting commands whose time is over, or all. */
void queue_waiting_expire(struct initiator_queue *queue, uint64_t now_ns);
/** All slots are free; as many as parameters.depth. */
void queue_slots_reset(struct initiator_queue *queue);
/** Asserts what holds in the state of @slot. O(1). */
void slot_check(const struct initiator_queue *queue, const struct queue_slot *slot);
/** Recounts slots and lines; for ASSERT_SLOW. Return: true when all counts are right. */
bool queue_counts_are_right(const struct initiator_queue *queue);

/* io.c */

/** Fills @slot with the next command of @io. */
void io_prepare(struct initiator_queue *queue, struct queue_slot *slot, struct bdev_io *io,
		struct nvme_sqe *ret_sqe);
bool io_is_all_sent(const struct bdev_io *io);
void io_begin(struct bdev_io *io);

/* send.c */
void queue_send_init(struct initiator_queue *queue);
void send_start(struct initiator_queue *queue);
/** @slot has a PDU to begin. */
void send_slot(struct initiator_queue *queue, struct queue_slot *slot);
/** queue->send.raw is filled. */
void send_raw(struct initiator_queue *queue);
/** The socket is closed: forgets everything. */
void queue_send_drop(struct initiator_queue *queue);

/* receive.c */
void queue_receive_init(struct initiator_queue *queue);
void receive_start(struct initiator_queue *queue);

/* timeouts.c */
void timeouts_init(struct initiator_queue *queue);
/** Arms the tick if something could expire. */
void timeouts_arm(struct initiator_queue *queue);

/* status.c */
enum io_status status_to_io(uint16_t status);

#endif
