/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the io-engine program: options, log, the main reactor, signals. */
#include "engine/engine.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_START_FAILED  1
#define EXIT_WRONG_OPTIONS 2

/* A signal handler can reach nothing else. */
static struct reactor *main_reactor;

static void stop_requested(int number)
{
	(void)number;
	reactor_stop(main_reactor);
}

static void signals_set(void)
{
	struct sigaction action = {.sa_handler = stop_requested, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* Each connection of a host takes a descriptor. The soft limit is for programs that do not ask. */
static void descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void log_write(struct log *log, const char *line)
{
	(void)log;
	/* One call a line: lines of several threads do not mix. */
	fprintf(stderr, "%s\n", line);
}

static uint64_t log_now(struct log *log)
{
	return os_clock_wall_ns(log->user);
}

static int engine_serve(struct reactor *reactor, const struct engine_options *options,
			struct log *log)
{
	struct engine *engine;
	int status = 0;

	if (engine_create(reactor, options, log, &engine) != 0) {
		fputs("io-engine: no memory\n", stderr);
		return EXIT_START_FAILED;
	}
	signals_set();
	descriptors_allow();
	engine_start(engine);
	reactor_run(reactor);
	if (!engine_is_stopped(engine)) {
		log_info(log, "stopping");
		engine_stop(engine);
		while (!engine_is_stopped(engine))
			reactor_run(reactor);
	}
	if (engine_error(engine) != NULL) {
		fprintf(stderr, "io-engine: %s\n", engine_error(engine));
		status = EXIT_START_FAILED;
	}
	engine_destroy(engine);
	return status;
}

static const char *reactor_remedy(int error)
{
	if (error == -ENOMEM || error == -EMFILE || error == -ENFILE)
		return "raise the limits of memory, locked memory (ulimit -l) and open files";
	return "io_uring must be allowed (sysctl kernel.io_uring_disabled, seccomp profile of the "
	       "container)";
}

int main(int argc, char **argv)
{
	struct engine_options options;
	struct reactor_options reactor_options;
	struct log log = {.write = log_write};
	struct os *os;
	int status = EXIT_START_FAILED;

	if (os_open(&os) != 0) {
		fputs("io-engine: the system interface cannot be opened\n", stderr);
		return EXIT_START_FAILED;
	}
	switch (options_parse(os, argc, argv, &options, stderr)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_DONE:
		os_close(os);
		return 0;
	case OPTIONS_WRONG:
		os_close(os);
		return EXIT_WRONG_OPTIONS;
	}
	log.level = options.log_level;
	log.style = options.log_style;
	log.has_color = options.log_has_color;
	log.has_date = options.log_has_date;
	log.host = options.log_has_host ? options.node_name : NULL;
	log.now_ns = log_now;
	log.user = os;
	reactor_options_default(&reactor_options);
	reactor_options.core = options.cores[0];
	int rc = reactor_create(os, &reactor_options, &main_reactor);
	if (rc != 0) {
		fprintf(stderr, "io-engine: the reactor cannot start: %s; %s\n", strerror(-rc),
			reactor_remedy(rc));
	} else {
		status = engine_serve(main_reactor, &options, &log);
		reactor_destroy(main_reactor);
	}
	os_close(os);
	return status;
}
