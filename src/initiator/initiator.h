/* SPDX-License-Identifier: Apache-2.0 */
/* initiator.h - remote NVMe/TCP namespaces as bdevs.
 *
 * URIs: nvmf://host[:8420]/<nqn>, nvmf+tcp://..., nvmf+rdma+tcp://... (served over TCP). A bdev is
 * namespace 1 of the subsystem and is named `<host>:<port>/<nqn>n1`. Parameters:
 *	uuid=      must be the namespace's UUID or NGUID, else -EINVAL
 *	hostnqn=   instead of options.host_nqn
 *	hdgst=1, ddgst=1   header and data digests
 *	address=<ip>[:port]   repeated: further addresses, tried in turn at every connect
 * Others are ignored.
 *
 * A controller has an admin queue pair on the main reactor and one I/O queue pair on every reactor
 * that ever opened a channel; they stay connected until the bdev is destroyed.
 *
 * What happens when the connection is lost (or a command was neither answered nor aborted in time,
 * or the controller broke the protocol): all queue pairs are closed, and only then
 *  - commands in flight are answered IO_DEVICE_GONE (IO_TIMED_OUT for those that caused it), or
 *    with options.is_retrying they wait and are sent again after the reconnect;
 *  - new I/O waits up to options.fail_fast_ms, then IO_DEVICE_GONE (is_retrying: waits on);
 *  - it reconnects with growing pauses; after options.ctrl_loss_timeout_ms the bdev is announced as
 *    BDEV_REMOVED and waiting I/O is answered IO_DEVICE_GONE.
 * An answer to an I/O means that nothing will read or write its buffers any more.
 */
#ifndef INITIATOR_INITIATOR_H
#define INITIATOR_INITIATOR_H

#include "base/log.h"
#include "block/bdev_registry.h"
#include "nvme/nvme_command.h"
#include "os/os_socket.h"

#define INITIATOR_PORT_DEFAULT	  8420
#define INITIATOR_ADDRESSES_MAX	  8
#define INITIATOR_QUEUE_DEPTH_MAX 1023 /* commands in flight of one queue pair */
#define INITIATOR_WAITING_COUNT_MAX                                  \
	4096 /* requests that wait for a queue pair; more: NOT_READY \
	      */

struct initiator_options {
	char host_nqn[NQN_BYTES_MAX];
	uint8_t host_id[16];
	uint32_t queue_depth; /* of I/O queue pairs; the controller may allow less */
	uint32_t kato_ms;     /* keep-alive time-out told to the controller; 0: none */
	uint32_t io_timeout_ms;
	uint32_t admin_timeout_ms;
	uint32_t connect_timeout_ms; /* of one queue pair: TCP, handshake and Connect */
	uint32_t reconnect_min_ms;   /* pauses double from here ... */
	uint32_t reconnect_max_ms;   /* ... to here, with jitter */
	uint32_t ctrl_loss_timeout_ms;
	uint32_t fail_fast_ms; /* how long new I/O waits for a lost connection; 0: not at all */
	bool is_retrying;      /* for hosts: see above and README.md about repeated writes */
	bool is_sole; /* this is all that the host has to do with the subsystem: a new association
		       * ends the earlier ones, with all that is still on its way to them */
	bool has_header_digest;
	bool has_data_digest;
	struct log *log; /* outlives the registry */
};

/** Values for children of a nexus: fail over at once. host_nqn, host_id, log stay empty. */
void initiator_options_default(struct initiator_options *ret_options);

/**
 * initiator_register - add the driver to @registry
 * @options are copied. Return: 0, -ENOMEM, -EINVAL when host_nqn is no NQN or a limit is absurd.
 */
int initiator_register(struct bdev_registry *registry, const struct initiator_options *options)
	__attribute__((warn_unused_result));

enum initiator_state {
	INITIATOR_NEW,		/* being created, not connected yet */
	INITIATOR_INITIALIZING, /* connected, reading what it is */
	INITIATOR_RUNNING,
	INITIATOR_RESETTING, /* closing queue pairs, or waiting for the next attempt */
	INITIATOR_FAULTED,   /* given up: removed */
	INITIATOR_UNCONFIGURING,
};
const char *initiator_state_text(enum initiator_state state); /* "new", "running" ... */

struct initiator_info {
	enum initiator_state state;
	struct os_address address; /* connected to, or tried last */
	uint16_t cntlid;
	char subnqn[NVMF_NQN_FIELD_BYTES];
	char hostnqn[NVMF_NQN_FIELD_BYTES];
	char serial[21];
	char model[41];
	char firmware[9];
	uint64_t size_bytes;
	uint32_t block_bytes;
	enum nvme_ana_state ana_state;	   /* OPTIMIZED when not reported */
	uint32_t reservation_capabilities; /* enum nvme_rescap; 0: not supported */
	uint32_t queue_count;		   /* I/O queue pairs known */
	uint64_t connect_count;		   /* successful ones */
	uint64_t reset_count;
	uint64_t timeout_count;
	uint64_t protocol_error_count; /* the controller sent something impossible */
	int last_error;		       /* -errno of the last reset, 0: none */
};

/** Return: false when @bdev is not of this driver. Context: main reactor. */
bool initiator_describe(struct bdev *bdev, struct initiator_info *ret_info);

/* Like the URI's driver does after an error: closes all, reconnects. Context: main reactor.
 * Return: 0, -EINVAL when @bdev is not of this driver, -ENODEV when it was given up. */
int initiator_reset(struct bdev *bdev) __attribute__((warn_unused_result));

/*
 * One NVMe command as it is: admin (initiator_admin_submit) or I/O (initiator_io_submit).
 */
struct initiator_command {
	struct op *parent;   /* gets one op_done() */
	struct nvme_sqe sqe; /* cid and SGL are filled in here */
	void *data;	     /* direction from the opcode; valid until done */
	uint32_t data_bytes; /* multiple of 4, <= IO_BYTES_MAX */
	uint32_t timeout_ms; /* 0: the queue's */
	/* when done */
	enum io_status status;
	uint16_t nvme_status; /* enum nvme_status when the controller answered, else 0xffff */
	uint32_t result;      /* CDW0 of the completion */
	uint32_t result_high; /* CDW1 */
	/* private */
	struct list_node link;
	struct bdev_io *io;
	uint64_t deadline_ns;
};
#define INITIATOR_NVME_STATUS_NONE 0xffff

/**
 * initiator_admin_submit - any admin command but Fabrics', async events and keep alive
 * @bdev must be of this driver. Neither fails nor calls back; op_wait(parent) before. Without a
 * connection: IO_DEVICE_GONE. Context: main reactor.
 */
void initiator_admin_submit(struct bdev *bdev, struct initiator_command *command);

/**
 * initiator_io_submit - any command on the channel's I/O queue pair (reservations, vendor ones)
 * Waits for a lost connection like other I/O, but is never sent twice. @channel is of this driver
 * and stays open until done. Context: channel's reactor.
 */
void initiator_io_submit(struct bdev_channel *channel, struct initiator_command *command);

/* Reservation register, acquire, release and report. */
#define INITIATOR_REGISTRANTS_MAX 32

struct initiator_registrant {
	uint16_t cntlid; /* 0xffff: no controller connected */
	bool is_holder;
	uint64_t key;
	uint8_t host_id[16];
};

struct initiator_reservation {
	struct op *parent; /* gets one op_done() */
	/* What to do; for report only opcode is looked at. */
	struct nvme_reservation request;
	/* when done */
	enum io_status status; /* IO_RESERVATION_CONFLICT: somebody else is in the way */
	uint16_t nvme_status;
	/* report */
	uint32_t generation;
	enum nvme_reservation_type type; /* NONE: nobody holds it */
	uint32_t registrant_count;	 /* may exceed what fits below */
	struct initiator_registrant registrants[INITIATOR_REGISTRANTS_MAX];
	/* private */
	struct op op;
	int step;
	struct bdev_channel *channel;
	struct initiator_command command;
	uint8_t data[64 + 64 * INITIATOR_REGISTRANTS_MAX];
};

/** True if @bdev is of this driver: reservations reach the device behind it. Any thread. */
bool initiator_is_initiator(const struct bdev *bdev);

/** Neither fails nor calls back; op_wait(parent) before. Context: channel's reactor. */
void initiator_reservation_submit(struct bdev_channel *channel,
				  struct initiator_reservation *reservation);

#endif
