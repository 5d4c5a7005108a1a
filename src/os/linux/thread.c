/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - threads that stay on a core. Signals go to the thread that started them. */
#include "base/assert.h"
#include "base/memory.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

struct os_thread {
	pthread_t thread;
	void (*main)(void *argument);
	void *argument;
};

static void *thread_main(void *argument)
{
	struct os_thread *thread = argument;

	thread->main(thread->argument);
	return NULL;
}

int os_thread_start(struct os *os, int core, void (*main)(void *argument), void *argument,
		    struct os_thread **ret_thread)
{
	struct os_thread *thread;
	pthread_attr_t attributes;
	sigset_t all_signals, old_signals;
	int rc;

	(void)os;
	ASSERT(main != NULL);
	if (core < -1 || core >= CPU_SETSIZE)
		return -EINVAL;
	thread = memory_alloc(sizeof(*thread));
	if (thread == NULL)
		return -ENOMEM;
	thread->main = main;
	thread->argument = argument;
	rc = pthread_attr_init(&attributes);
	if (rc != 0)
		goto fail_thread;
	if (core >= 0) {
		cpu_set_t cores;

		CPU_ZERO(&cores);
		CPU_SET((size_t)core, &cores);
		rc = pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores);
		if (rc != 0)
			goto fail_attributes;
	}
	/* A new thread inherits the mask: a reactor shall not run signal handlers. */
	sigfillset(&all_signals);
	pthread_sigmask(SIG_SETMASK, &all_signals, &old_signals);
	rc = pthread_create(&thread->thread, &attributes, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &old_signals, NULL);
	if (rc != 0)
		goto fail_attributes;
	pthread_attr_destroy(&attributes);
	*ret_thread = thread;
	return 0;

fail_attributes:
	pthread_attr_destroy(&attributes);
fail_thread:
	memory_free(thread);
	return -rc;
}

void os_thread_yield(struct os *os)
{
	(void)os;
	(void)sched_yield();
}

void os_thread_join(struct os_thread *thread)
{
	int rc;

	ASSERT(thread != NULL);
	rc = pthread_join(thread->thread, NULL);
	ASSERT(rc == 0);
	memory_free(thread);
}
