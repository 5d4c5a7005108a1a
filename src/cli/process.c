/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - starts, finds and stops background processes.
 *
 * 1. A record is complete or absent (written aside, then renamed), and it is there before the
 *    program runs.
 * 2. Signals go through a pidfd whose process was compared with the record after it was opened, so
 *    no stranger can slip in between the look and the signal.
 * 3. A zombie is as good as gone: whoever should reap it may never do so.
 */
#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS_TEXT_BYTES  1024
#define PROCESS_KILL_MS	    10000
#define PROCESS_EXIT_NO_RUN 127

/* Reads a small file as text. Return: its length, or -1. */
static ssize_t file_read(const char *path, char *ret_text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -1;
	length = read(fd, ret_text, size - 1);
	close(fd);
	if (length >= 0)
		ret_text[length] = '\0';
	return length;
}

static bool boot_read(char ret_boot[PROCESS_BOOT_BYTES])
{
	if (file_read("/proc/sys/kernel/random/boot_id", ret_boot, PROCESS_BOOT_BYTES) <= 0)
		return false;
	ret_boot[strcspn(ret_boot, "\n")] = '\0';
	return true;
}

/* Reads state and start time of @pid. The name in parentheses may hold anything, ')' too. */
static bool stat_read(pid_t pid, char *ret_state, uint64_t *ret_start_ticks)
{
	char path[64];
	char text[PROCESS_TEXT_BYTES];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (file_read(path, text, sizeof(text)) <= 0)
		return false;
	at = strrchr(text, ')');
	if (at == NULL)
		return false;
	/* Field 3 follows; field 22 is the nineteenth after it (proc(5)). */
	return sscanf(at + 1,
		      " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		      "%*s %" SCNu64,
		      ret_state, ret_start_ticks) == 2;
}

static bool process_is_alive(const struct process *process)
{
	char boot[PROCESS_BOOT_BYTES];
	uint64_t start_ticks;
	char state;

	if (!boot_read(boot) || strcmp(boot, process->boot) != 0)
		return false;
	if (!stat_read(process->pid, &state, &start_ticks))
		return false;
	return start_ticks == process->start_ticks && state != 'Z' && state != 'X';
}

bool process_record_parse(const char *text, struct process *ret_process)
{
	struct process process = {0};
	int pid;
	int end = 0;

	if (sscanf(text, "%d %" SCNu64 " %39[0-9a-f-] %n", &pid, &process.start_ticks, process.boot,
		   &end) != 3)
		return false;
	if (text[end] != '\0' || pid <= 1)
		return false;
	process.pid = pid;
	*ret_process = process;
	return true;
}

/* Writes the caller's own identity. Return: 0 or -errno. */
static int record_write(const char *record_path)
{
	char text[PROCESS_RECORD_BYTES];
	char boot[PROCESS_BOOT_BYTES];
	char aside[PROCESS_TEXT_BYTES];
	uint64_t start_ticks;
	char state;
	int length, fd;
	bool is_written;

	if (!boot_read(boot) || !stat_read(getpid(), &state, &start_ticks))
		return -ESRCH;
	length = snprintf(text, sizeof(text), "%d %" PRIu64 " %s\n", (int)getpid(), start_ticks,
			  boot);
	if (snprintf(aside, sizeof(aside), "%s.new", record_path) >= (int)sizeof(aside))
		return -ENAMETOOLONG;
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	is_written = write(fd, text, (size_t)length) == length && fsync(fd) == 0;
	close(fd);
	if (!is_written)
		return -EIO;
	return rename(aside, record_path) == 0 ? 0 : -errno;
}

static int streams_redirect(const char *log_path)
{
	int null = open("/dev/null", O_RDONLY);
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (null < 0 || log < 0)
		return -errno;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
	    dup2(log, STDERR_FILENO) < 0)
		return -errno;
	close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	return 0;
}

/* The child: becomes the program, or tells the parent why not. */
static _Noreturn void child_run(const struct process_start *start, int report)
{
	sigset_t none;
	int rc;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	rc = streams_redirect(start->log_path);
	if (rc == 0)
		rc = record_write(start->record_path);
	if (rc == 0) {
		execv(start->argv[0], (char *const *)(uintptr_t)start->argv);
		rc = -errno;
	}
	if (write(report, &rc, sizeof(rc)) != sizeof(rc))
		_exit(PROCESS_EXIT_NO_RUN);
	_exit(PROCESS_EXIT_NO_RUN);
}

enum cli_exit process_start(const struct process_start *start, struct process *ret_process,
			    struct cli_error *error)
{
	int ends[2];
	int child_error = 0;
	ssize_t length;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return cli_fail(error, CLI_FAILED, "%s: no pipe: %s", start->argv[0],
				strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child_run(start, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return cli_fail(error, CLI_FAILED, "%s: cannot fork: %s", start->argv[0],
				strerror(errno));
	}
	/* The pipe closes without a word when the program has replaced the child. */
	do {
		length = read(ends[0], &child_error, sizeof(child_error));
	} while (length < 0 && errno == EINTR);
	close(ends[0]);
	if (length == (ssize_t)sizeof(child_error)) {
		waitpid(pid, NULL, 0);
		return cli_fail(error, CLI_FAILED, "%s cannot be started: %s", start->argv[0],
				strerror(-child_error));
	}
	if (!process_find(start->record_path, ret_process))
		return cli_fail(error, CLI_FAILED, "%s ended at once: see %s", start->argv[0],
				start->log_path);
	return CLI_OK;
}

bool process_find(const char *record_path, struct process *ret_process)
{
	char text[PROCESS_RECORD_BYTES];
	struct process process;

	if (file_read(record_path, text, sizeof(text)) <= 0)
		return false;
	if (!process_record_parse(text, &process) || !process_is_alive(&process))
		return false;
	*ret_process = process;
	return true;
}

int64_t process_started_at(const struct process *process)
{
	char line[256];
	long long boot_seconds = 0;
	FILE *file = fopen("/proc/stat", "re");

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "btime %lld", &boot_seconds) == 1)
			break;
	}
	fclose(file);
	return boot_seconds + (int64_t)(process->start_ticks / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Return: 1 when it has ended, 0 when the time is over. */
static int end_await(const struct process *process, int fd, int timeout_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	if (poll(&wait, 1, timeout_ms) > 0 || !process_is_alive(process)) {
		/* Ours to reap only if this run started it. */
		waitpid(process->pid, NULL, WNOHANG);
		return 1;
	}
	return 0;
}

enum cli_exit process_signal(const struct process *process, int signal, int timeout_ms,
			     struct cli_error *error)
{
	int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	enum cli_exit rc = CLI_OK;

	if (fd < 0 && errno == ESRCH)
		return CLI_OK;
	if (fd < 0)
		return cli_fail(error, CLI_FAILED, "process %d cannot be opened: %s",
				(int)process->pid, strerror(errno));
	if (!process_is_alive(process))
		goto out;
	if (syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) != 0 && errno != ESRCH) {
		rc = cli_fail(error, CLI_FAILED,
			      "process %d may not be signalled: %s; run this as the user who "
			      "started it",
			      (int)process->pid, strerror(errno));
		goto out;
	}
	if (timeout_ms >= 0 && end_await(process, fd, timeout_ms) == 0)
		rc = cli_fail(error, CLI_FAILED,
			      "process %d has not ended %d s after signal %d: kill it harder with "
			      "kill -9 %d",
			      (int)process->pid, timeout_ms / 1000, signal, (int)process->pid);
out:
	close(fd);
	return rc;
}

enum cli_exit process_stop(const char *record_path, int timeout_ms, bool *ret_was_running,
			   struct cli_error *error)
{
	struct process process;
	enum cli_exit rc = CLI_OK;
	bool is_running = process_find(record_path, &process);

	if (ret_was_running != NULL)
		*ret_was_running = is_running;
	if (is_running) {
		rc = process_signal(&process, SIGTERM, timeout_ms, error);
		if (rc != CLI_OK)
			rc = process_signal(&process, SIGKILL, PROCESS_KILL_MS, error);
	}
	if (rc == CLI_OK && unlink(record_path) != 0 && errno != ENOENT)
		return cli_fail(error, CLI_FAILED, "%s cannot be removed: %s", record_path,
				strerror(errno));
	return rc;
}

int process_run(const char *const *argv)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(PROCESS_EXIT_NO_RUN);
	}
	if (pid < 0)
		return PROCESS_EXIT_NO_RUN;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return PROCESS_EXIT_NO_RUN;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : PROCESS_EXIT_NO_RUN;
}
