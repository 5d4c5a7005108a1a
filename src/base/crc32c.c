/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.c - CRC-32C by ISA-L, which picks the fastest instructions of the machine.
 *
 * ISA-L's crc32_iscsi() takes and returns the raw register: it inverts neither at the start nor
 * at the end, so a running value passes through unchanged and crc32c_finish() inverts once.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>

/* The length parameter of ISA-L is an int. */
#define CHUNK_BYTES_MAX ((size_t)INT_MAX & ~(size_t)63)

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t size_bytes)
{
	const uint8_t *place = bytes;

	while (size_bytes > 0) {
		size_t part = size_bytes < CHUNK_BYTES_MAX ? size_bytes : CHUNK_BYTES_MAX;

		/* ISA-L does not write; its parameter lacks the const. */
		crc = crc32_iscsi((unsigned char *)(uintptr_t)place, (int)part, crc);
		place += part;
		size_bytes -= part;
	}
	return crc;
}
