/* SPDX-License-Identifier: Apache-2.0 */
/* block_device_message.h - a disk of this machine as the gRPC interface shows it; pure. */
#ifndef ENGINE_BLOCK_DEVICE_MESSAGE_H
#define ENGINE_BLOCK_DEVICE_MESSAGE_H

#include "api/mayastor/v1/host.pb-c.h"
#include "os/os_block_device.h"

struct block_device_message {
	Mayastor__V1__BlockDevice message;
	Mayastor__V1__BlockDevice__Partition partition;
	Mayastor__V1__BlockDevice__Filesystem filesystem;
	char *links[OS_DEVICE_LINKS_MAX];
	char *mounts[OS_DEVICE_MOUNTS_MAX];
};

/** @device must stay as long as @ret_message is used. */
void block_device_message_fill(struct os_block_device *device,
			       struct block_device_message *ret_message);

/** May a pool be made on it? Nothing is on it, and it is none of our own volumes. */
bool block_device_is_available(const struct os_block_device *device);

#endif
