/* SPDX-License-Identifier: Apache-2.0 */
/* steady_preload.c - loaded before the C library into an engine that is measured, it counts the
 * calls that a steady load must not make: allocations, mappings and locks.
 *
 * STEADY_COUNTS=path: a file of COUNTS numbers of 64 bits, in the order of enum count, that others
 * read at any time. Without it nothing is counted. Locks of the C library's own (inside of stdio)
 * are not seen; locks of devices are counted by the engine (Diagnostics).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum count { ALLOCATIONS, FREES, MAPPINGS, LOCKS, COUNTS };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static _Atomic uint64_t unused[COUNTS]; /* before the file is there, and without one */
static _Atomic(_Atomic uint64_t *) counts = unused;

static void count(enum count index)
{
	_Atomic uint64_t *to = atomic_load_explicit(&counts, memory_order_relaxed);

	atomic_fetch_add_explicit(&to[index], 1, memory_order_relaxed);
}

__attribute__((constructor)) static void counting_begin(void)
{
	const char *path = getenv("STEADY_COUNTS");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *shared;

	if (fd < 0)
		return;
	if (ftruncate(fd, sizeof(unused)) == 0) {
		shared = mmap(NULL, sizeof(unused), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (shared != MAP_FAILED)
			atomic_store(&counts, shared);
	}
	close(fd);
}

void *malloc(size_t size)
{
	count(ALLOCATIONS);
	return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
	count(ALLOCATIONS);
	return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
	count(ALLOCATIONS);
	return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count(ALLOCATIONS);
	return __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size)
{
	count(ALLOCATIONS);
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	void *memory;

	count(ALLOCATIONS);
	memory = __libc_memalign(alignment, size);
	if (memory == NULL)
		return ENOMEM;
	*ret_memory = memory;
	return 0;
}

void free(void *memory)
{
	if (memory != NULL)
		count(FREES);
	__libc_free(memory);
}

/* Counts, then calls what comes next in the order of loading; looked up once. */
#define COUNTING(result, index, name, parameters, arguments)                                  \
	result name parameters                                                                \
	{                                                                                     \
		static result(*_Atomic real) parameters;                                      \
		result(*next) parameters = atomic_load_explicit(&real, memory_order_relaxed); \
                                                                                              \
		if (next == NULL) {                                                           \
			*(void **)&next = dlsym(RTLD_NEXT, #name);                            \
			atomic_store_explicit(&real, next, memory_order_relaxed);             \
		}                                                                             \
		count(index);                                                                 \
		return next arguments;                                                        \
	}

COUNTING(void *, MAPPINGS, mmap,
	 (void *address, size_t size, int protection, int flags, int fd, off_t offset),
	 (address, size, protection, flags, fd, offset))
COUNTING(int, MAPPINGS, munmap, (void *address, size_t size), (address, size))
COUNTING(int, MAPPINGS, madvise, (void *address, size_t size, int advice), (address, size, advice))
COUNTING(int, LOCKS, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))
COUNTING(int, LOCKS, pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex))
COUNTING(int, LOCKS, pthread_spin_lock, (pthread_spinlock_t * lock), (lock))
COUNTING(int, LOCKS, pthread_spin_trylock, (pthread_spinlock_t * lock), (lock))
COUNTING(int, LOCKS, pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock))
COUNTING(int, LOCKS, pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock))
COUNTING(int, LOCKS, pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex),
	 (condition, mutex))
