/* SPDX-License-Identifier: Apache-2.0 */
/* memory_for_tests.c - base/memory.h on the C library, for tests that stand below the os seam. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096

void *memory_alloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}

void *memory_alloc_array(size_t count, size_t element_bytes)
{
	return calloc(count, element_bytes);
}

void *memory_alloc_pages(size_t size_bytes)
{
	size_t rounded = (size_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	void *memory = aligned_alloc(PAGE_BYTES, rounded);

	if (memory != NULL)
		memset(memory, 0, rounded);
	return memory;
}

void *memory_realloc(void *memory, size_t size_bytes)
{
	return realloc(memory, size_bytes);
}

char *memory_copy_text(const char *text)
{
	return strdup(text);
}

void memory_free(void *memory)
{
	free(memory);
}

void memory_free_pages(void *memory, size_t size_bytes)
{
	(void)size_bytes;
	free(memory);
}
