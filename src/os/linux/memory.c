/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - base/memory.h over the C library's allocator and anonymous mappings. */
#include "base/memory.h"
#include "base/assert.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096

static size_t pages_round_up(size_t size_bytes)
{
	ASSERT(size_bytes <= SIZE_MAX - (PAGE_BYTES - 1));
	return (size_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

void *memory_alloc(size_t size_bytes)
{
	return calloc(1, size_bytes == 0 ? 1 : size_bytes);
}

void *memory_alloc_array(size_t count, size_t element_bytes)
{
	size_t size_bytes;

	if (__builtin_mul_overflow(count, element_bytes, &size_bytes))
		return NULL;
	return memory_alloc(size_bytes);
}

void *memory_alloc_pages(size_t size_bytes)
{
	void *memory;

	ASSERT(size_bytes > 0);
	memory = mmap(NULL, pages_round_up(size_bytes), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void *memory_realloc(void *memory, size_t size_bytes)
{
	return realloc(memory, size_bytes == 0 ? 1 : size_bytes);
}

char *memory_copy_text(const char *text)
{
	ASSERT(text != NULL);
	return strdup(text);
}

void memory_free(void *memory)
{
	free(memory);
}

void memory_free_pages(void *memory, size_t size_bytes)
{
	int rc;

	if (memory == NULL)
		return;
	rc = munmap(memory, pages_round_up(size_bytes));
	ASSERT(rc == 0);
}
