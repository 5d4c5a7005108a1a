/* SPDX-License-Identifier: Apache-2.0 */
/* target_impl.h - the target's objects and who may touch them. Private to target/.
 *
 *	target          main reactor
 *	subsystem       marked field by field: main, or its home reactor
 *	controller      its subsystem's home
 *	connection      main until Connect was read, then the subsystem's home
 *	command         a slot of a connection
 *
 * The discovery subsystem is a subsystem without a bdev whose home is main.
 */
#ifndef TARGET_TARGET_IMPL_H
#define TARGET_TARGET_IMPL_H

#include "block/range_lock.h"
#include "nvme/nvme_command.h"
#include "nvme/nvme_tcp_pdu.h"
#include "nvme/nvmf_layout.h"
#include "reactor/buffer_pool.h"
#include "target/target.h"

#define COMMAND_SLOTS_SPARE	8 /* answered, but the kernel has not taken the answer yet */
#define ADMIN_QUEUE_DEPTH	32
#define ASYNC_EVENTS_MAX	4 /* AERL 3 */
#define ABORT_LIMIT		4 /* ACL 3 */
#define RESERVATION_NOTICES_MAX 8 /* kept per controller until the host reads the log */
#define CONNECT_DATA_BYTES	1024
#define DSM_RANGES_MAX		256
#define SEND_IOV_MAX		64
/* At once, when PDUs are small: two of TCP's largest segments (64 KiB) and never a third, short
 * one, that would have to wait for a timer where TCP paces. */
#define SEND_BYTES_MAX		(116 * 1024)
/* With a PDU of so much in it: segments are full anyway, and calls are what counts. */
#define SEND_LARGE_BYTES	(32 * 1024)
#define SEND_LARGE_BYTES_MAX	(1024 * 1024)
#define RECEIVE_PDUS_PER_TURN	64
#define RECEIVE_BYTES_PER_TURN	(512 * 1024)
#define KEEP_ALIVE_UNIT_MS	100
#define NAMESPACE_ID		1u
#define ANA_GROUP_ID		1u

struct command;
struct connection;
struct controller;

/* ---- what waits to be sent ---- */

struct send_item {
	struct list_node link;	/* connection->send_queue, or ->sending */
	struct command *answer; /* released when this is sent; NULL: nobody's last word */
	const uint8_t *data;
	uint32_t data_bytes;
	uint8_t head_bytes;
	uint8_t pad_bytes; /* zeroes between head and data (HPDA) */
	uint8_t tail_bytes;
	bool is_handed_over; /* to the system, which may have sent it already */
	uint8_t head[28];    /* PDU header and its digest */
	uint8_t tail[32];    /* data digest; response capsule behind C2H data */
};

/* ---- a command ---- */

enum command_step {		     /* in the order they run */
		    COMMAND_CHARGE,  /* its controller's share of buffers */
		    COMMAND_BUFFER,  /* a place for its data */
		    COMMAND_COLLECT, /* the host's data, in capsule or asked for by R2T */
		    COMMAND_EXECUTE,
		    COMMAND_ANSWER,
		    COMMAND_FREE,
};

enum command_data {
	COMMAND_DATA_NONE,
	COMMAND_DATA_IN_CAPSULE,
	COMMAND_DATA_BY_R2T,
	COMMAND_DATA_TO_HOST,
};

struct command {
	struct op op;
	struct connection *connection;
	struct list_node link;	   /* free slots, or one line that it waits in */
	struct command *hash_next; /* same bucket of command ids */
	enum command_step step;
	int execute_step; /* of the file that executes it; 0 at first */
	enum command_data data_kind;
	uint16_t index; /* slot */
	uint16_t transfer_tag;
	uint16_t generation;	/* of the slot: tells late data of an earlier command */
	bool is_aborted;	/* by Abort */
	bool is_abortable;	/* it may leave the line that it waits in */
	bool is_parked;		/* waits outside op_join(); command_unpark() wakes it */
	bool is_waiting_buffer; /* in the buffer pool's line */
	bool is_hashed;		/* found by its command id */
	bool is_damaged;	/* its data digest did not match */
	bool is_receiving;	/* the receiver writes to its data now, or is about to */
	bool is_awaiting_data;	/* asked for by R2T and not all there */
	bool is_write;		/* changes the namespace */
	bool is_answered;	/* its answer is in the send queue, or further */
	bool is_missing_fused;	/* its other half did not follow */
	bool is_fused_done;	/* first half: the second has set its outcome */
	bool is_fused_running;	/* second half: the first half's data is in use */
	bool is_last;		/* Disconnect: the connection ends behind its answer */
	bool is_locked;
	bool is_inflight; /* on the subsystem's books */
	bool is_busy;	  /* it lives: from its arrival until its slot is free */
	struct nvme_sqe sqe;
	uint16_t cid;
	struct nvme_status_field status;
	uint64_t result; /* DW0 and DW1 of the completion */

	uint8_t *data; /* in @buffer, or the connection's own for Connect */
	uint32_t data_bytes;
	uint32_t received_bytes;
	uint32_t capsule_offset; /* of its data in the capsule's */
	struct buffer *buffer;
	struct buffer_share *share; /* that it counts in; NULL: in none */
	struct buffer_waiter waiter;

	struct send_item request; /* R2T */
	struct send_item answer;

	/* I/O */
	struct block_range range; /* dataset management: the range at hand */
	uint64_t done_blocks;	  /* of it */
	uint32_t piece_blocks;
	uint32_t range_index; /* dataset management */
	uint32_t range_count;
	uint32_t scratch_bytes; /* needed in the buffer, behind the data */
	enum io_type io_type;
	bool is_fua;
	struct command *fused; /* the other half of a compare and write */
	struct op *fence;      /* a reservation change that waits for this I/O */
	struct range_lock lock;
	struct iovec iov;
	struct bdev_io io;
};

/* ---- a connection: one queue pair ---- */

enum connection_state {
	CONNECTION_ICREQ,   /* accepted; nothing known of the peer */
	CONNECTION_CONNECT, /* digests agreed; only Connect is taken */
	CONNECTION_MOVING,  /* to the subsystem's home */
	CONNECTION_LIVE,
	CONNECTION_LINGER, /* a fatal error was told; waits for the peer to hang up */
	CONNECTION_CLOSING,
};

enum receive_step {
	RECEIVE_HEADER,	  /* gathered in the stub, however the stream was cut */
	RECEIVE_DISPATCH, /* the header is whole; may wait for a command slot */
	RECEIVE_PADDING,
	RECEIVE_DATA,
	RECEIVE_DIGEST,
	RECEIVE_DRAIN, /* everything is thrown away */
};

enum close_step {
	CLOSE_BEGIN,
	CLOSE_SOCKET,
	CLOSE_COMMANDS,
	CLOSE_FREE,
};

#define RECEIVE_STUB_BYTES 136

struct receive {
	struct op op; /* reader */
	enum receive_step step;
	uint32_t stub_bytes;	/* of a header that came in parts */
	uint32_t padding_bytes; /* still to be skipped */
	uint32_t data_bytes;	/* still to come in this PDU */
	uint32_t skip_bytes;	/* of them, in front of the command's own */
	uint32_t digest_bytes;	/* got of the data digest */
	uint32_t crc;
	struct command *command;       /* whose data this is; NULL: thrown away */
	struct nvme_tcp_header header; /* of the PDU that is being received */
	struct nvme_tcp_memo memo;     /* of which @header is the outcome */
	bool is_waiting;	       /* for a slot, a buffer, or the end of a move */
	uint8_t digest[4];
	uint8_t stub[RECEIVE_STUB_BYTES];
};

struct send {
	struct op op;	   /* collects what the turn produced */
	struct op done_op; /* the kernel has taken it */
	struct os_send os;
	struct list_node queue;
	struct list_node sending;
	uint64_t sent_count; /* progress, for the watchdog */
	bool is_sending;
	struct iovec iov[SEND_IOV_MAX];
};

struct watched {      /* by the watchdog */
	bool is_busy; /* at the last look */
	uint64_t progress;
	uint32_t stuck_count; /* looks without any */
};

struct connection {
	struct target *target;
	struct reactor *reactor; /* its owner now */
	struct os_socket *socket;
	struct list_node link; /* target->connections, or subsystem->connections */
	enum connection_state state;
	bool is_unauthenticated; /* counted by the target; on main */
	struct receive receive;
	struct send send;
	struct nvme_tcp_rules rules; /* of what it receives */
	struct nvme_tcp_frame frame; /* of what it sends */

	struct target_subsystem *subsystem; /* from Connect on */
	struct controller *controller;	    /* after Connect succeeded */
	uint16_t qid;
	bool is_flow_controlled; /* SQHD is reported */
	uint16_t sq_size;	 /* entries */
	uint16_t sq_head;
	/* Counts that go up together and down apart are kept apart: one load of both would wait for
	 * the stores of each to leave the core. */
	uint32_t busy_count;
	struct list_node free; /* command slots */
	uint32_t unanswered_count;
	struct command *slots; /* after Connect */
	uint32_t slot_count;
	struct command **by_cid; /* buckets */
	uint32_t bucket_mask;
	struct command *fused_first; /* waits for its second half */

	struct reactor_timer deadline; /* handshake, linger */
	struct reactor_timer watchdog; /* send, R2T or PDU without progress */
	uint64_t received_progress;    /* bytes of awaited data */
	uint64_t received_pdus;	       /* that were whole */
	uint64_t accepted_ns;
	struct watched watched_sends;
	struct watched watched_data;
	struct watched watched_pdus;
	uint32_t awaited_data_count; /* commands that wait for H2C data */

	struct op close_op;
	enum close_step close_step;
	struct reactor_message move_message;
	struct os_address peer;

	struct command first; /* the slot of Connect */
	struct command *first_bucket;
	uint8_t connect_data[CONNECT_DATA_BYTES];
	uint8_t control[160]; /* ICResp, C2HTermReq */
	struct send_item control_item;
};

/* ---- a controller: one host's association ---- */

/* Bits of controller->events_pending and ->events_masked. */
enum async_event {
	ASYNC_EVENT_NAMESPACE,
	ASYNC_EVENT_ANA,
	ASYNC_EVENT_DISCOVERY,
	ASYNC_EVENT_RESERVATION,
	ASYNC_EVENT_COUNT,
};

struct reservation_notice {
	uint64_t count;
	uint8_t type;
};

struct error_entry {
	uint64_t count;
	uint16_t qid;
	uint16_t cid;
	struct nvme_status_field status;
	uint64_t lba;
};
#define ERROR_ENTRIES_MAX 16

/* What one controller has of a reactor's buffers. Invariant: nobody waits when count is 0. */
struct buffer_share {
	uint32_t count;	       /* held, or waited for in the pool's line */
	struct list_node line; /* commands that wait for count to fall */
};

struct controller {
	struct list_node link; /* subsystem->controllers */
	struct target_subsystem *subsystem;
	struct reactor *reactor;
	char host_nqn[NQN_BYTES_MAX];
	struct uuid host_id;
	uint16_t cntlid;
	bool is_dying;
	uint32_t outstanding_writes; /* of all its queues, at the bdev or about to be */
	struct connection *queues[TARGET_IO_QUEUES_MAX + 1];
	uint32_t queue_count;

	uint32_t cc;
	bool is_fatal; /* CSTS.CFS: enabled with what is not possible */

	uint32_t keep_alive_ms; /* 0: off */
	uint64_t keep_alive_ns; /* last sign of life */
	struct reactor_timer keep_alive_timer;

	uint32_t async_config;
	uint32_t events_pending;
	uint32_t events_masked;
	struct list_node async_commands;
	uint32_t async_count;
	bool is_namespace_changed;

	uint32_t reservation_mask; /* feature 82h */
	struct reservation_notice notices[RESERVATION_NOTICES_MAX];
	uint32_t notice_count;
	uint64_t notice_counter;

	struct error_entry errors[ERROR_ENTRIES_MAX]; /* ring */
	uint64_t error_count;

	uint64_t reads; /* SMART */
	uint64_t writes;
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint32_t arbitration; /* features that are kept and have no effect */
	uint32_t temperature;
	uint32_t error_recovery;
	uint32_t write_atomicity;
	bool is_write_through; /* the write cache is turned off: every write is durable */

	struct buffer_share shares[2]; /* of small buffers, of large ones */
};

/* ---- a subsystem ---- */

struct allowed_hosts {
	uint32_t count; /* 0: any */
	char nqn[TARGET_ALLOWED_HOSTS_MAX][NQN_BYTES_MAX];
};

enum subsystem_home_step {
	SUBSYSTEM_OPEN, /* the bdev's channel, the kept reservations */
	SUBSYSTEM_OPENED,
	SUBSYSTEM_KICK,	 /* all hosts go */
	SUBSYSTEM_DRAIN, /* until the last connection is gone */
	SUBSYSTEM_ANSWER,
};

struct reservation_notices;

struct target_subsystem {
	/* fixed at creation */
	struct target *target;
	struct reactor *home;
	bool is_discovery;
	bool is_ana_reporting;
	char nqn[NQN_BYTES_MAX];
	char serial[TARGET_SERIAL_BYTES];
	char model[TARGET_MODEL_BYTES];
	uint16_t cntlid_min;
	uint16_t cntlid_max;
	struct bdev *bdev;
	struct uuid uuid;
	enum target_error_class error_class;
	struct target_reservation_store *reservation_store;

	/* main */
	struct list_node link; /* target->subsystems */
	struct allowed_hosts *hosts_on_main;
	enum target_ana_state ana_state_on_main;
	uint32_t transit_count; /* connections on their way to home */
	bool is_leaving;
	struct op *transit_waiter;
	struct bdev_listener bdev_listener;
	struct reactor_message resize_message;
	bool is_resize_sent;  /* the message is under way */
	bool is_resize_again; /* and another is wanted behind it */
	struct reactor_message resize_answer;

	/* home */
	struct list_node controllers;
	uint32_t controller_count;
	uint16_t cntlid_last;
	struct list_node connections;
	uint32_t connection_count;
	uint32_t ghost_writes;	     /* outstanding ones of dying controllers */
	struct list_node ghost_line; /* Connect commands and writes that wait for them */
	struct allowed_hosts *hosts;
	enum target_ana_state ana_state;
	uint64_t ana_change_count;
	struct bdev_channel *channel;
	uint32_t inflight_count;
	uint32_t pause_count;
	struct list_node paused;  /* commands that wait for the resume */
	struct list_node changes; /* pauses that wait for inflight_count 0 */
	struct range_locks locks;
	struct target_reservation_state reservations;
	struct command *reservation_command; /* the one that changes them now */
	struct list_node reservation_line;   /* those that wait for that */
	struct target_reservation_request reservation_request;
	struct reservation_notices *reservation_notices; /* of the change at work */
	struct op home_op;				 /* opens and ends it, on its home */
	enum subsystem_home_step home_step;
	struct reactor_call *home_call; /* whom home_op answers */
	int home_result;
};

/* ---- the target ---- */

struct listener {
	struct os_listener *os;
	struct os_address address;
	struct op acceptor;
	struct target *target;
};

struct target {
	struct reactor *main;
	struct target_options options;
	struct log *log;
	struct listener listeners[TARGET_LISTENERS_MAX];
	uint32_t listener_count;
	struct list_node subsystems;
	struct list_node connections; /* those that have not left main for a subsystem */
	uint32_t unauthenticated_count;
	_Atomic uint32_t connection_count;
	uint64_t discovery_generation;
	struct target_subsystem discovery;
	struct op destroy_op;
	struct op *destroy_parent;
	int destroy_step;
};

#endif
