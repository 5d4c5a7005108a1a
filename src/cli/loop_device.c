/* SPDX-License-Identifier: Apache-2.0 */
/* loop_device.c - loop devices through the kernel's own interface (linux/loop.h). */
#include "cli/loop_device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LOOP_ATTEMPTS_MAX 16
#define LOOP_BLOCK_BYTES  512
#define LOOP_GONE_MS	  10000
#define LOOP_STEP_MS	  20
#define PATH_BYTES	  1024

/* The file behind /sys/block/<name>. Return: false when there is none. */
static bool backing_file_read(const char *name, char ret_file[PATH_BYTES])
{
	char path[PATH_BYTES];
	FILE *file;
	bool is_read;

	snprintf(path, sizeof(path), "/sys/block/%.32s/loop/backing_file", name);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	is_read = fgets(ret_file, PATH_BYTES, file) != NULL;
	fclose(file);
	if (is_read)
		ret_file[strcspn(ret_file, "\n")] = '\0';
	return is_read;
}

bool loop_device_find(const char *file, char ret_device[DEV_DEVICE_BYTES])
{
	char backing[PATH_BYTES];
	DIR *blocks = opendir("/sys/block");
	bool is_found = false;
	struct dirent *entry;

	if (blocks == NULL)
		return false;
	while (!is_found && (entry = readdir(blocks)) != NULL) {
		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		is_found = backing_file_read(entry->d_name, backing) && strcmp(backing, file) == 0;
		if (is_found)
			snprintf(ret_device, DEV_DEVICE_BYTES, "/dev/%.32s", entry->d_name);
	}
	closedir(blocks);
	return is_found;
}

bool loop_device_is_on(const char *device, const char *file)
{
	char backing[PATH_BYTES];

	return strncmp(device, "/dev/", 5) == 0 && backing_file_read(device + 5, backing) &&
	       strcmp(backing, file) == 0;
}

/* Return: 0; -EBUSY when somebody else was faster; another negative errno. */
static int loop_try(int control, int backing, char ret_device[DEV_DEVICE_BYTES])
{
	struct loop_config config = {
		.fd = (uint32_t)backing,
		.block_size = LOOP_BLOCK_BYTES,
		.info.lo_flags = LO_FLAGS_DIRECT_IO,
	};
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	int rc = 0;
	int loop;

	if (number < 0)
		return -errno;
	snprintf(ret_device, DEV_DEVICE_BYTES, "/dev/loop%d", number);
	loop = open(ret_device, O_RDWR | O_CLOEXEC);
	if (loop < 0)
		return -errno;
	if (ioctl(loop, LOOP_CONFIGURE, &config) != 0)
		rc = -errno;
	close(loop);
	return rc;
}

enum cli_exit loop_device_attach(const char *file, char ret_device[DEV_DEVICE_BYTES],
				 struct cli_error *error)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing, rc;

	if (control < 0)
		return cli_fail(
			error, CLI_FAILED,
			"no loop devices: /dev/loop-control: %s; run as root, load the module "
			"with `modprobe loop`, or use the file %s as it is",
			strerror(errno), file);
	backing = open(file, O_RDWR | O_CLOEXEC);
	if (backing < 0) {
		rc = -errno;
		close(control);
		return cli_fail(error, CLI_FAILED, "%s cannot be opened: %s", file, strerror(-rc));
	}
	rc = -EBUSY;
	for (int i = 0; i < LOOP_ATTEMPTS_MAX && rc == -EBUSY; i++)
		rc = loop_try(control, backing, ret_device);
	close(backing);
	close(control);
	if (rc != 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be put on %s: %s; see `losetup`",
				ret_device, file, strerror(-rc));
	return CLI_OK;
}

/* Somebody may still have it open (a device manager looking at it): the kernel waits for them. */
static bool gone_await(const char *device, const char *file)
{
	struct timespec step = {.tv_nsec = LOOP_STEP_MS * 1000000};

	for (int waited = 0; waited < LOOP_GONE_MS; waited += LOOP_STEP_MS) {
		if (!loop_device_is_on(device, file))
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}

enum cli_exit loop_device_detach(const char *device, const char *file, bool *ret_is_lossy,
				 struct cli_error *error)
{
	int loop = open(device, O_RDWR | O_CLOEXEC);
	int flushed = 0;

	if (loop < 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be opened: %s; run this as root",
				device, strerror(errno));
	if (fsync(loop) != 0)
		flushed = -errno;
	if (ioctl(loop, LOOP_CLR_FD) != 0 && errno != ENXIO) {
		int rc = -errno;

		close(loop);
		return cli_fail(error, CLI_FAILED, "%s cannot be detached: %s", device,
				strerror(-rc));
	}
	close(loop);
	if (!gone_await(device, file))
		return cli_fail(error, CLI_FAILED,
				"%s is still open in another program: end it (`fuser %s` names it) "
				"and repeat this",
				device, device);
	*ret_is_lossy = flushed != 0;
	if (flushed != 0)
		cli_fail(error, CLI_FAILED,
			 "%s was detached, but what was written last did not reach the volume: %s",
			 device, strerror(-flushed));
	return CLI_OK;
}
