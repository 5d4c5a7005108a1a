/* SPDX-License-Identifier: Apache-2.0 */
/* os.h - the only door to time, entropy and threads; one `struct os` per process.
 *
 * Implemented twice behind the same headers and chosen at link time: os/linux for production,
 * sim/ for the simulator, where many processes with one `struct os` each live in one real one.
 * Synchronous calls return 0 or a negative errno.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include "base/uuid.h"

#include <stddef.h>
#include <stdint.h>

struct os;
struct os_thread;

/** Opens the real system. The simulator makes its own kind with sim_process functions instead. */
int os_open(struct os **ret_os) __attribute__((warn_unused_result));
void os_close(struct os *os);

/** Monotonic time. Context: any thread. */
uint64_t os_clock_now_ns(struct os *os);

/** Wall clock, ns since 1970 UTC. Context: any thread. */
uint64_t os_clock_wall_ns(struct os *os);

/** Random bytes fit for secrets. Context: any thread; does not fail. */
void os_entropy_fill(struct os *os, void *bytes, size_t size_bytes);

/**
 * os_boot_id - which life of this machine it is
 * The same as long as the machine keeps its power, whatever becomes of its processes; another one
 * after every start. Nil when unknown. Context: any thread.
 */
void os_boot_id(struct os *os, struct uuid *ret_id);

/** Value of an environment variable, NULL when unset. */
const char *os_environment(struct os *os, const char *name);

/** Cores this process may run on. */
uint32_t os_core_count(struct os *os);

/**
 * os_thread_start - run @main(@argument) on a new thread
 * @core: the core to stay on, or -1 for any. Not available in the simulator (-ENOTSUP), where
 * reactors are turned by the scheduler.
 */
int os_thread_start(struct os *os, int core, void (*main)(void *argument), void *argument,
		    struct os_thread **ret_thread) __attribute__((warn_unused_result));
/** Lets whoever else waits for this core have it first. Context: any thread. */
void os_thread_yield(struct os *os);
/** Waits for its end and frees it. */
void os_thread_join(struct os_thread *thread);

/** Creates a directory and its parents, mode 0700. An existing one is fine. Blocks. */
int os_directory_create(struct os *os, const char *path) __attribute__((warn_unused_result));

/** Removes a file. Blocks: start-up and management only. */
int os_file_remove(struct os *os, const char *path) __attribute__((warn_unused_result));

#endif
