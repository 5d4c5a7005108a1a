/* SPDX-License-Identifier: Apache-2.0 */
/* block_device.c - walks /sys/class/block, asks libblkid what is on each device.
 *
 * Files of sysfs may vanish while they are read: what cannot be read is left empty.
 */
#include "os/os_block_device.h"

#include "base/assert.h"

#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SYS_CLASS "/sys/class/block"

/* First line of a sysfs file, without trailing blanks; "" when there is none. */
static void attribute_read(const char *device, const char *attribute, char *ret_text, size_t size)
{
	char path[PATH_MAX];
	FILE *file;

	ret_text[0] = '\0';
	snprintf(path, sizeof(path), SYS_CLASS "/%s/%s", device, attribute);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fgets(ret_text, (int)size, file) != NULL) {
		size_t length = strlen(ret_text);

		while (length > 0 && (unsigned char)ret_text[length - 1] <= ' ')
			ret_text[--length] = '\0';
	}
	fclose(file);
}

static uint64_t attribute_number(const char *device, const char *attribute)
{
	char text[32];

	attribute_read(device, attribute, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

static void path_fill(const char *device, struct os_block_device *found)
{
	char link[PATH_MAX];
	char real[PATH_MAX];
	const char *at;

	snprintf(link, sizeof(link), SYS_CLASS "/%s", device);
	if (realpath(link, real) == NULL)
		return;
	at = strncmp(real, "/sys", 4) == 0 ? real + 4 : real;
	snprintf(found->path, sizeof(found->path), "%.255s", at);
	if (strstr(at, "/nvme") != NULL)
		snprintf(found->transport, sizeof(found->transport), "nvme");
	else if (strstr(at, "/virtio") != NULL)
		snprintf(found->transport, sizeof(found->transport), "virtio");
	else if (strstr(at, "/ata") != NULL)
		snprintf(found->transport, sizeof(found->transport), "ata");
	else if (strstr(at, "/usb") != NULL)
		snprintf(found->transport, sizeof(found->transport), "usb");
	if (strcmp(found->type, "partition") == 0) {
		char *slash = strrchr(real, '/');

		*slash = '\0';
		slash = strrchr(real, '/');
		snprintf(found->partition_parent, sizeof(found->partition_parent), "/dev/%.58s",
			 slash + 1);
	}
}

static void value_copy(blkid_probe probe, const char *name, char *ret_text, size_t size)
{
	const char *value;

	if (blkid_probe_lookup_value(probe, name, &value, NULL) == 0)
		snprintf(ret_text, size, "%s", value);
}

/* File system and partition table entry, read from the device itself. */
static void content_fill(struct os_block_device *found)
{
	blkid_probe probe = blkid_new_probe_from_filename(found->name);

	if (probe == NULL)
		return;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL |
							 BLKID_SUBLKS_UUID);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
	if (blkid_do_safeprobe(probe) == 0) {
		value_copy(probe, "TYPE", found->filesystem_type, sizeof(found->filesystem_type));
		value_copy(probe, "LABEL", found->filesystem_label,
			   sizeof(found->filesystem_label));
		value_copy(probe, "UUID", found->filesystem_uuid, sizeof(found->filesystem_uuid));
		value_copy(probe, "PART_ENTRY_NAME", found->partition_name,
			   sizeof(found->partition_name));
		value_copy(probe, "PART_ENTRY_SCHEME", found->partition_scheme,
			   sizeof(found->partition_scheme));
		value_copy(probe, "PART_ENTRY_TYPE", found->partition_type,
			   sizeof(found->partition_type));
		value_copy(probe, "PART_ENTRY_UUID", found->partition_uuid,
			   sizeof(found->partition_uuid));
	}
	blkid_free_probe(probe);
}

static void links_scan(const char *folder, struct os_block_device *found)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL && found->link_count < OS_DEVICE_LINKS_MAX) {
		char path[PATH_MAX];
		struct stat status;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (strlen(path) >= OS_DEVICE_TEXT_BYTES || stat(path, &status) != 0 ||
		    !S_ISBLK(status.st_mode) ||
		    status.st_rdev != makedev(found->major, found->minor))
			continue;
		snprintf(found->links[found->link_count++], OS_DEVICE_TEXT_BYTES, "%.255s", path);
	}
	closedir(directory);
}

static void links_fill(struct os_block_device *found)
{
	static const char *const folders[] = {"/dev/disk/by-id", "/dev/disk/by-path",
					      "/dev/disk/by-uuid", "/dev/disk/by-partuuid",
					      "/dev/disk/by-label"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		links_scan(folders[i], found);
}

static void mounts_fill(struct os_block_device *found)
{
	FILE *table = setmntent("/proc/self/mounts", "re");
	char buffer[PATH_MAX];
	struct mntent entry;

	if (table == NULL)
		return;
	while (getmntent_r(table, &entry, buffer, sizeof(buffer)) != NULL &&
	       found->mount_count < OS_DEVICE_MOUNTS_MAX) {
		if (strcmp(entry.mnt_fsname, found->name) == 0)
			snprintf(found->mounts[found->mount_count++], OS_DEVICE_TEXT_BYTES,
				 "%.255s", entry.mnt_dir);
	}
	endmntent(table);
}

static bool has_partitions(const char *device)
{
	char path[PATH_MAX];
	DIR *directory;
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof(path), SYS_CLASS "/%s", device);
	directory = opendir(path);
	if (directory == NULL)
		return false;
	while (!found && (entry = readdir(directory)) != NULL)
		found = strncmp(entry->d_name, device, strlen(device)) == 0;
	closedir(directory);
	return found;
}

static void device_fill(const char *device, struct os_block_device *found)
{
	char text[64];
	unsigned int major;
	unsigned int minor;

	memset(found, 0, sizeof(*found));
	snprintf(found->name, sizeof(found->name), "/dev/%.58s", device);
	found->partition_number = (uint32_t)attribute_number(device, "partition");
	snprintf(found->type, sizeof(found->type), "%s",
		 found->partition_number != 0 ? "partition" : "disk");
	attribute_read(device, "dev", text, sizeof(text));
	if (sscanf(text, "%u:%u", &major, &minor) == 2) {
		found->major = major;
		found->minor = minor;
	}
	attribute_read(device, "device/model", found->model, sizeof(found->model));
	found->size_sectors = attribute_number(device, "size");
	found->is_rotational = attribute_number(device, "queue/rotational") != 0;
	found->is_partitioned = found->partition_number == 0 && has_partitions(device);
	path_fill(device, found);
	if (found->size_sectors > 0)
		content_fill(found);
	links_fill(found);
	mounts_fill(found);
}

int os_block_device_list(struct os *os, struct os_block_device *ret_devices, uint32_t capacity)
{
	struct dirent **entries;
	uint32_t count = 0;
	int total;

	ASSERT(os != NULL && ret_devices != NULL);
	total = scandir(SYS_CLASS, &entries, NULL, versionsort);
	if (total < 0)
		return -errno;
	for (int i = 0; i < total; i++) {
		if (entries[i]->d_name[0] != '.' && count < capacity)
			device_fill(entries[i]->d_name, &ret_devices[count++]);
		free(entries[i]);
	}
	free(entries);
	return (int)count;
}

void os_resource_usage(struct os *os, struct os_resource_usage *ret_usage)
{
	struct rusage usage;

	ASSERT(os != NULL && getrusage(RUSAGE_SELF, &usage) == 0);
	ret_usage->soft_faults = usage.ru_minflt;
	ret_usage->hard_faults = usage.ru_majflt;
	ret_usage->swaps = usage.ru_nswap;
	ret_usage->blocks_in = usage.ru_inblock;
	ret_usage->blocks_out = usage.ru_oublock;
	ret_usage->messages_sent = usage.ru_msgsnd;
	ret_usage->messages_received = usage.ru_msgrcv;
	ret_usage->signals = usage.ru_nsignals;
	ret_usage->switches_voluntary = usage.ru_nvcsw;
	ret_usage->switches_involuntary = usage.ru_nivcsw;
}
