/* SPDX-License-Identifier: Apache-2.0 */
/* os_test.c - clocks, threads, memory, and the ring's sleep and wake, against the real kernel. */
#include "os/linux/test_loop.h"

#include "base/memory.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ull

static int loop_setup(void **state)
{
	const enum ring_kind *kind = *state;
	struct test_loop *loop = malloc(sizeof(*loop));
	struct os *os;

	if (loop == NULL || os_open(&os) != 0)
		return -1;
	test_loop_open(loop, os, *kind, 8);
	*state = loop;
	return 0;
}

static int loop_teardown(void **state)
{
	struct test_loop *loop = *state;
	struct os *os = loop->os;

	test_loop_close(loop);
	os_close(os);
	free(loop);
	return 0;
}

static void clock_never_goes_back(void **state)
{
	struct test_loop *loop = *state;
	uint64_t previous_ns = os_clock_now_ns(loop->os);

	for (int i = 0; i < 1000; i++) {
		uint64_t now_ns = os_clock_now_ns(loop->os);

		assert_true(now_ns >= previous_ns);
		previous_ns = now_ns;
	}
	assert_true(os_clock_wall_ns(loop->os) / 1000000000 > 1600000000);
	assert_true(os_core_count(loop->os) >= 1);
}

static void boot_id_is_the_same_for_all_processes_of_this_boot(void **state)
{
	struct test_loop *loop = *state;
	struct uuid one, other;
	struct os *os;

	os_boot_id(loop->os, &one);
	assert_false(uuid_is_nil(&one));
	assert_int_equal(os_open(&os), 0);
	os_boot_id(os, &other);
	assert_true(uuid_is_equal(&one, &other));
	os_close(os);
}

static void entropy_fills_every_byte(void **state)
{
	struct test_loop *loop = *state;
	uint8_t bytes[512];
	uint8_t seen[sizeof(bytes)] = {0};

	for (int i = 0; i < 16; i++) {
		memset(bytes, 0, sizeof(bytes));
		os_entropy_fill(loop->os, bytes, sizeof(bytes));
		for (size_t j = 0; j < sizeof(bytes); j++)
			seen[j] |= bytes[j];
	}
	for (size_t j = 0; j < sizeof(bytes); j++)
		assert_int_not_equal(seen[j], 0);
}

static void directories_are_made_with_parents(void **state)
{
	struct test_loop *loop = *state;
	char base[] = "/tmp/os_test_XXXXXX";
	char path[64], file[80];
	struct stat status;
	FILE *stream;

	assert_non_null(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/one/two", base);
	assert_int_equal(os_directory_create(loop->os, path), 0);
	assert_int_equal(os_directory_create(loop->os, path), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	snprintf(file, sizeof(file), "%s/file", path);
	stream = fopen(file, "w");
	assert_non_null(stream);
	fclose(stream);
	assert_int_equal(os_directory_create(loop->os, file), -ENOTDIR);
	assert_int_equal(os_file_remove(loop->os, file), 0);
	assert_int_equal(os_file_remove(loop->os, file), -ENOENT);
	rmdir(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(base);
}

static void memory_is_zeroed_and_aligned(void **state)
{
	uint8_t *pages = memory_alloc_pages(5000);
	char *text = memory_copy_text("text");
	volatile size_t huge = SIZE_MAX / 2;

	(void)state;
	assert_non_null(pages);
	assert_int_equal((uintptr_t)pages % 4096, 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(pages[i], 0);
	memory_free_pages(pages, 5000);
	assert_string_equal(text, "text");
	memory_free(text);
	assert_null(memory_alloc_array(huge, 4));
	memory_free(NULL);
	memory_free_pages(NULL, 1);
}

static void sleep_ends_at_its_deadline(void **state)
{
	struct test_loop *loop = *state;
	uint64_t begin_ns, end_ns;

	/* The first turn binds the ring; nothing may end the sleep early or keep it long. */
	os_ring_turn(loop->ring, OS_WAIT_NOT);
	begin_ns = os_clock_now_ns(loop->os);
	os_ring_turn(loop->ring, begin_ns + 30 * MS);
	end_ns = os_clock_now_ns(loop->os);
	assert_true(end_ns - begin_ns >= 30 * MS);
	assert_true(end_ns - begin_ns < 1000 * MS);
	assert_int_equal(os_ring_turn(loop->ring, begin_ns), 0);
}

static void wake_before_the_first_turn_is_kept(void **state)
{
	struct test_loop *loop = *state;

	os_ring_wake(loop->ring);
	assert_true(os_ring_has_completions(loop->ring));
	os_ring_turn(loop->ring, OS_WAIT_FOREVER);
	assert_false(os_ring_has_completions(loop->ring));
}

static void one_turn_takes_all_wakes(void **state)
{
	struct test_loop *loop = *state;
	uint64_t begin_ns;

	os_ring_turn(loop->ring, OS_WAIT_NOT);
	for (int i = 0; i < 100; i++)
		os_ring_wake(loop->ring);
	os_ring_turn(loop->ring, OS_WAIT_FOREVER);
	begin_ns = os_clock_now_ns(loop->os);
	os_ring_turn(loop->ring, begin_ns + 20 * MS);
	assert_true(os_clock_now_ns(loop->os) - begin_ns >= 20 * MS);
}

struct waker {
	struct os_ring *ring;
	_Atomic uint32_t sent;
	_Atomic uint32_t seen;
	uint32_t rounds;
};

static void waker_main(void *argument)
{
	struct waker *waker = argument;
	const struct timespec pause = {.tv_nsec = 50000};

	for (uint32_t i = 0; i < waker->rounds; i++) {
		atomic_fetch_add_explicit(&waker->sent, 1, memory_order_relaxed);
		os_ring_wake(waker->ring);
		if (i % 4 == 0) {
			while (atomic_load(&waker->seen) != i + 1)
				nanosleep(&pause, NULL);
		}
	}
}

/* No wake is lost: with a lost one the loop would sleep for ever and the test time out. */
static void wake_from_another_thread_ends_a_sleep(void **state)
{
	struct test_loop *loop = *state;
	struct waker waker = {.ring = loop->ring, .rounds = 4000};
	struct os_thread *thread;

	assert_int_equal(os_thread_start(loop->os, -1, waker_main, &waker, &thread), 0);
	while (atomic_load(&waker.seen) != waker.rounds) {
		os_ring_turn(loop->ring, OS_WAIT_FOREVER);
		atomic_store(&waker.seen, atomic_load_explicit(&waker.sent, memory_order_relaxed));
	}
	os_thread_join(thread);
}

static void signal_handle(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	os_ring_wake(info->si_value.sival_ptr);
}

static bool has_thread_sanitizer(void)
{
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
	return true;
#endif
#endif
	return false;
}

static void wake_from_a_signal_handler_ends_a_sleep(void **state)
{
	struct test_loop *loop = *state;
	struct sigaction action = {.sa_sigaction = signal_handle, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec time = {.it_value.tv_nsec = 20000000};
	timer_t timer;

	/* It holds handlers back until the next call of the C library. */
	if (has_thread_sanitizer())
		skip();
	event.sigev_value.sival_ptr = loop->ring;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &time, NULL), 0);
	os_ring_turn(loop->ring, OS_WAIT_FOREVER);
	timer_delete(timer);
}

static void thread_turn(void *argument)
{
	struct test_loop *loop = argument;

	os_ring_turn(loop->ring, os_clock_now_ns(loop->os) + MS);
	os_ring_turn(loop->ring, os_clock_now_ns(loop->os) + MS);
}

/* Its maker and its destroyer are another thread than its owner; the maker's own ring is whole. */
static void ring_belongs_to_the_thread_of_its_first_turn(void **state)
{
	struct test_loop *loop = *state;
	struct os_thread *thread;
	struct test_loop other;

	os_ring_turn(loop->ring, OS_WAIT_NOT);
	for (int i = 0; i < 3; i++) {
		test_loop_open(&other, loop->os, loop->kind, 8);
		assert_int_equal(os_thread_start(loop->os, 0, thread_turn, &other, &thread), 0);
		os_thread_join(thread);
		test_loop_close(&other);
		os_ring_turn(loop->ring, os_clock_now_ns(loop->os) + MS);
	}
	assert_int_equal(os_thread_start(loop->os, 1 << 20, thread_turn, &other, &thread), -EINVAL);
}

#define T(test)                                                                 \
	{                                                                       \
#test, test, loop_setup, loop_teardown, (void *)(uintptr_t)kind \
	}

static int kind_run(const enum ring_kind *kind)
{
	const struct CMUnitTest tests[] = {
		T(clock_never_goes_back),
		T(boot_id_is_the_same_for_all_processes_of_this_boot),
		T(entropy_fills_every_byte),
		T(directories_are_made_with_parents),
		T(memory_is_zeroed_and_aligned),
		T(sleep_ends_at_its_deadline),
		T(wake_before_the_first_turn_is_kept),
		T(one_turn_takes_all_wakes),
		T(wake_from_another_thread_ends_a_sleep),
		T(wake_from_a_signal_handler_ends_a_sleep),
		T(ring_belongs_to_the_thread_of_its_first_turn),
	};

	print_message("kind of ring: %d\n", *kind);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	int failures = 0;

	for (size_t i = 0; i < sizeof(test_ring_kinds) / sizeof(test_ring_kinds[0]); i++)
		failures += kind_run(&test_ring_kinds[i]);
	return failures;
}
