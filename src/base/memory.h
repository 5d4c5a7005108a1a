/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h - the one door to the allocator, for start-up and management, never the I/O path.
 *
 * Implemented beside the os seam (os/linux, sim): the simulator frees all memory of a crashed
 * process at once and can let the n-th allocation fail.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/** Zeroed memory. Return: NULL when there is none: the caller reports -ENOMEM. */
void *memory_alloc(size_t size_bytes) __attribute__((warn_unused_result));

/** Zeroed array of @count elements, checked for overflow. */
void *memory_alloc_array(size_t count, size_t element_bytes) __attribute__((warn_unused_result));

/** Zeroed memory on whole pages (4096), for direct I/O; untouched pages cost nothing. */
void *memory_alloc_pages(size_t size_bytes) __attribute__((warn_unused_result));

/** Changes the size, keeping the content; new bytes are not zeroed. NULL leaves @memory as is. */
void *memory_realloc(void *memory, size_t size_bytes) __attribute__((warn_unused_result));

/** A copy of @text. */
char *memory_copy_text(const char *text) __attribute__((warn_unused_result));

/** NULL is allowed. */
void memory_free(void *memory);
void memory_free_pages(void *memory, size_t size_bytes);

#endif
