/* SPDX-License-Identifier: Apache-2.0 */
/* os_block_device.h - the block devices of this machine, as the kernel and libblkid see them.
 *
 * Reading them takes milliseconds to seconds (a device may have to spin up): not on a reactor.
 */
#ifndef OS_OS_BLOCK_DEVICE_H
#define OS_OS_BLOCK_DEVICE_H

#include "os/os.h"

#include <stdbool.h>

#define OS_DEVICE_TEXT_BYTES 256
#define OS_DEVICE_LINKS_MAX  16
#define OS_DEVICE_MOUNTS_MAX 8

struct os_block_device {
	char name[64];			 /* "/dev/sda1" */
	char type[16];			 /* "disk" or "partition" */
	char path[OS_DEVICE_TEXT_BYTES]; /* "/devices/..." in sysfs */
	char model[64];
	char transport[16]; /* "nvme", "ata", "virtio", ...; "" when unknown */
	uint32_t major;
	uint32_t minor;
	uint64_t size_sectors; /* of 512 bytes */
	bool is_rotational;
	char links[OS_DEVICE_LINKS_MAX][OS_DEVICE_TEXT_BYTES]; /* "/dev/disk/by-id/..." */
	uint32_t link_count;
	/* partitions only; "" and 0 otherwise */
	char partition_parent[64];
	uint32_t partition_number;
	char partition_name[128];
	char partition_scheme[16]; /* "gpt", "dos" */
	char partition_type[64];   /* GPT type id, or "0x83" */
	char partition_uuid[64];
	bool is_partitioned; /* has partitions of its own */
	/* "" when there is none */
	char filesystem_type[32];
	char filesystem_label[128];
	char filesystem_uuid[64];
	char mounts[OS_DEVICE_MOUNTS_MAX][OS_DEVICE_TEXT_BYTES];
	uint32_t mount_count;
};

/**
 * os_block_device_list - all of them, in the kernel's order
 * Blocks. Return: how many were written (at most @capacity), or -errno.
 */
int os_block_device_list(struct os *os, struct os_block_device *ret_devices, uint32_t capacity)
	__attribute__((warn_unused_result));

struct os_resource_usage {
	int64_t soft_faults;
	int64_t hard_faults;
	int64_t swaps;
	int64_t blocks_in;
	int64_t blocks_out;
	int64_t messages_sent;
	int64_t messages_received;
	int64_t signals;
	int64_t switches_voluntary;
	int64_t switches_involuntary;
};

/** Of this process. Does not block. */
void os_resource_usage(struct os *os, struct os_resource_usage *ret_usage);

#endif
