/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.c - reads the table of mounts; unmounts. */
#include "cli/mounts.h"

#include "cli/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LINE_BYTES 4096

/* proc(5): blank, tab, newline and backslash are written as three octal digits. */
static void escapes_decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0';) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
		    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 +
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

bool mount_entry_parse(const char *line, struct mount_entry *ret_entry)
{
	struct mount_entry entry = {0};

	if (sscanf(line, "%*d %*d %u:%u %*s %511s", &entry.major, &entry.minor, entry.point) != 3)
		return false;
	escapes_decode(entry.point);
	*ret_entry = entry;
	return true;
}

/* The next entry of @table. Return: false at the end. */
static bool entry_next(FILE *table, struct mount_entry *ret_entry)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), table) != NULL) {
		if (mount_entry_parse(line, ret_entry))
			return true;
	}
	return false;
}

bool mount_find_device(const char *device, char ret_point[MOUNT_POINT_BYTES])
{
	struct mount_entry entry;
	bool is_found = false;
	struct stat info;
	FILE *table;

	if (stat(device, &info) != 0 || !S_ISBLK(info.st_mode))
		return false;
	table = fopen("/proc/self/mountinfo", "re");
	if (table == NULL)
		return false;
	while (!is_found && entry_next(table, &entry)) {
		is_found = entry.major == major(info.st_rdev) && entry.minor == minor(info.st_rdev);
		if (is_found)
			snprintf(ret_point, MOUNT_POINT_BYTES, "%s", entry.point);
	}
	fclose(table);
	return is_found;
}

bool mount_is_point(const char *point)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	struct mount_entry entry;
	bool is_found = false;

	if (table == NULL)
		return false;
	while (!is_found && entry_next(table, &entry))
		is_found = strcmp(entry.point, point) == 0;
	fclose(table);
	return is_found;
}

int mount_remove(const char *point, bool is_lazy)
{
	const char *const argv[] = {"fusermount3", "-u",  "-q", is_lazy ? "-z" : "-q",
				    "--",	   point, NULL};

	if (umount2(point, UMOUNT_NOFOLLOW | (is_lazy ? MNT_DETACH : 0)) == 0 || errno == EINVAL)
		return 0;
	if (errno != EPERM)
		return -errno;
	/* A user may unmount the own FUSE mounts with its help. */
	return process_run(argv) == 0 ? 0 : -EBUSY;
}
