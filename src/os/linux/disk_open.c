/* SPDX-License-Identifier: Apache-2.0 */
/* disk_open.c - opens files and block devices and finds out what they can do.
 *
 * What the system does not tell is assumed in the safe direction: a volatile cache exists, direct
 * transfers need 4096 bytes alignment.
 */
#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "os/linux/disk_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FILE_MODE	   0600
#define SYSFS_PATH_BYTES   128
#define SYSFS_TEXT_BYTES   32
/* Where no file has content; a hole there changes nothing. */
#define PROBE_OFFSET_BYTES (1ll << 42)

/* A word of the device's queue directory in sysfs; a partition has it in its parent. */
static int queue_attribute_read(dev_t device, const char *name, char ret_text[SYSFS_TEXT_BYTES])
{
	char path[SYSFS_PATH_BYTES];
	int fd = -1;
	ssize_t size;

	for (int level = 0; level < 2 && fd < 0; level++) {
		int length = snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s",
				      major(device), minor(device), level == 0 ? "" : "../", name);

		ASSERT(length > 0 && (size_t)length < sizeof(path));
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	size = read(fd, ret_text, SYSFS_TEXT_BYTES - 1);
	close(fd);
	if (size < 0)
		return -EIO;
	ret_text[size] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
	return 0;
}

static uint64_t queue_attribute_number(dev_t device, const char *name)
{
	char text[SYSFS_TEXT_BYTES];

	if (queue_attribute_read(device, name, text) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

static uint32_t block_bytes_clamp(uint64_t bytes)
{
	if (bytes <= BLOCK_BYTES_MIN)
		return BLOCK_BYTES_MIN;
	return bytes < BLOCK_BYTES_MAX ? (uint32_t)bytes : BLOCK_BYTES_MAX;
}

static int device_inspect(struct os_disk *disk, const struct stat *status)
{
	struct os_disk_info *info = &disk->info;
	char text[SYSFS_TEXT_BYTES];
	unsigned physical = 0;
	int logical = 0;

	if (ioctl(disk->fd, BLKSSZGET, &logical) < 0)
		return -errno;
	if (logical != BLOCK_BYTES_MIN && logical != BLOCK_BYTES_MAX)
		return -EMEDIUMTYPE;
	if (ioctl(disk->fd, BLKPBSZGET, &physical) < 0 || physical < (unsigned)logical)
		physical = (unsigned)logical;
	info->is_block_device = true;
	info->logical_block_bytes = (uint32_t)logical;
	info->physical_block_bytes = block_bytes_clamp(physical);
	info->has_volatile_cache = queue_attribute_read(status->st_rdev, "write_cache", text) < 0 ||
				   strcmp(text, "write through") != 0;
	/* The hole is made by the device's write zeroes with deallocation. */
	info->can_discard = !disk->is_read_only &&
			    queue_attribute_number(status->st_rdev, "write_zeroes_max_bytes") > 0 &&
			    queue_attribute_number(status->st_rdev, "discard_max_bytes") > 0;
	/* The kernel writes zero pages where the device knows no better. */
	info->can_write_zeroes = !disk->is_read_only;
	return 0;
}

/* Alignment of direct transfers in bytes: 0 when there are none, 4096 when nobody tells. */
static uint32_t direct_alignment(int fd)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0 ||
	    (status.stx_mask & STATX_DIOALIGN) == 0)
		return BLOCK_BYTES_MAX;
	return status.stx_dio_offset_align > status.stx_dio_mem_align ? status.stx_dio_offset_align
								      : status.stx_dio_mem_align;
}

static int direct_leave(struct os_disk *disk)
{
	int flags = fcntl(disk->fd, F_GETFL);

	if (flags < 0 || fcntl(disk->fd, F_SETFL, flags & ~O_DIRECT) < 0)
		return -errno;
	disk->info.is_direct = false;
	return 0;
}

static int file_inspect(struct os_disk *disk, const struct stat *status)
{
	struct os_disk_info *info = &disk->info;
	uint32_t alignment = BLOCK_BYTES_MIN;
	off_t probe = status->st_size > PROBE_OFFSET_BYTES / 2 ? 0 : PROBE_OFFSET_BYTES;

	if (info->is_direct)
		alignment = direct_alignment(disk->fd);
	if (alignment == 0 || alignment > BLOCK_BYTES_MAX) {
		int rc = direct_leave(disk);

		if (rc < 0)
			return rc;
		alignment = BLOCK_BYTES_MIN;
	}
	info->logical_block_bytes =
		alignment <= BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : BLOCK_BYTES_MAX;
	info->physical_block_bytes = block_bytes_clamp((uint64_t)status->st_blksize);
	if (info->physical_block_bytes < info->logical_block_bytes)
		info->physical_block_bytes = info->logical_block_bytes;
	info->has_volatile_cache = true;
	if (disk->is_read_only || probe == 0)
		return 0;
	info->can_discard = fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, probe,
				      BLOCK_BYTES_MAX) == 0 ||
			    errno == EFBIG;
	info->can_write_zeroes = info->can_discard;
	return 0;
}

static int descriptor_open(const char *path, uint32_t flags, bool *ret_is_direct)
{
	int mode = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat status;
	int fd;

	mode |= (flags & OS_DISK_READ_ONLY) != 0 ? O_RDONLY : O_RDWR;
	if ((flags & OS_DISK_CREATE) != 0)
		mode |= O_CREAT;
	/* O_EXCL means "nobody else holds it" for block devices only. */
	if ((flags & OS_DISK_EXCLUSIVE) != 0 && stat(path, &status) == 0 && S_ISBLK(status.st_mode))
		mode = (mode & ~O_CREAT) | O_EXCL;
	*ret_is_direct = (flags & OS_DISK_BUFFERED) == 0;
	if (*ret_is_direct) {
		fd = open(path, mode | O_DIRECT, FILE_MODE);
		if (fd >= 0)
			return fd;
		if (errno != EINVAL)
			return -errno;
		*ret_is_direct = false;
	}
	fd = open(path, mode, FILE_MODE);
	return fd >= 0 ? fd : -errno;
}

/* A file that was just made is not there after a power loss until its directory is durable. */
static int directory_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];
	int rc = 0;
	int fd;

	if (slash == NULL)
		snprintf(directory, sizeof(directory), ".");
	else
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 && errno != EINVAL)
		rc = -errno;
	close(fd);
	return rc;
}

static int disk_inspect(struct os_disk *disk, uint32_t flags)
{
	struct stat status;
	int mode = fcntl(disk->fd, F_GETFL);

	if (fstat(disk->fd, &status) < 0)
		return -errno;
	if (!S_ISBLK(status.st_mode) && !S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? -EISDIR : -ENOTBLK;
	/* It kept the opening of odd files from blocking; transfers shall wait. */
	if (mode < 0 || fcntl(disk->fd, F_SETFL, mode & ~O_NONBLOCK) < 0)
		return -errno;
	if (S_ISBLK(status.st_mode))
		return device_inspect(disk, &status);
	if ((flags & OS_DISK_EXCLUSIVE) != 0 && flock(disk->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return file_inspect(disk, &status);
}

int os_disk_open(struct os *os, const char *path, uint32_t flags, struct os_disk **ret_disk)
{
	struct os_disk *disk;
	int rc;

	ASSERT(os != NULL && path != NULL);
	ASSERT((flags & OS_DISK_CREATE) == 0 || (flags & OS_DISK_READ_ONLY) == 0);
	disk = memory_alloc(sizeof(*disk));
	if (disk == NULL)
		return -ENOMEM;
	disk->is_read_only = (flags & OS_DISK_READ_ONLY) != 0;
	disk->fd = descriptor_open(path, flags, &disk->info.is_direct);
	if (disk->fd < 0) {
		rc = disk->fd;
		goto fail_disk;
	}
	rc = disk_inspect(disk, flags);
	if (rc == 0 && (flags & OS_DISK_CREATE) != 0)
		rc = directory_sync(path);
	if (rc < 0)
		goto fail_descriptor;
	*ret_disk = disk;
	return 0;

fail_descriptor:
	close(disk->fd);
fail_disk:
	memory_free(disk);
	return rc;
}

void os_disk_close(struct os_disk *disk)
{
	if (disk == NULL)
		return;
	close(disk->fd);
	memory_free(disk);
}

int os_disk_info(struct os_disk *disk, struct os_disk_info *ret_info)
{
	struct os_disk_info info = disk->info;
	struct stat status;

	if (info.is_block_device) {
		if (ioctl(disk->fd, BLKGETSIZE64, &info.size_bytes) < 0)
			return -errno;
	} else {
		if (fstat(disk->fd, &status) < 0)
			return -errno;
		info.size_bytes = (uint64_t)status.st_size;
	}
	*ret_info = info;
	return 0;
}

int os_disk_grow(struct os_disk *disk, uint64_t size_bytes)
{
	struct os_disk_info info;
	int rc = os_disk_info(disk, &info);

	if (rc < 0)
		return rc;
	if (info.size_bytes >= size_bytes)
		return 0;
	if (info.is_block_device)
		return -ENOTSUP;
	if (size_bytes > INT64_MAX)
		return -EFBIG;
	return ftruncate(disk->fd, (off_t)size_bytes) == 0 ? 0 : -errno;
}
