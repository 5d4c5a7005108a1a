/* SPDX-License-Identifier: Apache-2.0 */
/* target_parts_impl.h - what the files of target/ offer each other, a group a file.
 *
 * Context: the thread of the object in question, unless said otherwise. None of these calls back
 * into the operation that called it; whoever has to go on is woken.
 */
#ifndef TARGET_TARGET_PARTS_IMPL_H
#define TARGET_TARGET_PARTS_IMPL_H

#include "target/target_impl.h"

/* ---- connection.c ---- */

/** Takes ownership of @socket. Context: main. */
void connection_accept(struct target *target, struct os_socket *socket);
/** Begins the end: repeated calls change nothing. @reason is for the log. */
void connection_close(struct connection *connection, const char *reason);
/** Tells the peer why (C2HTermReq), gives it a moment to read that, then closes. */
void connection_fatal(struct connection *connection, const struct nvme_tcp_fault *fault,
		      const uint8_t *header);
/** True from the first word of the end on: no new effects on the namespace. */
static inline bool connection_is_ending(const struct connection *connection)
{
	return connection->state >= CONNECTION_LINGER ||
	       (connection->controller != NULL && connection->controller->is_dying);
}
/** A slot has become free. */
void connection_command_freed(struct connection *connection);
/** Makes sure that a stuck send or missing data will be noticed. */
void connection_watch(struct connection *connection);
/** Gives it command slots for @depth commands. Return: 0 or -ENOMEM. */
int connection_size(struct connection *connection, uint32_t depth)
	__attribute__((warn_unused_result));
/** Leaves @main for the home of connection->subsystem, where its Connect, which must be parked, is
 * entered again. The socket is detached. @connection is not the caller's any more. */
void connection_move(struct connection *connection);
/** The same without a move, when main is the home; nothing is entered. */
void connection_adopt(struct connection *connection);

/* ---- send.c ---- */

void send_init(struct connection *connection);
/** Queues @item; the turn's late phase sends everything queued with one call. */
void send_enqueue(struct connection *connection, struct send_item *item);
/** Forgets what was not sent. The socket must be gone. */
void send_drop(struct connection *connection);
bool send_is_idle(const struct connection *connection);
/** The control PDU of @size_bytes in connection->control. */
void send_control(struct connection *connection, uint32_t size_bytes);

/* ---- receive.c ---- */

void receive_init(struct connection *connection);
/** Something that the receiver waited for is there. */
void receive_wake(struct connection *connection);
/** The host is to go on: a PDU has begun, and nothing here keeps it waiting. */
bool receive_is_inside_pdu(const struct connection *connection);
/** Uses up to @size_bytes. Return: how many were used; fewer when it has to wait. */
size_t receive_bytes(struct connection *connection, const uint8_t *bytes, size_t size_bytes);

/* ---- command.c ---- */

void command_slot_init(struct command *command, struct connection *connection, uint16_t index);
/** Walks the commands that live, in the order of their slots; begins with NULL, ends with NULL. */
struct command *connection_busy_next(struct connection *connection, const struct command *previous);
/** Return: NULL when all slots are in use. */
struct command *command_acquire(struct connection *connection);
/** Begins the life of an acquired slot whose sqe is set; @capsule_bytes of data follow it. */
void command_start(struct command *command, uint32_t capsule_bytes);
/** Waits outside op_join(), in @line or (NULL) in none. */
void command_park(struct command *command, struct list_node *line);
void command_unpark(struct command *command);
/** It must have no effect any more: aborted, or its association is ending. */
static inline bool command_is_cancelled(const struct command *command)
{
	ASSERT(command->step <= COMMAND_FREE);
	return command->is_aborted || connection_is_ending(command->connection);
}
/** Its connection is closing: ends every wait that can be ended early. */
void command_cancel(struct command *command);
/** Abort: ends it unless it is past the point. Return: true if it will be answered as aborted. */
bool command_abort(struct command *command);
/** All of its data has come. */
void command_data_done(struct command *command, bool is_intact);
/** Its answer was handed to the kernel, or was dropped. */
void command_sent(struct command *command);
/** Its id may be used again. */
void command_forget_cid(struct command *command);
struct command *command_find(struct connection *connection, uint16_t cid);
/** The command that @transfer_tag belongs to, NULL when there is none that awaits data. */
struct command *command_by_tag(struct connection *connection, uint16_t transfer_tag);
/** Sets @status with the do-not-retry bit. */
void command_fail(struct command *command, uint16_t status);

/* ---- executors: entered again and again until OP_NEXT; the status is set then ---- */

enum op_flow fabrics_execute(struct command *command);
enum op_flow admin_execute(struct command *command);
enum op_flow io_execute(struct command *command);
enum op_flow reservation_execute(struct command *command);

/* ---- io.c ---- */

/** Checks an I/O command on arrival: opcode, namespace, range, and that it moves
 * @data_bytes. Return: SUCCESS or the refusal. */
uint16_t io_plan(struct command *command, uint32_t data_bytes);
/** Pairs the halves of fused commands in the order of their arrival; @status is what is known
 * of @command so far. Return: that, or why the pair is refused. */
uint16_t io_fuse(struct command *command, uint16_t status);
/** @command is about to be answered: its other half, if any, must not count on it. */
void io_part(struct command *command);

/* ---- controller.c ---- */

/** A new controller for @connect's host. Return: SUCCESS, or the status for Connect. */
uint16_t controller_create(struct target_subsystem *subsystem, const struct nvmf_connect *connect,
			   struct controller **ret_controller);
/** Undoes controller_create(). It has no queues. */
void controller_discard(struct controller *controller);
struct controller *controller_find(struct target_subsystem *subsystem, uint16_t cntlid);
void controller_add_queue(struct controller *controller, struct connection *connection);
/** @connection begins to end: with the admin queue the whole association does. */
void controller_lose_queue(struct connection *connection);
/** @connection is drained and gone. Frees the controller with its last queue. */
void controller_drop_queue(struct connection *connection);
/** The association ends: all its connections are closed. */
void controller_kill(struct controller *controller, const char *reason);
/** A sign of life of the host. */
void controller_keep_alive(struct controller *controller);
/** 0 turns the timer off; other values are rounded up to what is granted. */
void controller_set_keep_alive(struct controller *controller, uint32_t keep_alive_ms);
bool controller_is_enabled(const struct controller *controller);
/** Return: SUCCESS or INVALID_FIELD. */
uint16_t controller_property_get(const struct controller *controller,
				 const struct nvmf_property_access *access, uint64_t *ret_value);
uint16_t controller_property_set(struct controller *controller,
				 const struct nvmf_property_access *access);
void controller_record_error(struct command *command);
/** The host has said that it has begun anew: its other associations end. */
void host_end_earlier(struct target_subsystem *subsystem, const char *host_nqn,
		      const uint8_t host_id[16]);
/** True if the host has dead associations with writes still out. */
bool host_has_ghosts(const struct target_subsystem *subsystem, const char *host_nqn,
		     const uint8_t host_id[16]);

/* ---- identify.c, features.c, log_pages.c, async_event.c, discovery.c ---- */

uint16_t identify_fill(struct command *command);
uint16_t feature_get(struct command *command);
uint16_t feature_set(struct command *command);
uint16_t log_page_fill(struct command *command);
/** The part of the discovery log from @offset_bytes on; data_bytes of it. Context: main. */
void discovery_log_fill(struct command *command, uint64_t offset_bytes);
/* Pure. */
void identify_controller(const struct controller *controller,
			 struct nvme_identify_controller *ret_data);
void identify_namespace(const struct target_subsystem *subsystem,
			struct nvme_identify_namespace *ret_data);

enum op_flow async_event_execute(struct command *command);
void async_event_raise(struct controller *controller, enum async_event event);
/** The host has read the log page that belongs to @event. */
void async_event_clear(struct controller *controller, enum async_event event);
/** All controllers of @subsystem. */
void async_event_raise_all(struct target_subsystem *subsystem, enum async_event event);

/* ---- reservation.c ---- */

/** Whether @command may go to the namespace. Return: status 0 or reservation conflict. */
uint16_t reservation_check(const struct command *command);

/* ---- subsystem.c ---- */

/** Return: true when @hosts names nobody, or @host_nqn. */
bool allowed_hosts_contain(const struct allowed_hosts *hosts, const char *host_nqn);
/** Wakes what waits for dead associations that may have drained. */
void subsystem_ghosts_changed(struct target_subsystem *subsystem);
/** A command was let in to the namespace, or has left it. */
void subsystem_io_begin(struct target_subsystem *subsystem, struct command *command);
void subsystem_io_end(struct target_subsystem *subsystem, struct command *command);
/** One of its connections was freed. */
void subsystem_connection_gone(struct target_subsystem *subsystem);
/** Lists and counters. Memory for hosts and notices is the caller's. */
void subsystem_init(struct target_subsystem *subsystem, struct target *target,
		    struct reactor *home);

/* ---- target.c ---- */

/** A connection that had not left main is gone. */
void target_connection_gone(struct target *target);

/* ---- status.c: pure ---- */

/** How an I/O's end is told: type and code; @is_write picks between the two media errors. */
uint16_t status_from_io(enum io_status status, bool is_write);
/** Adds the do-not-retry bit where the same command would fail again. */
struct nvme_status_field status_field(uint16_t status);
/** Which of CRDT1..3 an error of @status names; 0: none. */
uint8_t status_retry_delay(uint16_t status, enum target_error_class error_class);
/** What a command gets that needs the namespace in @state; SUCCESS when it may go on. */
uint16_t status_from_ana(enum target_ana_state state);

/* ---- discovery.c ---- */

/** The set of subsystems, or who may see them, has changed. Context: main. */
void discovery_changed(struct target *target);

#endif
