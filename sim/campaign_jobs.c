/* SPDX-License-Identifier: Apache-2.0 */
/* campaign_jobs.c - seeds in several processes, with the output of one.
 *
 * Worker w of n runs the seeds first + w, first + w + n, ... Its output goes to a file of its own;
 * after each seed it tells by a pipe how it ended and how far the output goes. The parent takes the
 * seeds in order, so it always knows which worker comes next.
 */
#include "sim/campaign.h"

#include "sim/sim_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COPY_BYTES 65536

struct told {
	struct campaign_result result;
	uint64_t output_end;
};

struct worker {
	pid_t pid;
	int pipe; /* to read from */
	FILE *output;
	uint64_t output_at; /* what was copied already */
};

void campaign_sum_add(struct campaign_sum *sum, const struct campaign_result *result)
{
	sum->seeds++;
	sum->virtual_ns += result->virtual_ns;
	sum->operations += result->operations;
	sum->failed += result->failed;
	sum->repeats += result->repeats;
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		sum->faults[i] += result->faults[i];
	for (uint32_t i = 0; i < OPERATOR_COUNT; i++)
		sum->actions[i] += result->actions[i];
}

void campaign_sum_print(const struct campaign_sum *sum, double seconds)
{
	printf("faults:");
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		printf(" %s:%" PRIu64, fault_name((enum fault)i), sum->faults[i]);
	printf("\nactions:");
	for (uint32_t i = 0; i < OPERATOR_COUNT; i++)
		printf(" %s:%" PRIu64, operator_action_name((enum operator_action)i),
		       sum->actions[i]);
	printf("\n%" PRIu64 " seeds, %.2f days of virtual time, %" PRIu64 " operations (%" PRIu64
	       " failed, %" PRIu64 " repeated over another path), %.1f seconds\n",
	       sum->seeds, (double)sum->virtual_ns / 1e9 / 86400, sum->operations, sum->failed,
	       sum->repeats, seconds);
}

/* ---- a worker ---- */

static bool tell(int pipe, const struct told *told)
{
	const char *bytes = (const char *)told;
	size_t done = 0;

	while (done < sizeof(*told)) {
		ssize_t count = write(pipe, bytes + done, sizeof(*told) - done);

		if (count < 0 && errno != EINTR)
			return false;
		done += count < 0 ? 0 : (size_t)count;
	}
	return true;
}

static void worker_run(const struct campaign_options *options, uint64_t seed, uint64_t end,
		       uint64_t stride, int pipe)
{
	for (; seed < end; seed += stride) {
		struct told told = {0};

		campaign_seed_run(options, seed, &told.result);
		fflush(stdout);
		told.output_end = (uint64_t)lseek(STDOUT_FILENO, 0, SEEK_CUR);
		if (!tell(pipe, &told) || !told.result.is_good)
			break;
	}
}

/* Return: false if it could not be started. */
static bool worker_start(struct worker *worker, const struct campaign_options *options,
			 uint64_t first, uint64_t end, uint64_t stride)
{
	int pipes[2];

	worker->output = tmpfile();
	if (worker->output == NULL || pipe(pipes) < 0)
		return false;
	fflush(stdout);
	worker->pid = fork();
	if (worker->pid == 0) {
		close(pipes[0]);
		if (dup2(fileno(worker->output), STDOUT_FILENO) < 0)
			_exit(1);
		worker_run(options, first, end, stride, pipes[1]);
		_exit(0);
	}
	close(pipes[1]);
	worker->pipe = pipes[0];
	return worker->pid > 0;
}

/* ---- the parent ---- */

/* Return: false if the worker ended instead. */
static bool listen_to(struct worker *worker, struct told *ret_told)
{
	char *bytes = (char *)ret_told;
	size_t done = 0;

	while (done < sizeof(*ret_told)) {
		ssize_t count = read(worker->pipe, bytes + done, sizeof(*ret_told) - done);

		if (count == 0 || (count < 0 && errno != EINTR))
			return false;
		done += count < 0 ? 0 : (size_t)count;
	}
	return true;
}

/* What the worker has printed up to @end goes to our output. */
static void output_copy(struct worker *worker, uint64_t end)
{
	char bytes[COPY_BYTES];

	while (worker->output_at < end) {
		uint64_t left = end - worker->output_at;
		ssize_t count = pread(fileno(worker->output), bytes,
				      left < sizeof(bytes) ? (size_t)left : sizeof(bytes),
				      (off_t)worker->output_at);

		if (count <= 0)
			return;
		fwrite(bytes, 1, (size_t)count, stdout);
		worker->output_at += (uint64_t)count;
	}
	fflush(stdout);
}

/* Return: did the seed pass? */
static bool seed_await(struct worker *worker, uint64_t seed, struct campaign_sum *sum)
{
	struct told told;

	if (!listen_to(worker, &told)) {
		output_copy(worker, UINT64_MAX);
		printf("FAILED seed %" PRIu64 ": its process ended\n", seed);
		return false;
	}
	output_copy(worker, told.output_end);
	campaign_sum_add(sum, &told.result);
	return told.result.is_good;
}

static void workers_end(struct worker *workers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (workers[i].pid > 0) {
			kill(workers[i].pid, SIGKILL);
			waitpid(workers[i].pid, NULL, 0);
			close(workers[i].pipe);
		}
		if (workers[i].output != NULL)
			fclose(workers[i].output);
	}
	free(workers);
}

bool campaign_jobs_run(const struct campaign_options *options, uint64_t first, uint64_t count,
		       uint32_t job_count, struct campaign_sum *sum)
{
	struct worker *workers = sim_allocate(job_count * sizeof(*workers));
	bool is_good = true;

	for (uint32_t i = 0; i < job_count && is_good; i++)
		is_good = worker_start(&workers[i], options, first + i, first + count, job_count);
	for (uint64_t i = 0; i < count && is_good; i++)
		is_good = seed_await(&workers[i % job_count], first + i, sum);
	workers_end(workers, job_count);
	return is_good;
}
