/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - base/memory.h with an owner: every allocation belongs to the current process.
 *
 * A crash frees whatever the process holds, so that a later touch is a fault that the sanitizer
 * or the kernel reports, and an orderly end can be checked for leaks.
 */
#include "base/memory.h"

#include "sim/nth_faults.h"
#include "sim/sim_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096
#define MAGIC	   0x6d656d6f72796f6bu

/*
 * The only mutable static of the simulator. base/memory.h has no parameter for a context, and one
 * real thread runs one simulated process at a time: the scheduler and sim_enter() set it.
 */
static struct sim_process *current;

struct header {
	struct list_node link; /* alone when taken outside of any process */
	struct sim_process *owner;
	size_t size_bytes;
	uint64_t magic;
	uint64_t mapped_bytes; /* 0: from the heap */
};
STATIC_ASSERT(sizeof(struct header) % 16 == 0);
STATIC_ASSERT(sizeof(struct header) <= PAGE_BYTES);

struct sim_process *sim_current(void)
{
	return current;
}

struct sim_process *sim_enter(struct sim_process *process)
{
	struct sim_process *previous = current;

	ASSERT(process == NULL || process->is_running);
	current = process;
	return previous;
}

void sim_leave(struct sim_process *previous)
{
	current = previous;
}

static bool must_fail(struct sim_process *owner)
{
	if (nth_fails(owner, NTH_MEMORY))
		return true;
	if (owner == NULL || owner->fail_allocation == 0)
		return false;
	return --owner->fail_allocation == 0;
}

static void header_attach(struct header *header, struct sim_process *owner, size_t size_bytes)
{
	header->owner = owner;
	header->size_bytes = size_bytes;
	header->magic = MAGIC;
	list_init(&header->link);
	if (owner == NULL)
		return;
	list_push_back(&owner->memory, &header->link);
	owner->memory_bytes += size_bytes;
}

static void header_detach(struct header *header)
{
	ASSERT(header->magic == MAGIC);
	header->magic = 0;
	if (header->owner == NULL)
		return;
	ASSERT(header->owner->memory_bytes >= header->size_bytes);
	header->owner->memory_bytes -= header->size_bytes;
	list_remove(&header->link);
}

static void *allocate(struct sim_process *owner, size_t size_bytes)
{
	struct header *header;

	if (size_bytes > SIZE_MAX - sizeof(*header))
		return NULL;
	header = calloc(1, sizeof(*header) + size_bytes);
	if (header == NULL)
		return NULL;
	header_attach(header, owner, size_bytes);
	return header + 1;
}

void *sim_process_allocate(struct sim_process *process, size_t size_bytes)
{
	void *memory = allocate(process, size_bytes);

	ASSERT(memory != NULL);
	return memory;
}

void *memory_alloc(size_t size_bytes)
{
	return must_fail(current) ? NULL : allocate(current, size_bytes);
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
	size_t mapped = (size_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES;
	struct header *header;
	uint8_t *pages;

	if (must_fail(current))
		return NULL;
	/* The header's page comes first; what nobody touches costs nothing. */
	pages = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pages == MAP_FAILED)
		return NULL;
	header = (struct header *)(void *)(pages + PAGE_BYTES - sizeof(*header));
	header_attach(header, current, size_bytes);
	header->mapped_bytes = mapped;
	return pages + PAGE_BYTES;
}

void *memory_realloc(void *memory, size_t size_bytes)
{
	struct header *header;
	void *larger;

	if (memory == NULL)
		return memory_alloc(size_bytes);
	header = (struct header *)memory - 1;
	ASSERT(header->magic == MAGIC && header->mapped_bytes == 0);
	larger = memory_alloc(size_bytes);
	if (larger == NULL)
		return NULL;
	memcpy(larger, memory, size_bytes < header->size_bytes ? size_bytes : header->size_bytes);
	memory_free(memory);
	return larger;
}

char *memory_copy_text(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = memory_alloc(size);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

static void header_free(struct header *header)
{
	size_t mapped = header->mapped_bytes;

	header_detach(header);
	if (mapped == 0)
		free(header);
	else
		munmap((uint8_t *)(header + 1) - PAGE_BYTES, mapped);
}

void memory_free(void *memory)
{
	if (memory != NULL)
		header_free((struct header *)memory - 1);
}

void memory_free_pages(void *memory, size_t size_bytes)
{
	struct header *header;

	if (memory == NULL)
		return;
	header = (struct header *)memory - 1;
	ASSERT(header->size_bytes == size_bytes);
	header_free(header);
}

void sim_memory_free_all(struct sim_process *process)
{
	list_for_each (node, &process->memory) {
		header_free(list_entry(node, struct header, link));
	}
	ASSERT(process->memory_bytes == 0);
}
