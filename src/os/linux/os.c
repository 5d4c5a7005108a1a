/* SPDX-License-Identifier: Apache-2.0 */
/* os.c - clocks, entropy, environment and the few synchronous file system calls. */
#include "os/os.h"
#include "base/assert.h"
#include "base/memory.h"
#include "os/linux/ring_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND  1000000000ull
#define DIRECTORY_MODE 0700

int os_open(struct os **ret_os)
{
	struct os *os = memory_alloc(sizeof(*os));
	cpu_set_t cores;

	if (os == NULL)
		return -ENOMEM;
	os->core_count = 1;
	if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
		os->core_count = (uint32_t)CPU_COUNT(&cores);
	ASSERT(os->core_count > 0);
	*ret_os = os;
	return 0;
}

void os_close(struct os *os)
{
	memory_free(os);
}

static uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec now;
	int rc = clock_gettime(clock, &now);

	ASSERT(rc == 0);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t os_clock_now_ns(struct os *os)
{
	(void)os;
	return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t os_clock_wall_ns(struct os *os)
{
	(void)os;
	return clock_read_ns(CLOCK_REALTIME);
}

void os_entropy_fill(struct os *os, void *bytes, size_t size_bytes)
{
	uint8_t *position = bytes;

	(void)os;
	while (size_bytes > 0) {
		ssize_t rc = getrandom(position, size_bytes, 0);

		ASSERT(rc > 0 || (rc < 0 && errno == EINTR));
		if (rc < 0)
			continue;
		position += rc;
		size_bytes -= (size_t)rc;
	}
}

/* random(4): 36 characters and a newline, drawn anew at each boot. */
void os_boot_id(struct os *os, struct uuid *ret_id)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[UUID_TEXT_BYTES] = "";

	(void)os;
	*ret_id = (struct uuid){{0}};
	if (fd < 0)
		return;
	if (read(fd, text, UUID_TEXT_BYTES - 1) != UUID_TEXT_BYTES - 1 || !uuid_parse(text, ret_id))
		*ret_id = (struct uuid){{0}};
	(void)close(fd);
}

const char *os_environment(struct os *os, const char *name)
{
	(void)os;
	return getenv(name);
}

uint32_t os_core_count(struct os *os)
{
	return os->core_count;
}

static int directory_make(const char *path)
{
	struct stat status;

	if (mkdir(path, DIRECTORY_MODE) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &status) < 0)
		return -errno;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int os_directory_create(struct os *os, const char *path)
{
	char prefix[PATH_MAX];
	size_t size_bytes = strlen(path) + 1;

	(void)os;
	if (size_bytes == 1)
		return -ENOENT;
	if (size_bytes > sizeof(prefix))
		return -ENAMETOOLONG;
	memcpy(prefix, path, size_bytes);
	for (char *slash = strchr(prefix + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int rc;

		*slash = '\0';
		rc = directory_make(prefix);
		*slash = '/';
		if (rc < 0)
			return rc;
	}
	return directory_make(prefix);
}

int os_file_remove(struct os *os, const char *path)
{
	(void)os;
	return unlink(path) == 0 ? 0 : -errno;
}
