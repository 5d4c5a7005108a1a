/* SPDX-License-Identifier: Apache-2.0 */
/* target_server.c - a small program that serves memory disks, for tests with real hosts.
 *
 *	target_server ADDRESS[,ADDRESS] PORT REACTORS NAME:SIZE_MB:BLOCK_BYTES:ANA[:URI] ...
 *
 * It prints "ready" and then obeys lines on its standard input, each answered with "ok" or
 * "error N": ana NAME STATE, pause NAME, resume NAME, hosts NAME [NQN], grow NAME MB, inspect NAME,
 * remove NAME, connections, quit. Subsystem i lives on reactor i + 1 modulo REACTORS. PORT 0 lets
 *the system choose; the port is printed behind "ready".
 */
#include "base/memory.h"
#include "block/bdev_registry.h"
#include "target/target.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBSYSTEMS_MAX 16
#define REACTORS_LIMIT 4
#define LINE_BYTES     512

struct served {
	char name[64];
	char uri[256];
	bool is_ana;
	struct target_subsystem *subsystem;
	struct bdev *bdev;
	struct target_reservation_store store;
	struct target_reservation_state kept;
	bool has_kept;
};

enum server_step {
	SERVER_TARGET,
	SERVER_BDEV,
	SERVER_SUBSYSTEM,
	SERVER_READY,
	SERVER_COMMAND,
	SERVER_ANSWER,
	SERVER_REMOVE,
	SERVER_REMOVE_BDEV,
	SERVER_END,
	SERVER_STOP,
};

struct server {
	struct os *os;
	struct reactor *reactors[REACTORS_LIMIT];
	struct os_thread *threads[REACTORS_LIMIT];
	struct os_thread *reader;
	uint32_t reactor_count;
	struct bdev_registry *registry;
	struct target *target;
	struct target_options options;
	struct log log;
	struct served served[SUBSYSTEMS_MAX];
	uint32_t served_count;
	uint32_t index;
	struct op op;
	enum server_step step;
	struct target_create target_create;
	struct bdev_create bdev_create;
	struct bdev_destroy bdev_destroy;
	struct target_subsystem_create create;
	struct target_subsystem_change change;
	struct target_subsystem_inspect inspect;
	struct reactor_message line_message;
	sem_t line_done;
	char line[LINE_BYTES];
	const char *host;
	bool is_quitting;
	bool is_inspecting;
	bool is_ended;
};

static void log_write(struct log *log, const char *line)
{
	(void)log;
	(void)fprintf(stderr, "%s\n", line);
}

static uint32_t number(const char *text)
{
	return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

static void answer(const char *text)
{
	(void)printf("%s\n", text);
	(void)fflush(stdout);
}

static void answer_result(int result)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "error %d", -result);
	answer(result == 0 ? "ok" : text);
}

static void store_load(struct target_reservation_store *store,
		       struct target_reservation_request *request)
{
	struct served *served = store->user;

	request->result = served->has_kept ? 0 : -ENOENT;
	if (served->has_kept)
		request->state = served->kept;
	op_done(request->parent);
}

static void store_store(struct target_reservation_store *store,
			struct target_reservation_request *request)
{
	struct served *served = store->user;

	served->kept = request->state;
	served->has_kept = true;
	request->result = 0;
	op_done(request->parent);
}

static enum op_flow server_target(struct server *server)
{
	server->target_create = (struct target_create){.parent = &server->op,
						       .main = server->reactors[0],
						       .reactors = server->reactors,
						       .reactor_count = server->reactor_count,
						       .options = &server->options,
						       .log = &server->log};
	op_wait(&server->op);
	target_create_submit(&server->target_create);
	return op_join(&server->op);
}

static enum op_flow server_bdev(struct server *server)
{
	struct served *served = &server->served[server->index];

	memset(&server->bdev_create, 0, sizeof(server->bdev_create));
	server->bdev_create.parent = &server->op;
	server->bdev_create.registry = server->registry;
	(void)snprintf(server->bdev_create.uri_text, sizeof(server->bdev_create.uri_text), "%s",
		       served->uri);
	op_wait(&server->op);
	bdev_create_submit(&server->bdev_create);
	return op_join(&server->op);
}

static void fail(const char *text)
{
	(void)fprintf(stderr, "target_server: %s\n", text);
	exit(1);
}

static enum op_flow server_subsystem(struct server *server)
{
	struct served *served = &server->served[server->index];
	struct target_subsystem_create *create = &server->create;

	if (server->bdev_create.result < 0)
		fail(server->bdev_create.error);
	served->bdev = server->bdev_create.bdev;
	memset(create, 0, sizeof(*create));
	create->parent = &server->op;
	create->target = server->target;
	create->bdev = served->bdev;
	create->home = server->reactors[(server->index + 1) % server->reactor_count];
	create->uuid = served->bdev->uuid;
	if (uuid_is_nil(&create->uuid))
		memset(create->uuid.bytes, 0x40 + (int)server->index, sizeof(create->uuid.bytes));
	create->is_ana_reporting = served->is_ana;
	served->store = (struct target_reservation_store){
		.load = store_load, .store = store_store, .user = served};
	create->reservation_store = &served->store;
	if (target_nqn_format(served->name, create->nqn) < 0)
		fail("name too long");
	target_serial_from_uuid(&create->uuid, create->serial);
	op_wait(&server->op);
	target_subsystem_create_submit(create);
	return op_join(&server->op);
}

static void *reader_main(void *argument);
static void reader_thread(void *argument)
{
	(void)reader_main(argument);
}

static void server_ready(struct server *server)
{
	struct os_address address;
	char text[64];

	target_listener_address(server->target, 0, &address);
	(void)snprintf(text, sizeof(text), "ready %u", os_address_port(&address));
	answer(text);
	if (os_thread_start(server->os, -1, reader_thread, server, &server->reader) < 0)
		fail("no thread for the standard input");
}

/* One more is served. Return: the next step. */
static enum server_step server_created(struct server *server)
{
	if (server->create.result < 0)
		fail(server->create.error);
	server->served[server->index++].subsystem = server->create.subsystem;
	if (server->index < server->served_count)
		return SERVER_BDEV;
	server_ready(server);
	return SERVER_COMMAND;
}

static struct served *served_find(struct server *server, const char *name)
{
	for (uint32_t i = 0; i < server->served_count; i++) {
		if (name != NULL && strcmp(server->served[i].name, name) == 0 &&
		    server->served[i].subsystem != NULL) {
			server->index = i;
			return &server->served[i];
		}
	}
	return NULL;
}

static void inspect_print(const struct target_subsystem_inspect *inspect)
{
	(void)printf("controllers %u registrants %u type %u\n", inspect->controller_count,
		     inspect->reservations.registrant_count, inspect->reservations.type);
	for (uint32_t i = 0; i < inspect->host_count; i++)
		(void)printf("host %s cntlid %u queues %u from %s\n", inspect->hosts[i].nqn,
			     inspect->hosts[i].cntlid, inspect->hosts[i].io_queue_count,
			     inspect->hosts[i].address);
}

/* Starts what the line says. Return: the next step. */
static enum server_step server_command(struct server *server)
{
	char *rest = NULL;
	const char *verb = strtok_r(server->line, " \n", &rest);
	struct served *served = served_find(server, strtok_r(NULL, " \n", &rest));
	const char *word = strtok_r(NULL, " \n", &rest);
	struct target_subsystem_change *change = &server->change;

	server->is_inspecting = false;
	change->result = 0;
	if (verb != NULL && strcmp(verb, "quit") == 0) {
		server->is_quitting = true;
		server->index = 0;
		return SERVER_REMOVE;
	}
	if (verb != NULL && strcmp(verb, "connections") == 0) {
		(void)printf("%u\n", target_connection_count(server->target));
		return SERVER_ANSWER;
	}
	if (verb == NULL || served == NULL) {
		change->result = -EINVAL;
		return SERVER_ANSWER;
	}
	if (strcmp(verb, "remove") == 0)
		return SERVER_REMOVE;
	if (strcmp(verb, "grow") == 0) {
		memset(&server->bdev_create, 0, sizeof(server->bdev_create));
		server->bdev_create.parent = &server->op;
		server->bdev_create.registry = server->registry;
		(void)snprintf(server->bdev_create.uri_text, sizeof(server->bdev_create.uri_text),
			       "malloc:///%s?size_mb=%s&blk_size=%u&resize", served->name,
			       word == NULL ? "0" : word, served->bdev->block_bytes);
		op_wait(&server->op);
		bdev_create_submit(&server->bdev_create);
		return SERVER_ANSWER;
	}
	memset(change, 0, sizeof(*change));
	change->parent = &server->op;
	change->subsystem = served->subsystem;
	op_wait(&server->op);
	if (strcmp(verb, "ana") == 0) {
		change->ana_state = (enum target_ana_state)number(word);
		target_subsystem_set_ana_state_submit(change);
	} else if (strcmp(verb, "pause") == 0) {
		target_subsystem_pause_submit(change);
	} else if (strcmp(verb, "resume") == 0) {
		target_subsystem_resume_submit(change);
	} else if (strcmp(verb, "hosts") == 0) {
		server->host = word;
		change->allowed_hosts = &server->host;
		change->allowed_host_count = word == NULL ? 0 : 1;
		target_subsystem_set_allowed_hosts_submit(change);
	} else if (strcmp(verb, "inspect") == 0) {
		server->is_inspecting = true;
		server->inspect = (struct target_subsystem_inspect){.parent = &server->op,
								    .subsystem = served->subsystem};
		target_subsystem_inspect_submit(&server->inspect);
	} else {
		change->result = -EINVAL;
		op_done(&server->op);
	}
	return SERVER_ANSWER;
}

static enum op_flow server_remove(struct server *server)
{
	struct served *served = &server->served[server->index];

	if (server->index >= server->served_count || served->subsystem == NULL)
		return OP_NEXT;
	memset(&server->change, 0, sizeof(server->change));
	server->change.parent = &server->op;
	server->change.subsystem = served->subsystem;
	served->subsystem = NULL;
	op_wait(&server->op);
	target_subsystem_destroy_submit(&server->change);
	return op_join(&server->op);
}

static enum op_flow server_remove_bdev(struct server *server)
{
	struct served *served = &server->served[server->index];

	if (server->index >= server->served_count || served->bdev == NULL)
		return OP_NEXT;
	memset(&server->bdev_destroy, 0, sizeof(server->bdev_destroy));
	server->bdev_destroy.parent = &server->op;
	server->bdev_destroy.bdev = served->bdev;
	served->bdev = NULL;
	op_wait(&server->op);
	bdev_destroy_submit(server->registry, &server->bdev_destroy);
	return op_join(&server->op);
}

static void server_stop(struct server *server)
{
	answer("ok");
	server->is_ended = true;
	(void)sem_post(&server->line_done);
	for (uint32_t i = 0; i < server->reactor_count; i++)
		reactor_stop(server->reactors[i]);
}

static void server_run(struct op *op)
{
	struct server *server = container_of(op, struct server, op);

	for (;;) {
		switch (server->step) {
		case SERVER_TARGET:
			server->step = SERVER_BDEV;
			if (server_target(server) == OP_WAIT)
				return;
			break;
		case SERVER_BDEV:
			if (server->target_create.result < 0)
				fail(server->target_create.error);
			server->target = server->target_create.target;
			server->step = SERVER_SUBSYSTEM;
			if (server_bdev(server) == OP_WAIT)
				return;
			break;
		case SERVER_SUBSYSTEM:
			server->step = SERVER_READY;
			if (server_subsystem(server) == OP_WAIT)
				return;
			break;
		case SERVER_READY:
			server->step = server_created(server);
			if (server->step == SERVER_COMMAND)
				return;
			break;
		case SERVER_COMMAND:
			server->step = server_command(server);
			if (server->step == SERVER_ANSWER && op_join(op) == OP_WAIT)
				return;
			break;
		case SERVER_ANSWER:
			server->step = SERVER_COMMAND;
			if (server->is_inspecting)
				inspect_print(&server->inspect);
			answer_result(server->change.result);
			(void)sem_post(&server->line_done);
			return;
		case SERVER_REMOVE:
			server->step = SERVER_REMOVE_BDEV;
			if (server_remove(server) == OP_WAIT)
				return;
			break;
		case SERVER_REMOVE_BDEV:
			server->step = server->is_quitting ? SERVER_REMOVE : SERVER_ANSWER;
			if (server->is_quitting && server->index >= server->served_count)
				server->step = SERVER_END;
			if (server_remove_bdev(server) == OP_WAIT) {
				server->index++;
				return;
			}
			server->index++;
			break;
		case SERVER_END:
			server->step = SERVER_STOP;
			op_wait(op);
			target_destroy_submit(server->target, op);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case SERVER_STOP:
			server_stop(server);
			return;
		}
	}
}

static void line_arrived(struct reactor_message *message)
{
	struct server *server = container_of(message, struct server, line_message);

	op_start(&server->op);
}

static void *reader_main(void *argument)
{
	struct server *server = argument;

	while (!server->is_ended) {
		if (fgets(server->line, sizeof(server->line), stdin) == NULL)
			(void)snprintf(server->line, sizeof(server->line), "quit");
		server->line_message.run = line_arrived;
		reactor_send(server->reactors[0], &server->line_message);
		(void)sem_wait(&server->line_done);
	}
	return NULL;
}

static void reactor_main(void *argument)
{
	reactor_run(argument);
}

static void server_parse(struct server *server, char *text)
{
	struct served *served = &server->served[server->served_count++];
	char *rest = NULL;
	const char *name = strtok_r(text, ":", &rest);
	const char *size = strtok_r(NULL, ":", &rest);
	const char *block = strtok_r(NULL, ":", &rest);
	const char *ana = strtok_r(NULL, ":", &rest);

	if (ana == NULL)
		fail("NAME:SIZE_MB:BLOCK_BYTES:ANA[:URI]");
	(void)snprintf(served->name, sizeof(served->name), "%s", name);
	served->is_ana = ana[0] == '1';
	if (rest != NULL && rest[0] != '\0')
		(void)snprintf(served->uri, sizeof(served->uri), "%s", rest);
	else
		(void)snprintf(served->uri, sizeof(served->uri),
			       "malloc:///%s?size_mb=%s&blk_size=%s", name, size, block);
}

static void server_addresses(struct server *server, char *text, uint16_t port)
{
	char *rest = NULL;

	for (char *word = strtok_r(text, ",", &rest); word != NULL;
	     word = strtok_r(NULL, ",", &rest)) {
		if (server->options.listen_count == TARGET_LISTENERS_MAX ||
		    os_address_parse(word, port,
				     &server->options.listen[server->options.listen_count++]) < 0)
			fail("the address is not numeric");
	}
}

static void server_start(struct server *server)
{
	struct reactor_options options;

	if (os_open(&server->os) < 0)
		fail("the system cannot be opened");
	for (uint32_t i = 0; i < server->reactor_count; i++) {
		reactor_options_default(&options);
		options.index = i;
		if (reactor_create(server->os, &options, &server->reactors[i]) < 0)
			fail("a reactor cannot be made");
	}
	for (uint32_t i = 1; i < server->reactor_count; i++) {
		if (os_thread_start(server->os, -1, reactor_main, server->reactors[i],
				    &server->threads[i]) < 0)
			fail("a thread cannot be started");
	}
	if (bdev_registry_create(server->reactors[0], &server->registry) < 0 ||
	    bdev_memory_register(server->registry) < 0 ||
	    bdev_null_register(server->registry) < 0 || bdev_uring_register(server->registry) < 0)
		fail("no memory");
}

int main(int argc, char **argv)
{
	struct server *server = calloc(1, sizeof(*server));

	if (argc < 5 || argc > 4 + SUBSYSTEMS_MAX || server == NULL)
		fail("usage: target_server ADDRESS PORT REACTORS NAME:SIZE_MB:BLOCK:ANA ...");
	server->log = (struct log){.level = getenv("TARGET_DEBUG") != NULL ? LOG_DEBUG : LOG_INFO,
				   .write = log_write};
	target_options_default(&server->options);
	if (getenv("TARGET_DEPTH") != NULL)
		server->options.queue_depth = number(getenv("TARGET_DEPTH"));
	server_addresses(server, argv[1], (uint16_t)number(argv[2]));
	server->reactor_count = number(argv[3]);
	if (server->reactor_count < 1 || server->reactor_count > REACTORS_LIMIT)
		fail("1 to 4 reactors");
	for (int i = 4; i < argc; i++)
		server_parse(server, argv[i]);
	(void)sem_init(&server->line_done, 0, 0);
	server_start(server);
	op_init(&server->op, reactor_ready(server->reactors[0]), server_run);
	op_start(&server->op);
	reactor_run(server->reactors[0]);
	os_thread_join(server->reader);
	for (uint32_t i = 1; i < server->reactor_count; i++)
		os_thread_join(server->threads[i]);
	bdev_registry_destroy(server->registry);
	for (uint32_t i = 0; i < server->reactor_count; i++)
		reactor_destroy(server->reactors[i]);
	os_close(server->os);
	(void)sem_destroy(&server->line_done);
	free(server);
	return 0;
}
