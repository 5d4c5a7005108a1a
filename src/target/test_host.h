/* SPDX-License-Identifier: Apache-2.0 */
/* test_host.h - for the tests of target/: a target on two reactors over memory disks, and hosts
 * that speak to it over real sockets, PDU by PDU, as rightly or wrongly as a test wants.
 *
 * Everything runs in the test's own thread: whenever a host waits, the reactors are turned.
 */
#ifndef TARGET_TEST_HOST_H
#define TARGET_TEST_HOST_H

#include "block/bdev_registry.h"
#include "block/filter.h"
#include "nvme/nvme_command.h"
#include "nvme/nvme_tcp_pdu.h"
#include "nvme/nvmf_layout.h"
#include "target/target.h"

#define STAGE_NQN    "nqn.2019-05.io.openebs:stage"
#define STAGE_BLOCKS (16u * 1024 * 1024 / 512)

struct stage {
	struct os *os;
	struct reactor *main;
	struct reactor *home;
	struct bdev_registry *registry;
	struct bdev *bdev; /* what is exported: a filter over a memory disk */
	struct target *target;
	struct target_subsystem *subsystem;
	struct op waiter;
	bool is_woken;
	struct log log;
	uint16_t port;
	void (*on_turn)(void *context); /* called after each turn, when set */
	void *on_turn_context;
};

/** Starts a target; @options may be NULL, listeners are filled in. */
void stage_open(struct stage *stage, const struct target_options *options,
		struct target_reservation_store *store);
void stage_close(struct stage *stage);
/** Turns both reactors once. */
void stage_turn(struct stage *stage);
/** Turns for @ms milliseconds. */
void stage_run_ms(struct stage *stage, uint32_t ms);
/** op_wait(&stage->waiter) was called: turns until it is answered. */
void stage_await(struct stage *stage);
/** Turns until the target has @count connections. Return: false after 5 s. */
bool stage_await_connections(struct stage *stage, uint32_t count);
/** Creates the subsystem again, after a test has removed it. */
void stage_reopen_subsystem(struct stage *stage);
void stage_pause(struct stage *stage);
void stage_resume(struct stage *stage);

struct host {
	struct stage *stage;
	int fd;
	bool has_header_digest;
	bool has_data_digest;
	bool is_without_flow_control;
	uint32_t alignment; /* HPDA in bytes */
	uint16_t cntlid;
	uint16_t cid;
	uint8_t id;
	uint32_t queue_entries;
};

/* A PDU from the target. */
struct pdu {
	uint8_t header[128];
	uint32_t header_bytes;
	uint8_t data[256 * 1024];
	uint32_t data_bytes;
	bool is_closed; /* the connection ended instead */
	bool is_timeout;
};

void host_open(struct stage *stage, struct host *host);
void host_close(struct host *host);
void host_send(struct host *host, const void *bytes, size_t size);
/** Return: false when the connection ended or 5 s have passed before. */
bool host_receive(struct host *host, void *bytes, size_t size, bool *ret_is_closed);
void host_receive_pdu(struct host *host, struct pdu *ret_pdu);
/** True when the target ends the connection within @ms; what comes before is thrown away. */
bool host_is_closed_within(struct host *host, uint32_t ms);

void host_icreq(struct host *host);
/** Connect of queue @qid. Return: the status; *ret_result the completion's CDW0. */
uint16_t host_connect_with(struct host *host, const struct nvmf_connect *connect,
			   uint32_t *ret_result);
struct nvmf_connect host_connect_default(const struct host *host, uint16_t qid);
/** Opens, ICReq, Connect, for I/O queues of @admin's controller. */
void host_admin(struct stage *stage, struct host *host);
/** Opens queue @qid of @host's controller. */
void host_queue(struct stage *stage, struct host *host, uint16_t qid);
void host_enable(struct host *host);
void host_io(struct stage *stage, struct host *host, const struct host *admin);

/** Sends a command capsule; data in the capsule when @capsule_bytes > 0. Return: its cid. */
uint16_t host_command(struct host *host, struct nvme_sqe *sqe, const void *capsule,
		      uint32_t capsule_bytes);
/** Sends only the header of a capsule that announces @capsule_bytes of data. Return: its cid. */
uint16_t host_command_header(struct host *host, struct nvme_sqe *sqe, uint32_t capsule_bytes);
/** Data digest. */
struct le32 host_digest(const void *bytes, size_t size);
/** The next PDU must be a response. Return: its status field. */
struct nvme_status_field host_response(struct host *host, uint64_t *ret_result, uint16_t *ret_cid);
/** Sends @sqe with a transport SGL of @bytes, takes data or serves R2T. Return: the status. */
uint16_t host_run(struct host *host, struct nvme_sqe *sqe, void *bytes, uint32_t size,
		  uint64_t *ret_result);
uint16_t host_write(struct host *host, uint64_t block, const void *bytes, uint32_t size);
uint16_t host_read(struct host *host, uint64_t block, void *bytes, uint32_t size);

/* Short forms. */
struct nvme_sqe host_rw(enum nvme_opcode opcode, uint64_t block, uint32_t count);
void host_sgl(struct nvme_sqe *sqe, enum nvme_data_place place, uint32_t length);
/** Sends a write with its data in the capsule and does not wait. Return: its cid. */
uint16_t host_capsule_write(struct host *host, uint64_t block, const void *bytes, uint32_t size);
/** Data PDUs for an R2T: @transfer's part of the command's data, which is at @bytes. */
void host_data(struct host *host, const struct nvme_tcp_transfer *transfer, const uint8_t *bytes,
	       bool is_last);
/** I/O of these types stays at the device. Return: the rule, for stage_let_go(). */
int stage_hold(struct stage *stage, uint32_t type_mask);
void stage_let_go(struct stage *stage, int rule);

#endif
