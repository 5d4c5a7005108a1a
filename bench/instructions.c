/* SPDX-License-Identifier: Apache-2.0 */
/* instructions.c - mayastor-instructions: N I/Os from the load's loop through initiator and target
 * to a null device, in the simulator's virtual time, to be run under callgrind.
 *
 * Nothing depends on the machine: the same number of I/Os always takes the same instructions. The
 * difference of two runs, divided by the difference of their numbers, is what one I/O takes, with
 * all set-up fallen out. What sim/ takes itself is not counted (bench/instructions.py).
 */
#include "bench/load_stream.h"
#include "initiator/initiator.h"
#include "sim/sim_net.h"
#include "target/target.h"

#include <stdlib.h>
#include <string.h>

#define NAME	   "null"
#define ADDRESS	   "10.0.0.1"
#define SEED	   1
#define LIMIT	   (100000 * SIM_S)
#define LATENCY_NS (10 * SIM_US)

/* A machine with one process and one reactor. */
struct side {
	struct sim *sim;
	struct sim_process *process;
	struct reactor *reactor;
	struct bdev_registry *registry;
	struct log log;
	struct op op; /* what main waits for */
	bool is_over;
};

struct world {
	struct sim *sim;
	struct side server;
	struct side host;
	struct bdev_create create;
	struct target_options target_options;
	struct target_create target_create;
	struct target_subsystem_create export;
	struct load_options options;
	struct load_shared shared;
	struct load_stream stream;
};

static void fail(const char *what)
{
	fprintf(stderr, "mayastor-instructions: %s\n", what);
	exit(EXIT_FAILURE);
}

static void check(int rc, const char *what)
{
	if (rc < 0)
		fail(what);
}

static void log_write(struct log *log, const char *line)
{
	(void)log;
	fprintf(stderr, "%s\n", line);
}

static void over_run(struct op *op)
{
	container_of(op, struct side, op)->is_over = true;
}

static bool is_over(void *argument)
{
	return ((struct side *)argument)->is_over;
}

/* From here to side_end() the code is the side's. */
static void side_begin(struct side *side)
{
	(void)sim_enter(side->process);
	reactor_turn(side->reactor, false); /* its clock may be an old one */
	side->is_over = false;
	op_init(&side->op, reactor_ready(side->reactor), over_run);
}

static void side_end(struct side *side, const char *what)
{
	sim_leave(NULL);
	if (op_join(&side->op) == OP_WAIT &&
	    sim_run(side->sim, is_over, side, LIMIT) != SIM_REACHED)
		fail(what);
}

static void side_start(struct side *side, struct sim *sim, const char *name, const char *ip)
{
	struct reactor_options options;

	side->sim = sim;
	side->process = sim_process_create(sim, name, ip);
	side->log = (struct log){.level = LOG_WARN, .write = log_write};
	(void)sim_enter(side->process);
	reactor_options_default(&options);
	check(reactor_create(sim_process_os(side->process), &options, &side->reactor), name);
	sim_reactor_add(side->process, side->reactor);
	check(bdev_registry_create(side->reactor, &side->registry), name);
	check(bdev_null_register(side->registry), name);
	sim_leave(NULL);
}

/* What is sent together arrives together. */
static void link_calm(struct side *from, struct side *to)
{
	struct sim_link *link =
		sim_net_link(from->process, to->process, SIM_PLANE_OF_PORT(TARGET_DEFAULT_PORT));

	link->latency_ns_min = link->latency_ns_max = LATENCY_NS;
	link->ns_per_kib = 0;
}

static struct bdev *device_create(struct world *world, struct side *side, const char *uri)
{
	struct bdev_create *create = &world->create;

	side_begin(side);
	*create = (struct bdev_create){.parent = &side->op, .registry = side->registry};
	snprintf(create->uri_text, sizeof(create->uri_text), "%s", uri);
	op_wait(&side->op);
	bdev_create_submit(create);
	side_end(side, uri);
	check(create->result, create->error);
	return create->bdev;
}

static void target_start(struct world *world)
{
	struct side *server = &world->server;
	struct target_options *options = &world->target_options;

	target_options_default(options);
	options->listen_count = 1;
	check(os_address_parse(ADDRESS, TARGET_DEFAULT_PORT, &options->listen[0]), ADDRESS);
	side_begin(server);
	world->target_create = (struct target_create){
		.parent = &server->op,
		.main = server->reactor,
		.reactors = &server->reactor,
		.reactor_count = 1,
		.options = options,
		.log = &server->log,
	};
	op_wait(&server->op);
	target_create_submit(&world->target_create);
	side_end(server, "the target");
	check(world->target_create.result, world->target_create.error);
}

static void device_export(struct world *world, struct bdev *bdev)
{
	struct target_subsystem_create *create = &world->export;
	struct side *server = &world->server;

	*create = (struct target_subsystem_create){
		.parent = &server->op,
		.target = world->target_create.target,
		.bdev = bdev,
		.home = server->reactor,
		.uuid = bdev->uuid,
	};
	check(target_nqn_format(NAME, create->nqn), NAME);
	target_serial_from_uuid(&bdev->uuid, create->serial);
	side_begin(server);
	op_wait(&server->op);
	target_subsystem_create_submit(create);
	side_end(server, "the export");
	check(create->result, create->error);
}

static void host_register(struct side *host)
{
	struct initiator_options options;

	initiator_options_default(&options);
	snprintf(options.host_nqn, sizeof(options.host_nqn),
		 "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001");
	options.host_id[0] = 1;
	options.log = &host->log;
	(void)sim_enter(host->process);
	check(initiator_register(host->registry, &options), "the initiator");
	sim_leave(NULL);
}

static void load_run(struct world *world, struct bdev *bdev)
{
	struct load_stream *stream = &world->stream;
	struct side *host = &world->host;
	char error[ERROR_TEXT_BYTES];

	world->shared.options = &world->options;
	world->shared.reactor = host->reactor;
	world->shared.parent = &host->op;
	stream->shared = &world->shared;
	stream->uri = NAME;
	stream->slice_count = 1;
	stream->stamp_seed = SEED;
	side_begin(host);
	check(bdev_channel_open(bdev, host->reactor, &stream->channel), "no channel");
	check(load_stream_init(stream, error), error);
	load_pace_init(&world->shared.pace, host->reactor, 0);
	load_stream_start(stream);
	side_end(host, "the load");
	if (world->shared.result.error_count != 0)
		fail("I/O was answered with errors");
}

static uint64_t side_turns(const struct side *side)
{
	struct reactor_stats stats;

	reactor_stats(side->reactor, &stats);
	return stats.turns;
}

int main(int argc, char **argv)
{
	static struct world world;
	struct bdev *bdev;

	if (argc != 3 || (strcmp(argv[1], "read") != 0 && strcmp(argv[1], "write") != 0)) {
		fprintf(stderr, "Usage: %s read|write COUNT\n", argv[0]);
		return 2;
	}
	world.options = (struct load_options){
		.connections = 1,
		.read_percent = argv[1][0] == 'r' ? 100 : 0,
		.size_bytes = 4096,
		.depth = 32,
		.count = strtoull(argv[2], NULL, 10),
	};
	world.sim = sim_create(SEED);
	side_start(&world.server, world.sim, "server", ADDRESS);
	side_start(&world.host, world.sim, "host", "10.0.0.2");
	link_calm(&world.server, &world.host);
	link_calm(&world.host, &world.server);
	host_register(&world.host);
	bdev = device_create(&world, &world.server,
			     "null:///" NAME
			     "?size_mb=1024&uuid=c1000000-0000-4000-8000-000000000001");
	target_start(&world);
	device_export(&world, bdev);
	bdev = device_create(&world, &world.host,
			     "nvmf://" ADDRESS ":8420/" TARGET_NQN_PREFIX ":" NAME);
	load_run(&world, bdev);
	printf("{\"operations\":%llu,\"target_turns\":%llu,\"host_turns\":%llu}\n",
	       (unsigned long long)world.shared.begun_count,
	       (unsigned long long)side_turns(&world.server),
	       (unsigned long long)side_turns(&world.host));
	return 0;
}
