/* SPDX-License-Identifier: Apache-2.0 */
/* workload_impl.h - what the files of the workload share. */
#ifndef SIM_WORKLOAD_IMPL_H
#define SIM_WORKLOAD_IMPL_H

#include "base/prng.h"
#include "initiator/initiator.h"
#include "sim/reservation_check.h"
#include "sim/workload.h"

#define WORKLOAD_IOVS	    4
#define WORKLOAD_ERROR_TEXT 512

struct slot {
	struct workload *workload;
	uint32_t index;
	struct prng prng; /* its own: what the others do changes nothing for it */
	struct op op;
	struct reactor_timer timer;
	struct bdev_io io;
	struct iovec iov[WORKLOAD_IOVS];
	struct history_io history;
	struct reservation_io reservation;
	uint8_t *buffer; /* of the process */
	bool is_busy;
	uint32_t probes_left; /* reads of the same range, without a pause */
	uint64_t next_block;  /* behind its last range */
};

enum canary_state {
	CANARY_NONE,
	CANARY_WAITS,
	CANARY_SUNG,
};

struct canary {
	enum canary_state state;
	uint64_t operations;
	uint32_t kind;
	/* for an overwritten content: a write that this host has overwritten for certain */
	uint64_t block;
	uint64_t sequence; /* the first write, answered */
	uint64_t answered_ns;
	uint64_t overwritten_ns; /* by a second one, answered by then; 0: not yet */
};

/* The one that sends reservation commands, one after the other. */
struct reserver {
	struct workload *workload;
	struct prng prng;
	struct op op;
	struct reactor_timer timer;
	struct initiator_reservation command;
	struct reservation_ask ask;
	bool is_started;
	bool is_busy;
	bool is_clean;			   /* it gave back everything after the last stop */
	uint8_t key;			   /* what it believes its key to be; 0: not registered */
	uint8_t type;			   /* what it believes to hold */
	uint8_t others[HISTORY_HOSTS_MAX]; /* keys as reported last */
};

/* The one that compares and writes at once, one pair after the other. */
struct swapper {
	struct workload *workload;
	struct prng prng;
	struct op op;
	struct reactor_timer timer;
	struct bdev_channel *path;
	struct initiator_command compare;
	struct initiator_command write;
	struct history_io read_io;
	struct history_io write_io;
	struct reservation_io reservation;
	bool is_started;
	bool is_busy;
	uint8_t expected[BLOCK_BYTES_MAX];
	uint8_t written[BLOCK_BYTES_MAX];
};

struct workload {
	struct workload_options options;
	struct bdev_channel *channel;			/* NULL: no process runs it */
	struct bdev_channel *paths[WORKLOAD_PATHS_MAX]; /* of initiators, NULL: not there */
	bool is_stopped;
	uint64_t verify_next; /* next block of the sweep, UINT64_MAX: no sweep */
	uint64_t pace_ns;     /* 0: as the mix says */
	uint64_t chosen_count;
	uint64_t seed; /* of the hot spot's places */
	struct slot slots[WORKLOAD_SLOTS_MAX];
	struct reserver reserver;
	struct swapper swapper;
	struct canary canary;
	struct workload_stats stats;
	char error[WORKLOAD_ERROR_TEXT];
};

uint64_t workload_now_ns(const struct workload *workload);
/** The first complaint counts. */
void workload_complain(struct workload *workload, const char *what, struct block_range range,
		       uint64_t begun_ns, const char *detail);

/* workload_choice.c */
enum io_type choice_type(struct slot *slot);
struct block_range choice_range(struct slot *slot);
/** Until the slot begins its next operation. */
uint64_t choice_pause_ns(struct slot *slot);
/** Cuts the slot's buffer of @bytes into iovecs. Return: how many. */
uint32_t choice_iovs(struct slot *slot, size_t bytes);

/* workload_canary.c */
void canary_note_write(struct slot *slot);
void canary_spoil(struct slot *slot);

/* workload_reserve.c */
void reserver_start(struct workload *workload);
/** The process ends in order. */
void reserver_end_all(struct workload *workload);
/** The process is gone. */
void reserver_crashed(struct workload *workload);
/** After a stop or a resume. */
void reserver_wake(struct workload *workload);
bool reserver_is_idle(const struct workload *workload);

/* workload_swap.c; as those of the reserver */
void swapper_start(struct workload *workload);
void swapper_end(struct workload *workload);
void swapper_crashed(struct workload *workload);
void swapper_wake(struct workload *workload);

#endif
