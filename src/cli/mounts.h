/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.h - what is mounted, and taking it away. */
#ifndef CLI_MOUNTS_H
#define CLI_MOUNTS_H

#include "cli/cli_error.h"

#include <stdbool.h>
#include <stddef.h>

#define MOUNT_POINT_BYTES 512

/** A line of /proc/self/mountinfo (proc(5)). */
struct mount_entry {
	unsigned int major;
	unsigned int minor;
	char point[MOUNT_POINT_BYTES]; /* escapes decoded */
};

/** Return: false if @line is none. */
bool mount_entry_parse(const char *line, struct mount_entry *ret_entry);

/** The first mount point of block device @device. Return: false when it is not mounted. */
bool mount_find_device(const char *device, char ret_point[MOUNT_POINT_BYTES]);

/** True if something is mounted exactly at @point. */
bool mount_is_point(const char *point);

/** Takes away what is mounted at @point, as root or by fusermount3. Return: 0 or -errno. */
int mount_remove(const char *point, bool is_lazy);

#endif
