/* SPDX-License-Identifier: Apache-2.0 */
/* disk_image.h - the bytes of a simulated disk; only touched 4 KiB pages take memory. */
#ifndef SIM_DISK_IMAGE_H
#define SIM_DISK_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_PAGE_BYTES 4096

struct disk_image {
	uint8_t **pages; /* by page number; NULL reads as zeroes */
	uint64_t page_count;
};

void disk_image_deinit(struct disk_image *image);
/** @ret_copy is empty before. */
void disk_image_copy(const struct disk_image *image, struct disk_image *ret_copy);
void disk_image_read(const struct disk_image *image, uint64_t offset, void *bytes, size_t size);
/** @bytes NULL: zeroes. */
void disk_image_write(struct disk_image *image, uint64_t offset, const void *bytes, size_t size);

#endif
