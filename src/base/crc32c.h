/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4), the digest of NVMe/TCP. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#define CRC32C_INIT 0xffffffffu

/** Feeds @bytes into a running checksum that began with CRC32C_INIT. */
uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t size_bytes);

/** The value that goes on the wire. */
static inline uint32_t crc32c_finish(uint32_t crc)
{
	return crc ^ 0xffffffffu;
}

static inline uint32_t crc32c(const void *bytes, size_t size_bytes)
{
	return crc32c_finish(crc32c_update(CRC32C_INIT, bytes, size_bytes));
}

#endif
