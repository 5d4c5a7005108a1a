/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - mayastor-attach: a volume as a file. */
#include "attach/attach_options.h"
#include "attach/fuse_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  2

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

/*
 * Goes into the background. The parent ends when the child says that the file is there, with
 * status 0, or when the child has ended, with its status.
 * Return: in the child, where to say it; -1 on failure.
 */
static int background_enter(void)
{
	int ends[2];
	char word;
	pid_t pid;
	int status;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		close(ends[0]);
		setsid();
		return ends[1];
	}
	close(ends[1]);
	if (read(ends[0], &word, 1) == 1)
		_exit(0);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		_exit(EXIT_FAILED);
	_exit(WEXITSTATUS(status));
}

/* Lets go of the terminal and of whoever waits for the file. */
static void ready_tell(void *argument)
{
	int *ready_fd = argument;
	int null;

	if (*ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
	if (write(*ready_fd, "r", 1) != 1)
		fputs("mayastor-attach: nobody waits for it\n", stderr);
	close(*ready_fd);
	*ready_fd = -1;
}

/* Standard error goes to the file that was asked for; in the background without one, nowhere. */
static int log_redirect(const struct attach_options *options)
{
	int fd;

	if (options->log_path[0] == '\0')
		return 0;
	fd = open(options->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
		fprintf(stderr, "mayastor-attach: %s cannot be written: %s\n", options->log_path,
			strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

static int volume_serve(struct os *os, const struct attach_options *options, struct log *log,
			int ready_fd)
{
	struct volume_options volume_options = {
		.uri = options->uri,
		.host_nqn = options->host_nqn,
		.loss_timeout_ms = options->loss_timeout_ms,
		.log = log,
	};
	struct fuse_file_options file_options = {
		.mount = options->mount, .source = options->uri, .log = log};
	char error[ERROR_TEXT_BYTES];
	int rc;

	if (volume_open(os, &volume_options, &file_options.volume, error) != 0) {
		fprintf(stderr, "mayastor-attach: %s\n", error);
		return EXIT_FAILED;
	}
	log_info(log, "%s: %llu bytes in blocks of %u", options->uri,
		 (unsigned long long)volume_size_bytes(file_options.volume),
		 volume_block_bytes(file_options.volume));
	rc = fuse_file_serve(&file_options, ready_tell, &ready_fd);
	/* Requests are out that belong to this process: only its end takes them back. */
	if (rc == -EBUSY)
		_exit(EXIT_FAILED);
	volume_close(file_options.volume);
	if (rc != 0)
		fprintf(stderr, "mayastor-attach: %s cannot be mounted; see above\n",
			options->mount);
	return rc == 0 ? 0 : EXIT_FAILED;
}

static void host_nqn_default(struct attach_options *options)
{
	char host[64] = "host";

	if (options->host_nqn[0] != '\0')
		return;
	if (gethostname(host, sizeof(host) - 1) != 0)
		snprintf(host, sizeof(host), "host");
	snprintf(options->host_nqn, sizeof(options->host_nqn),
		 "nqn.2019-05.io.openebs:attach:%.60s", host);
}

int main(int argc, char **argv)
{
	struct attach_options options;
	struct log log = {.write = log_write, .now_ns = log_now, .has_date = true};
	int ready_fd = -1;
	struct os *os;
	int status;

	switch (attach_options_parse(argc, argv, &options, stdout, stderr)) {
	case ATTACH_PARSE_DONE:
		return 0;
	case ATTACH_PARSE_WRONG:
		return EXIT_USAGE;
	case ATTACH_PARSE_RUN:
		break;
	}
	host_nqn_default(&options);
	if (log_redirect(&options) != 0)
		return EXIT_FAILED;
	if (!options.is_foreground) {
		ready_fd = background_enter();
		if (ready_fd < 0) {
			fprintf(stderr, "mayastor-attach: cannot fork: %s\n", strerror(errno));
			return EXIT_FAILED;
		}
	}
	/* Memory for our I/O must not be made by writing to the disk that we are (prctl(2)). */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	if (os_open(&os) != 0) {
		fputs("mayastor-attach: the system interface cannot be opened\n", stderr);
		return EXIT_FAILED;
	}
	log.level = options.log_level;
	log.user = os;
	status = volume_serve(os, &options, &log, ready_fd);
	os_close(os);
	return status;
}
