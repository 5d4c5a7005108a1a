/* SPDX-License-Identifier: Apache-2.0 */
/* disk_image.c - pages of a disk, made when first written. */
#include "sim/disk_image.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void disk_image_deinit(struct disk_image *image)
{
	for (uint64_t i = 0; i < image->page_count; i++)
		free(image->pages[i]);
	free(image->pages);
	*image = (struct disk_image){NULL, 0};
}

void disk_image_copy(const struct disk_image *image, struct disk_image *ret_copy)
{
	ASSERT(ret_copy->pages == NULL && ret_copy->page_count == 0);
	if (image->page_count == 0)
		return;
	ret_copy->pages = calloc(image->page_count, sizeof(image->pages[0]));
	ASSERT(ret_copy->pages != NULL);
	ret_copy->page_count = image->page_count;
	for (uint64_t i = 0; i < image->page_count; i++) {
		if (image->pages[i] == NULL)
			continue;
		ret_copy->pages[i] = malloc(IMAGE_PAGE_BYTES);
		ASSERT(ret_copy->pages[i] != NULL);
		memcpy(ret_copy->pages[i], image->pages[i], IMAGE_PAGE_BYTES);
	}
}

static size_t part_in_page(uint64_t offset, size_t size)
{
	size_t room = IMAGE_PAGE_BYTES - offset % IMAGE_PAGE_BYTES;

	return size < room ? size : room;
}

void disk_image_read(const struct disk_image *image, uint64_t offset, void *bytes, size_t size)
{
	uint8_t *place = bytes;

	while (size > 0) {
		uint64_t number = offset / IMAGE_PAGE_BYTES;
		size_t part = part_in_page(offset, size);

		if (number < image->page_count && image->pages[number] != NULL)
			memcpy(place, image->pages[number] + offset % IMAGE_PAGE_BYTES, part);
		else
			memset(place, 0, part);
		place += part;
		offset += part;
		size -= part;
	}
}

static void pages_grow(struct disk_image *image, uint64_t number)
{
	uint64_t count = image->page_count == 0 ? 64 : image->page_count;

	if (number < image->page_count)
		return;
	while (count <= number)
		count *= 2;
	image->pages = realloc(image->pages, count * sizeof(image->pages[0]));
	ASSERT(image->pages != NULL);
	memset(image->pages + image->page_count, 0,
	       (count - image->page_count) * sizeof(image->pages[0]));
	image->page_count = count;
}

void disk_image_write(struct disk_image *image, uint64_t offset, const void *bytes, size_t size)
{
	const uint8_t *place = bytes;

	while (size > 0) {
		uint64_t number = offset / IMAGE_PAGE_BYTES;
		size_t part = part_in_page(offset, size);
		uint8_t **page;

		pages_grow(image, number);
		page = &image->pages[number];
		if (*page == NULL && place != NULL) {
			*page = calloc(1, IMAGE_PAGE_BYTES);
			ASSERT(*page != NULL);
		}
		if (place != NULL) {
			memcpy(*page + offset % IMAGE_PAGE_BYTES, place, part);
			place += part;
		} else if (*page != NULL && part == IMAGE_PAGE_BYTES) {
			free(*page);
			*page = NULL;
		} else if (*page != NULL) {
			memset(*page + offset % IMAGE_PAGE_BYTES, 0, part);
		}
		offset += part;
		size -= part;
	}
}
