/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - NVMe/TCP target: exports bdevs as subsystems to hosts (NVMe base 2.0, TCP 1.0).
 *
 * One target per engine listens on the main reactor. A connection stays there until its Connect
 * command has named a subsystem; then its socket moves to the subsystem's home reactor, where the
 * subsystem's controllers, queues and reservations live. Discovery controllers stay on main.
 *
 * All functions here are called on the main reactor; every *_submit() answers with one op_done()
 * on the parent (op_wait(parent) before), never fails at once, and may answer before it returns.
 * Memory of a submitted struct belongs to the target until then.
 *
 * Invariants:
 *  1. A subsystem has one namespace, id 1, backed by one bdev.
 *  2. After target_subsystem_destroy_submit() was answered the bdev is not used any more.
 *  3. After a pause was answered, no I/O of any host is out at the bdev until the last resume.
 */
#ifndef TARGET_TARGET_H
#define TARGET_TARGET_H

#include "base/limits.h"
#include "base/log.h"
#include "base/op.h"
#include "base/uuid.h"
#include "block/bdev.h"
#include "os/os_socket.h"
#include "reactor/reactor_call.h"
#include "target/reservation_store.h"

#define TARGET_LISTENERS_MAX	 8
#define TARGET_ALLOWED_HOSTS_MAX 64
#define TARGET_CONTROLLERS_MAX	 1024 /* of one subsystem */
#define TARGET_QUEUE_DEPTH_MAX	 1024
#define TARGET_IO_QUEUES_MAX	 31
#define TARGET_SERIAL_BYTES	 21 /* 20 and NUL */
#define TARGET_MODEL_BYTES	 41 /* 40 and NUL */
#define TARGET_CNTLID_MIN	 1
#define TARGET_CNTLID_MAX	 0xffef
#define TARGET_DEFAULT_PORT	 8420
#define TARGET_SECOND_PORT	 4421

struct target;
struct target_subsystem;

/* ANA states as on the wire (NVMe base 2.0, section 8.1). */
enum target_ana_state {
	TARGET_ANA_OPTIMIZED = 1,
	TARGET_ANA_NON_OPTIMIZED = 2,
	TARGET_ANA_INACCESSIBLE = 3,
};

/* Which command retry delay an error answer names: io-engine behaviour kept from the reference. */
enum target_error_class {
	TARGET_ERRORS_OF_NEXUS,	  /* CRDT1; CRDT2 for reservation conflict and no space */
	TARGET_ERRORS_OF_REPLICA, /* CRDT3 */
};

struct target_options {
	struct os_address listen[TARGET_LISTENERS_MAX];
	uint32_t listen_count;
	/* Host part told to hosts in the discovery log, one for all listeners; "": the address
	 * that the asking host has connected to. */
	char advertised_host[OS_ADDRESS_TEXT_BYTES];
	uint32_t queue_depth;		 /* 2 .. TARGET_QUEUE_DEPTH_MAX; MQES is one less */
	uint32_t io_queue_count_max;	 /* of one controller, 1 .. TARGET_IO_QUEUES_MAX */
	uint32_t in_capsule_bytes;	 /* 4096 or 8192 */
	uint16_t crdt[3];		 /* command retry delay times, units of 100 ms */
	uint32_t keep_alive_ms_min;	 /* shortest keep-alive time-out that is granted */
	uint32_t handshake_timeout_ms;	 /* from accept to the answered Connect */
	uint32_t association_timeout_ms; /* without keep-alive: admin queue without any I/O queue */
	uint32_t stall_timeout_ms;  /* a send, data asked for by R2T, a PDU: without progress */
	uint32_t linger_timeout_ms; /* a peer that broke the rules may read why */
	uint32_t connection_count_max;
	uint32_t unauthenticated_count_max; /* connections that have not sent Connect yet */
	uint32_t controller_buffers_max;    /* large data buffers that one controller may hold */
	bool has_discovery;
	char firmware[9]; /* shown in Identify */
};

/** The reference's values: depth 32, 31 I/O queues, 4096 in capsule, no listeners yet. */
void target_options_default(struct target_options *ret_options);

struct target_create {
	struct op *parent; /* gets one op_done() */
	struct reactor *main;
	struct reactor *const *reactors; /* all of them, main too */
	uint32_t reactor_count;
	const struct target_options *options;
	struct log *log;
	int result; /* 0; -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL, -ENOMEM ... */
	char error[ERROR_TEXT_BYTES];
	struct target *target; /* when result is 0 */
};

/** Opens the listeners; all of them or none. */
void target_create_submit(struct target_create *create);

/** Stops listening and closes what is left. All subsystems must have been destroyed. */
void target_destroy_submit(struct target *target, struct op *parent);

/** The address of listener @index with the port that the system chose. */
void target_listener_address(const struct target *target, uint32_t index,
			     struct os_address *ret_address);

struct target_subsystem_create {
	struct op *parent; /* gets one op_done() */
	struct target *target;
	char nqn[NQN_BYTES_MAX];
	char serial[TARGET_SERIAL_BYTES];
	char model[TARGET_MODEL_BYTES]; /* "": the default model */
	uint16_t cntlid_min;		/* 0: TARGET_CNTLID_MIN */
	uint16_t cntlid_max;		/* 0: TARGET_CNTLID_MAX */
	struct bdev *bdev;
	struct reactor *home; /* when bdev->home is NULL; NULL: main */
	struct uuid uuid;     /* NGUID and UUID descriptor */
	bool is_ana_reporting;
	enum target_ana_state ana_state; /* 0: optimized */
	enum target_error_class error_class;
	const char *const *allowed_hosts; /* copied; count 0: any host */
	uint32_t allowed_host_count;
	struct target_reservation_store *reservation_store; /* NULL: no persistence */
	int result; /* 0; -EEXIST (NQN), -EINVAL, -ENOMEM, the bdev's error */
	char error[ERROR_TEXT_BYTES];
	struct target_subsystem *subsystem; /* when result is 0 */
	/* private */
	struct op op;
	struct reactor_call call;
	int step;
};

/** Loads the reservations, opens the bdev, and lets hosts in. */
void target_subsystem_create_submit(struct target_subsystem_create *create);

/* Any other wish about a subsystem. */
struct target_subsystem_change {
	struct op *parent; /* gets one op_done() */
	struct target_subsystem *subsystem;
	enum target_ana_state ana_state;  /* set_ana_state */
	const char *const *allowed_hosts; /* set_allowed_hosts; must stay until answered */
	uint32_t allowed_host_count;
	int result; /* 0, -EINVAL */
	/* private */
	struct op op;
	struct reactor_call call;
	struct list_node link;
	int step;
};

/** Disconnects all hosts, waits for their I/O, closes the bdev, frees the subsystem. */
void target_subsystem_destroy_submit(struct target_subsystem_change *change);
/** New I/O waits, outstanding I/O is awaited. Counts: as many resumes end it. */
void target_subsystem_pause_submit(struct target_subsystem_change *change);
void target_subsystem_resume_submit(struct target_subsystem_change *change);
/** Tells the hosts too. -EINVAL for anything but the three states. Waits for outstanding I/O
 * when the new state is inaccessible, so that a late command has no effect afterwards. */
void target_subsystem_set_ana_state_submit(struct target_subsystem_change *change);
/** Disconnects hosts that are not allowed any more. -EINVAL: too many or malformed names. */
void target_subsystem_set_allowed_hosts_submit(struct target_subsystem_change *change);

#define TARGET_INSPECT_HOSTS_MAX 32

struct target_host_info {
	char nqn[NQN_BYTES_MAX];
	struct uuid id;
	uint16_t cntlid;
	uint32_t io_queue_count;
	char address[OS_ADDRESS_TEXT_BYTES];
};

struct target_subsystem_inspect {
	struct op *parent; /* gets one op_done() */
	struct target_subsystem *subsystem;
	uint32_t controller_count; /* may exceed host_count */
	uint32_t host_count;
	struct target_host_info hosts[TARGET_INSPECT_HOSTS_MAX];
	struct target_reservation_state reservations;
	/* private */
	struct reactor_call call;
};

void target_subsystem_inspect_submit(struct target_subsystem_inspect *inspect);

/* Plain questions; main reactor. */
struct target_subsystem *target_find_subsystem(struct target *target, const char *nqn);
/** @previous NULL to begin; NULL at the end. */
struct target_subsystem *target_subsystem_next(struct target *target,
					       struct target_subsystem *previous);
const char *target_subsystem_nqn(const struct target_subsystem *subsystem);
struct bdev *target_subsystem_bdev(const struct target_subsystem *subsystem);
enum target_ana_state target_subsystem_ana_state(const struct target_subsystem *subsystem);
uint32_t target_subsystem_allowed_host_count(const struct target_subsystem *subsystem);
const char *target_subsystem_allowed_host(const struct target_subsystem *subsystem, uint32_t index);
/** Open connections of all hosts. Context: any thread. */
uint32_t target_connection_count(const struct target *target);

/* Names; pure. */

#define TARGET_NQN_PREFIX    "nqn.2019-05.io.openebs"
#define TARGET_MODEL_DEFAULT "Mayastor NVMe controller"

/** "nqn.2019-05.io.openebs:<name>". Return: 0, or -EINVAL when it would be too long. */
int target_nqn_format(const char *name, char ret_nqn[NQN_BYTES_MAX])
	__attribute__((warn_unused_result));
/** "DCS" and 17 upper-case hex digits of SHA-256 over the 16 bytes of @uuid. */
void target_serial_from_uuid(const struct uuid *uuid, char ret_serial[TARGET_SERIAL_BYTES]);
/** The same over a name, for a bdev that has no uuid. */
void target_serial_from_name(const char *name, char ret_serial[TARGET_SERIAL_BYTES]);
/** "nqn." or "iqn." rules are not enforced; 1..223 printable bytes are. */
bool target_nqn_is_valid(const char *nqn);

#endif
