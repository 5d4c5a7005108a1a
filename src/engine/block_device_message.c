/* SPDX-License-Identifier: Apache-2.0 */
/* block_device_message.c - the rule for "available", and the translation. */
#include "engine/block_device_message.h"

#include "base/assert.h"

#include <string.h>

#define GPT_LINUX_DATA "0fc63daf-8483-4772-8e79-3d69d8477de4"
#define MBR_LINUX_DATA "0x83"

/* Majors of loop, SCSI disk, NBD, local and experimental (virtio among them), and NVMe. */
static bool major_is_disk(uint32_t major)
{
	return major == 7 || major == 8 || major == 43 || (major >= 240 && major <= 255) ||
	       major == 259;
}

static bool is_own_volume(const struct os_block_device *device)
{
	return strcmp(device->model, "Mayastor NVMe controller") == 0 ||
	       strcmp(device->model, "Nexus_CAS_Driver") == 0;
}

bool block_device_is_available(const struct os_block_device *device)
{
	if (device->size_sectors == 0 || !major_is_disk(device->major) || is_own_volume(device))
		return false;
	if (device->filesystem_type[0] != '\0' || device->mount_count > 0)
		return false;
	if (device->partition_number == 0)
		return !device->is_partitioned;
	return strcasecmp(device->partition_type, GPT_LINUX_DATA) == 0 ||
	       strcmp(device->partition_type, MBR_LINUX_DATA) == 0;
}

static void partition_fill(struct os_block_device *device, struct block_device_message *text)
{
	mayastor__v1__block_device__partition__init(&text->partition);
	text->partition.parent = device->partition_parent;
	text->partition.number = device->partition_number;
	text->partition.name = device->partition_name;
	text->partition.scheme = device->partition_scheme;
	text->partition.typeid_ = device->partition_type;
	text->partition.uuid = device->partition_uuid;
	text->message.partition = &text->partition;
}

static void filesystem_fill(struct os_block_device *device, struct block_device_message *text)
{
	mayastor__v1__block_device__filesystem__init(&text->filesystem);
	text->filesystem.fstype = device->filesystem_type;
	text->filesystem.label = device->filesystem_label;
	text->filesystem.uuid = device->filesystem_uuid;
	for (uint32_t i = 0; i < device->mount_count; i++)
		text->mounts[i] = device->mounts[i];
	text->filesystem.n_mountpoints = device->mount_count;
	text->filesystem.mountpoints = text->mounts;
	text->message.filesystem = &text->filesystem;
}

void block_device_message_fill(struct os_block_device *device,
			       struct block_device_message *ret_message)
{
	Mayastor__V1__BlockDevice *message = &ret_message->message;

	ASSERT(device->link_count <= OS_DEVICE_LINKS_MAX);
	ASSERT(device->mount_count <= OS_DEVICE_MOUNTS_MAX);
	mayastor__v1__block_device__init(message);
	message->devname = device->name;
	message->devtype = device->type;
	message->devmajor = device->major;
	message->devminor = device->minor;
	message->model = device->model;
	message->devpath = device->path;
	message->size = device->size_sectors;
	message->available = block_device_is_available(device);
	message->connection_type = device->transport;
	message->has_is_rotational = true;
	message->is_rotational = device->is_rotational;
	for (uint32_t i = 0; i < device->link_count; i++)
		ret_message->links[i] = device->links[i];
	message->n_devlinks = device->link_count;
	message->devlinks = ret_message->links;
	if (device->partition_number != 0)
		partition_fill(device, ret_message);
	if (device->filesystem_type[0] != '\0' || device->mount_count > 0)
		filesystem_fill(device, ret_message);
}
