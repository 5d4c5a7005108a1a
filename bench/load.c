/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - mayastor-load: opens block devices through the ordinary drivers and loads them.
 *
 *	OPEN -> CHANNELS -> PROBE -> LOAD -> SWEEP -> IDLE -> CLOSE -> END
 *
 * One reactor drives all connections. Each connection has a registry of its own, so that one
 * remote device can be opened many times although its name is unique in a registry.
 *
 * Invariants:
 *  1. Whatever fails, the run passes through CLOSE: channels closed, devices destroyed.
 *  2. Time and CPU are taken from the first submission to the last answer, opening and sweep
 *     excluded.
 */
#include "base/memory.h"
#include "bench/load_report.h"
#include "initiator/initiator.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define TICK_NS	      20000000 /* how soon a signal ends the load */
#define SPARE_BUFFERS 64       /* for drivers that emulate */
#define RETRY_LOSS_MS 600000

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t is_interrupted;

enum run_step {
	RUN_OPEN,
	RUN_CHANNELS,
	RUN_PROBE,
	RUN_LOAD,
	RUN_LOADED,
	RUN_SWEEP,
	RUN_IDLE,
	RUN_CLOSE,
	RUN_END,
};

struct load_run {
	struct op op;
	enum run_step step;
	struct os *os;
	struct log log;
	struct reactor *reactor;
	struct load_options options;
	struct load_shared shared;
	struct load_stream *streams;
	uint32_t stream_count;
	struct reactor_timer tick;
	struct reactor_timer idle;
	uint64_t end_ns; /* of the load; UINT64_MAX: by count */
	struct load_report report;
	struct reactor_stats before; /* the load */
};

static void interrupted(int number)
{
	(void)number;
	is_interrupted = 1;
}

static void log_write(struct log *log, const char *line)
{
	(void)log;
	fprintf(stderr, "%s\n", line);
}

static uint64_t cpu_now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void run_fail(struct load_run *run, enum load_exit exit, const char *reason)
{
	fprintf(stderr, "mayastor-load: %s\n", reason);
	run->report.exit = exit;
}

static enum op_flow run_open(struct load_run *run)
{
	for (uint32_t i = 0; i < run->stream_count; i++) {
		struct load_stream *stream = &run->streams[i];

		stream->create = (struct bdev_create){
			.parent = &run->op,
			.registry = stream->registry,
		};
		snprintf(stream->create.uri_text, sizeof(stream->create.uri_text), "%s",
			 stream->uri);
		op_wait(&run->op);
		bdev_create_submit(&stream->create);
	}
	return op_join(&run->op);
}

static int channel_open(struct load_run *run, struct load_stream *stream)
{
	char text[ERROR_TEXT_BYTES];
	int rc;

	if (stream->create.result < 0) {
		run_fail(run, LOAD_EXIT_OPEN, stream->create.error);
		return stream->create.result;
	}
	rc = bdev_channel_open(stream->create.bdev, run->reactor, &stream->channel);
	if (rc < 0) {
		snprintf(text, sizeof(text), "%.300s: no channel: %s", stream->uri, strerror(-rc));
		run_fail(run, LOAD_EXIT_OPEN, text);
		return rc;
	}
	rc = load_stream_init(stream, text);
	if (rc < 0)
		run_fail(run, LOAD_EXIT_OPEN, text);
	return rc;
}

/* One read of each, so that connecting is not measured and a dead device is told at once. */
static enum run_step run_channels(struct load_run *run)
{
	for (uint32_t i = 0; i < run->stream_count; i++) {
		if (channel_open(run, &run->streams[i]) < 0)
			return RUN_CLOSE;
	}
	return RUN_PROBE;
}

static enum op_flow run_probe(struct load_run *run)
{
	for (uint32_t i = 0; i < run->stream_count; i++)
		load_stream_probe(&run->streams[i]);
	return op_join(&run->op);
}

static enum op_flow run_load(struct load_run *run)
{
	char text[ERROR_TEXT_BYTES];

	for (uint32_t i = 0; i < run->stream_count; i++) {
		enum io_status status = load_stream_probe_status(&run->streams[i]);

		if (status == IO_OK)
			continue;
		snprintf(text, sizeof(text), "%.300s: the first read failed: %s",
			 run->streams[i].uri, io_status_text(status));
		run_fail(run, LOAD_EXIT_OPEN, text);
		return OP_NEXT;
	}
	run->report.wall_ns = os_clock_now_ns(run->os);
	run->report.cpu_ns = cpu_now_ns();
	reactor_stats(run->reactor, &run->before);
	load_pace_start(&run->shared.pace, run->report.wall_ns);
	if (run->options.duration_ns != 0)
		run->end_ns = run->report.wall_ns + run->options.duration_ns;
	reactor_timer_start(&run->tick, TICK_NS);
	for (uint32_t i = 0; i < run->stream_count; i++)
		load_stream_start(&run->streams[i]);
	return op_join(&run->op);
}

static void tick_expired(struct reactor_timer *timer)
{
	struct load_run *run = container_of(timer, struct load_run, tick);
	uint64_t now_ns = os_clock_now_ns(run->os);

	if (is_interrupted || now_ns >= run->end_ns) {
		run->shared.is_ending = true;
		return;
	}
	reactor_timer_start(timer, run->end_ns - now_ns < TICK_NS ? run->end_ns - now_ns : TICK_NS);
}

/* Of the I/Os that the schedule had for this time or number, those that had no place to begin. */
static uint64_t run_behind_count(const struct load_run *run)
{
	const struct load_options *options = &run->options;
	uint64_t now_ns = os_clock_now_ns(run->os);

	if (options->count != 0 && run->shared.begun_count == options->count)
		return 0;
	return load_pace_behind_count(&run->shared.pace,
				      (now_ns < run->end_ns ? now_ns : run->end_ns) - 1);
}

static enum run_step run_loaded(struct load_run *run)
{
	const struct load_result *result = &run->shared.result;
	struct reactor_stats after;

	reactor_timer_stop(&run->tick);
	load_pace_stop(&run->shared.pace);
	if (run->report.exit != LOAD_EXIT_OK)
		return RUN_CLOSE;
	reactor_stats(run->reactor, &after);
	run->report.enters = after.enters - run->before.enters;
	run->report.yields = after.yields - run->before.yields;
	if (run->options.rate != 0)
		run->report.behind_count = run_behind_count(run);
	run->report.wall_ns = os_clock_now_ns(run->os) - run->report.wall_ns;
	run->report.cpu_ns = cpu_now_ns() - run->report.cpu_ns;
	if (result->mismatch.uri != NULL)
		return RUN_CLOSE;
	return run->options.is_verifying ? RUN_SWEEP : RUN_IDLE;
}

static enum op_flow run_sweep(struct load_run *run)
{
	run->shared.is_ending = false;
	for (uint32_t i = 0; i < run->stream_count; i++)
		load_stream_sweep(&run->streams[i]);
	return op_join(&run->op);
}

/* Connected and without I/O: what an idle target costs can be measured meanwhile. */
static enum op_flow run_idle(struct load_run *run)
{
	if (run->options.idle_ns == 0 || is_interrupted)
		return OP_NEXT;
	op_wait(&run->op);
	reactor_timer_start(&run->idle, run->options.idle_ns);
	return op_join(&run->op);
}

static void idle_expired(struct reactor_timer *timer)
{
	op_done(&container_of(timer, struct load_run, idle)->op);
}

static enum op_flow run_close(struct load_run *run)
{
	for (uint32_t i = 0; i < run->stream_count; i++) {
		struct load_stream *stream = &run->streams[i];

		if (stream->ledger != NULL)
			run->report.doubtful_units += ledger_doubtful_count(stream->ledger);
		load_stream_deinit(stream);
		bdev_channel_close(stream->channel);
		if (stream->create.result < 0)
			continue;
		stream->destroy = (struct bdev_destroy){
			.parent = &run->op,
			.bdev = stream->create.bdev,
			.is_reference = stream->create.is_reference,
		};
		op_wait(&run->op);
		bdev_destroy_submit(stream->registry, &stream->destroy);
	}
	return op_join(&run->op);
}

static void run_run(struct op *op)
{
	struct load_run *run = container_of(op, struct load_run, op);

	for (;;) {
		switch (run->step) {
		case RUN_OPEN:
			run->step = RUN_CHANNELS;
			if (run_open(run) == OP_WAIT)
				return;
			break;
		case RUN_CHANNELS:
			run->step = run_channels(run);
			break;
		case RUN_PROBE:
			run->step = RUN_LOAD;
			if (run_probe(run) == OP_WAIT)
				return;
			break;
		case RUN_LOAD:
			run->step = RUN_LOADED;
			if (run_load(run) == OP_WAIT)
				return;
			break;
		case RUN_LOADED:
			run->step = run_loaded(run);
			break;
		case RUN_SWEEP:
			run->step = RUN_IDLE;
			if (run_sweep(run) == OP_WAIT)
				return;
			break;
		case RUN_IDLE:
			run->step = RUN_CLOSE;
			if (run_idle(run) == OP_WAIT)
				return;
			break;
		case RUN_CLOSE:
			run->step = RUN_END;
			if (run_close(run) == OP_WAIT)
				return;
			break;
		case RUN_END:
			reactor_stop(run->reactor);
			return;
		}
	}
}

static int drivers_add(struct load_run *run, struct bdev_registry *registry)
{
	struct initiator_options options;
	char host_text[UUID_TEXT_BYTES];
	struct uuid host;
	int rc = bdev_memory_register(registry);

	if (rc == 0)
		rc = bdev_null_register(registry);
	if (rc == 0)
		rc = bdev_uring_register(registry);
	if (rc == 0)
		rc = bdev_pcie_register(registry);
	if (rc < 0)
		return rc;
	initiator_options_default(&options);
	/* A host of its own; NVMe base 2.0, section 4.5: the form for UUIDs. */
	os_entropy_fill(run->os, options.host_id, sizeof(options.host_id));
	host = uuid_from_random(options.host_id);
	uuid_format(&host, host_text);
	snprintf(options.host_nqn, sizeof(options.host_nqn), "nqn.2014-08.org.nvmexpress:uuid:%s",
		 host_text);
	options.queue_depth = run->options.depth < 2 ? 2 : run->options.depth;
	options.has_header_digest = run->options.has_digests;
	options.has_data_digest = run->options.has_digests;
	options.is_retrying = run->options.is_retrying;
	options.is_sole = false; /* --uri may name it twice */
	if (options.is_retrying)
		options.ctrl_loss_timeout_ms = RETRY_LOSS_MS;
	options.log = &run->log;
	return initiator_register(registry, &options);
}

static int streams_create(struct load_run *run)
{
	const struct load_options *options = &run->options;

	run->stream_count = options->uri_count * options->connections;
	run->streams = memory_alloc_array(run->stream_count, sizeof(run->streams[0]));
	if (run->streams == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < run->stream_count; i++) {
		struct load_stream *stream = &run->streams[i];
		int rc = bdev_registry_create(run->reactor, &stream->registry);

		if (rc == 0)
			rc = drivers_add(run, stream->registry);
		if (rc < 0)
			return rc;
		stream->shared = &run->shared;
		stream->uri = options->uris[i / options->connections];
		stream->slice_index = i % options->connections;
		stream->slice_count = options->connections;
		stream->stamp_seed = options->seed + i * 0x9e3779b97f4a7c15ull;
	}
	return 0;
}

static void streams_destroy(struct load_run *run)
{
	for (uint32_t i = 0; run->streams != NULL && i < run->stream_count; i++)
		bdev_registry_destroy(run->streams[i].registry);
	memory_free(run->streams);
}

static int run_reactor_create(struct load_run *run)
{
	const struct load_options *options = &run->options;
	uint32_t inflight = options->uri_count * options->connections * options->depth;
	bool is_small = options->size_bytes <= SMALL_BUFFER_BYTES;
	struct reactor_options reactor_options;

	reactor_options_default(&reactor_options);
	reactor_options.core = options->core;
	reactor_options.small_buffer_count = SPARE_BUFFERS + (is_small ? inflight : 0);
	reactor_options.large_buffer_count = SPARE_BUFFERS + (is_small ? 0 : inflight);
	return reactor_create(run->os, &reactor_options, &run->reactor);
}

static void thread_main(void *argument)
{
	struct load_run *run = argument;

	op_init(&run->op, reactor_ready(run->reactor), run_run);
	reactor_timer_init(&run->tick, run->reactor, tick_expired);
	reactor_timer_init(&run->idle, run->reactor, idle_expired);
	run->end_ns = UINT64_MAX;
	run->shared.options = &run->options;
	run->shared.reactor = run->reactor;
	run->shared.parent = &run->op;
	load_pace_init(&run->shared.pace, run->reactor, run->options.rate);
	op_start(&run->op);
	reactor_run(run->reactor);
	/* What the closing of devices left behind. */
	while (reactor_turn(run->reactor, false))
		;
}

static void run_judge(struct load_run *run)
{
	const struct load_result *result = &run->shared.result;

	run->report.options = &run->options;
	run->report.result = result;
	if (result->mismatch.uri != NULL)
		run->report.exit = LOAD_EXIT_MISMATCH;
	else if (result->error_count > 0)
		run->report.exit = LOAD_EXIT_ERRORS;
	load_report_print(&run->report, stdout);
	if (run->options.plot_path != NULL && load_report_plot(&run->report) < 0) {
		fprintf(stderr, "mayastor-load: --plot %s: cannot be written: %s\n",
			run->options.plot_path, strerror(errno));
		run->report.exit = LOAD_EXIT_USAGE;
	}
	if (result->mismatch.uri != NULL && run->options.is_json)
		load_report_mismatch(&result->mismatch, stderr);
}

/* Return: enum load_exit. */
static int run_all(struct load_run *run)
{
	struct os_thread *thread;
	int rc = run_reactor_create(run);

	if (rc == 0)
		rc = streams_create(run);
	if (rc == 0)
		rc = os_thread_start(run->os, run->options.core, thread_main, run, &thread);
	if (rc < 0) {
		fprintf(stderr, "mayastor-load: cannot start%s: %s\n",
			run->options.core >= 0 ? " on that core" : "", strerror(-rc));
		run->report.exit = LOAD_EXIT_OPEN;
	} else {
		os_thread_join(thread);
		if (run->report.exit == LOAD_EXIT_OK)
			run_judge(run);
	}
	streams_destroy(run);
	reactor_destroy(run->reactor);
	return (int)run->report.exit;
}

static void signals_set(void)
{
	struct sigaction action = {.sa_handler = interrupted, .sa_flags = (int)SA_RESETHAND};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

int main(int argc, char **argv)
{
	struct load_run *run = memory_alloc(sizeof(*run));
	int status = LOAD_EXIT_USAGE;

	if (run == NULL || os_open(&run->os) < 0) {
		fputs("mayastor-load: no memory\n", stderr);
		return LOAD_EXIT_OPEN;
	}
	run->log = (struct log){.level = LOG_WARN, .write = log_write};
	switch (load_options_parse(argc, argv, &run->options, stderr)) {
	case LOAD_OPTIONS_RUN:
		if (!run->options.is_seeded)
			os_entropy_fill(run->os, &run->options.seed, sizeof(run->options.seed));
		signals_set();
		status = run_all(run);
		break;
	case LOAD_OPTIONS_DONE:
		status = LOAD_EXIT_OK;
		break;
	case LOAD_OPTIONS_WRONG:
		break;
	}
	os_close(run->os);
	memory_free(run);
	return status;
}
