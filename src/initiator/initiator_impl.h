/* SPDX-License-Identifier: Apache-2.0 */
/* initiator_impl.h - a controller: one remote subsystem, its namespace 1 as a bdev. Private.
 *
 * Lives on the main reactor. Queue pairs of other reactors are spoken to by messages; what they
 * read of it is in queue_shared.
 */
#ifndef INITIATOR_INITIATOR_IMPL_H
#define INITIATOR_INITIATOR_IMPL_H

#include "base/prng.h"
#include "initiator/queue_impl.h"

#define ADMIN_DEPTH	 31 /* a queue of 32 entries: what every controller has */
#define STAGE_DATA_BYTES 4096
#define NAMESPACE_ID	 1u

struct initiator_controller;

/* One admin command of a sequence, and what its answer means (setup.c). */
struct setup_stage {
	const char *name;
	/** False: skipped. */
	bool (*is_needed)(const struct initiator_controller *controller);
	/** Fills controller->stage_command's sqe and data_bytes. */
	void (*build)(struct initiator_controller *controller);
	/** Return: 0; -EAGAIN: ask again after a pause; other -errno: it fails. */
	int (*parse)(struct initiator_controller *controller);
	bool is_refusable; /* an error status is no failure */
};

enum controller_step {
	CONTROLLER_CONNECT,   /* the admin queue pair, to the next address */
	CONTROLLER_CONNECTED, /* or not: what now? */
	CONTROLLER_STAGE,     /* next admin command of the sequence */
	CONTROLLER_STAGE_DONE,
	CONTROLLER_STAGE_PAUSE, /* the controller is not ready yet */
	CONTROLLER_ANNOUNCE,	/* what was read takes effect; I/O queue pairs start */
	CONTROLLER_LIVE,
	CONTROLLER_RESET,  /* close all queue pairs */
	CONTROLLER_SETTLE, /* until nobody uses them any more; then decide */
	CONTROLLER_PAUSE,  /* before the next attempt */
	CONTROLLER_GONE,   /* given up */
	CONTROLLER_FREE,
};

/* What the controller said about itself, anew with every connection. */
struct controller_identity {
	uint64_t cap;
	uint32_t version;
	uint64_t ready_deadline_ns; /* CAP.TO */
	uint32_t transfer_bytes_max;
	uint32_t capsule_data_bytes_max;
	uint32_t command_count_max; /* MAXCMD; 0: not told */
	uint32_t queue_count_max;   /* I/O queue pairs granted */
	uint32_t oaes;
	uint16_t oncs;
	uint8_t vwc;
	bool has_ana;
	uint32_t ana_group_count;
	uint32_t namespace_count;
	char serial[21];
	char model[41];
	char firmware[9];
};

struct namespace_identity {
	bool is_active;
	uint64_t block_count;
	uint32_t block_bytes;
	uint32_t physical_block_bytes;
	uint32_t ana_group;
	uint8_t rescap;
	bool reads_zero_after_unmap;
	bool has_uuid; /* descriptor */
	struct uuid uuid;
	struct uuid nguid;    /* nil: none */
	struct uuid cache_id; /* nil: unknown */
};

struct keep_alive {
	struct op op;
	struct initiator_command command;
	struct reactor_timer timer;
	bool is_out;
};

struct event_request {
	struct op op;
	struct initiator_command command;
	bool is_out;
};

struct abort_request {
	struct op op;
	struct initiator_command command;
	struct initiator_queue *queue; /* NULL: none is out */
};

struct initiator_controller {
	struct bdev bdev;
	struct initiator_options options; /* the driver's, and the URI's */
	struct queue_shared shared;
	char subnqn[NVMF_NQN_FIELD_BYTES];
	char hostnqn[NVMF_NQN_FIELD_BYTES];
	struct os_address addresses[INITIATOR_ADDRESSES_MAX];
	uint32_t address_count;
	uint32_t address_index; /* of the present or next attempt */
	uint32_t tried_count;	/* addresses tried in this round */
	bool has_expected_uuid;
	struct uuid expected_uuid;
	struct reactor *main;
	struct prng prng; /* jitter */

	struct op op;
	enum controller_step step;
	struct bdev_create *create; /* until the bdev is announced */
	struct op *destroy_parent;
	bool is_destroying;
	bool is_announced;	/* bdev_init() was done */
	bool is_failing;	/* reset as soon as possible */
	bool is_ended;		/* the namespace is gone for good */
	bool is_refresh_wanted; /* an event says that the namespace or its state changed */
	int error;		/* why it fails */
	char error_text[ERROR_TEXT_BYTES];
	struct initiator_queue *admin;
	struct initiator_queue *queues[REACTORS_MAX];	  /* entry i: touched by reactor i ... */
	struct initiator_queue *registered[REACTORS_MAX]; /* ... and what main knows of them */
	uint32_t queue_count;				  /* registered */

	const struct setup_stage *stages; /* ends with a NULL name */
	uint32_t stage;
	struct initiator_command stage_command;
	uint8_t *stage_data; /* STAGE_DATA_BYTES */
	struct reactor_timer pause_timer;
	uint64_t pause_ms;
	uint64_t live_since_ns;
	uint64_t lost_since_ns;

	struct controller_identity identity;
	struct namespace_identity found;   /* as read last */
	struct namespace_identity serving; /* as announced */
	enum nvme_ana_state found_ana_state;
	struct keep_alive keep_alive;
	struct event_request event;
	struct abort_request abort;
	uint64_t connect_count;
	uint64_t reset_count;
};

/* controller.c */
extern const struct bdev_ops initiator_bdev_ops;
/** Ends in the reply to controller->create. */
void controller_start(struct initiator_controller *controller);
/** Lets it look at what has changed. */
void controller_wake(struct initiator_controller *controller);
/** Something is wrong: all queue pairs are closed and it connects anew. */
void controller_fail(struct initiator_controller *controller, int error);
struct initiator_controller *controller_of(const struct bdev *bdev);
void controller_free(struct initiator_controller *controller);

/* setup.c */
extern const struct setup_stage setup_stages[];	  /* after a connect */
extern const struct setup_stage refresh_stages[]; /* after an event */

/* announce.c */
/** The namespace becomes a bdev, or its changes are passed on. Return: 0 or -errno. */
int controller_announce(struct initiator_controller *controller);
void controller_explain(struct initiator_controller *controller, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* events.c */
void events_init(struct initiator_controller *controller);
/** Keep-alive and event request run from here on. */
void events_start(struct initiator_controller *controller);
void events_stop(struct initiator_controller *controller);
/** Something of it is out. */
bool events_are_busy(const struct initiator_controller *controller);
void abort_message_run(struct reactor_message *message);

/* io_queues.c */
void io_queues_start(struct initiator_controller *controller);
/** One op_wait() on controller->op for each. */
void io_queues_stop(struct initiator_controller *controller);
/** A queue of another reactor is known there, but not here yet. No channel may be open. */
bool io_queues_are_registering(const struct initiator_controller *controller);
int io_channel_open(struct bdev_channel *channel);
void io_channel_close(struct bdev_channel *channel);
void io_channel_submit(struct bdev_channel *channel, struct bdev_io *io);

#endif
