/* SPDX-License-Identifier: Apache-2.0 */
/* test_controller.h - an NVMe/TCP controller for tests, over real sockets, that can misbehave.
 *
 * It answers set-up and I/O of a small disk in memory by itself. A test may take over any command
 * by `hook`, and send any bytes. It runs on the tests' reactor.
 */
#ifndef INITIATOR_TEST_CONTROLLER_H
#define INITIATOR_TEST_CONTROLLER_H

#include "initiator/initiator.h"
#include "nvme/nvme_tcp_pdu.h"

#define FAKE_BLOCK_BYTES     512u
#define FAKE_BLOCKS	     4096u
#define FAKE_CONNECTIONS_MAX 8
#define FAKE_BUFFER_BYTES    (512u * 1024)
#define FAKE_WRITES_MAX	     64

struct fake_controller;
struct fake_connection;

/* A write whose data is on its way. */
struct fake_write {
	bool is_used;
	uint16_t cid;
	struct nvme_sqe sqe;
	uint32_t length;
	uint32_t requested;
	uint32_t received;
	uint8_t data[IO_BYTES_MAX];
};

struct fake_connection {
	struct fake_controller *fake;
	struct os_socket *socket;
	struct op reader;
	struct op sender;
	struct op closer;
	bool is_sending;
	bool is_closing;
	bool is_holding;   /* collects, see fake_release() */
	bool is_dribbling; /* sends one byte at a time */
	struct os_send send;
	struct iovec iov;
	uint8_t *out;
	size_t out_bytes;
	size_t sent_bytes; /* being sent */
	uint8_t *in;
	size_t in_bytes;
	uint16_t qid;
	bool is_initialized;
	bool is_associated;
	struct nvme_tcp_frame frame;
	struct fake_write *writes;
	bool has_event;
	uint16_t event_cid;
};

struct fake_controller {
	struct reactor *reactor;
	struct os_listener *listener;
	struct op acceptor;
	struct op close_op;
	struct os_address address;
	struct fake_connection connections[FAKE_CONNECTIONS_MAX];
	uint8_t disk[FAKE_BLOCKS * FAKE_BLOCK_BYTES];
	/* behaviour */
	/** Return: true when the test has dealt with the command. @data: in the capsule. */
	bool (*hook)(struct fake_connection *connection, const struct nvme_sqe *sqe,
		     const uint8_t *data, uint32_t data_bytes);
	/** Sees every piece before it is sent. Return: true when the test has sent something
	 * instead. */
	bool (*tamper)(struct fake_connection *connection, const void *bytes, size_t size_bytes);
	bool is_lenient; /* to a host that was lied to: a breach of the protocol ends its connection
			  */
	void *user;
	uint32_t alignment;	/* CPDA */
	bool has_header_digest; /* accepts it */
	bool has_data_digest;
	uint32_t h2c_bytes_max;
	uint32_t r2t_bytes;	 /* one R2T asks for so much */
	uint32_t c2h_bytes;	 /* one C2HData brings so much */
	bool is_without_success; /* sends a response even after good reads */
	uint8_t mdts;
	uint32_t ioccsz;
	uint64_t block_count;
	uint8_t uuid[16];
	uint8_t ana_state;	  /* 0: no ANA */
	uint32_t not_ready_count; /* CSTS.RDY stays 0 that often */
	uint16_t connect_status;
	bool is_namespace_gone;
	bool is_dribbling;
	bool is_silent; /* answers nothing at all */
	/* what happened */
	uint32_t term_count;
	struct nvme_tcp_fault last_term;
	uint32_t connect_count; /* admin queues */
	uint32_t io_connect_count;
	uint32_t accept_count;
	uint32_t keep_alive_count;
	uint32_t abort_count;
	uint16_t abort_cid;
	uint32_t h2c_count;
	uint32_t write_count;
	uint32_t dsm_count;
	uint32_t zeroes_count;
};

void fake_open(struct fake_controller *fake, struct reactor *reactor);
/** Turns the reactor until all is closed. */
void fake_close(struct fake_controller *fake);
/** Closes all connections, as a process that dies. */
void fake_drop(struct fake_controller *fake);
void fake_listen(struct fake_controller *fake);
void fake_unlisten(struct fake_controller *fake);

void fake_send(struct fake_connection *connection, const void *bytes, size_t size_bytes);
/** Sends what was collected while is_holding. */
void fake_release(struct fake_connection *connection);
void fake_respond(struct fake_connection *connection, uint16_t cid, uint16_t status,
		  uint32_t result);
/** C2HData of @size_bytes at @offset; @flags as for nvme_tcp_c2h_encode(). */
void fake_send_data(struct fake_connection *connection, uint16_t cid, uint32_t offset,
		    struct iovec data, uint8_t flags);
void fake_send_r2t(struct fake_connection *connection, uint16_t cid, uint32_t offset,
		   uint32_t length);
/** Completes the event request that is out. */
void fake_event(struct fake_controller *fake, uint32_t result);
struct fake_connection *fake_io_connection(struct fake_controller *fake);

#endif
