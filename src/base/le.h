/* SPDX-License-Identifier: Apache-2.0 */
/* le.h - little-endian fields of layouts on wire and disk; they do not convert silently. */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Byte arrays, so that a layout has no alignment of its own and needs no packing attribute. */
struct le16 {
	uint8_t bytes[2];
};
struct le32 {
	uint8_t bytes[4];
};
struct le64 {
	uint8_t bytes[8];
};

/* One load or store each on a little-endian machine, which byte by byte is not always made of. */

static inline uint16_t le16_load(struct le16 field)
{
	uint16_t value;

	memcpy(&value, field.bytes, sizeof(value));
	return le16toh(value);
}

static inline uint32_t le32_load(struct le32 field)
{
	uint32_t value;

	memcpy(&value, field.bytes, sizeof(value));
	return le32toh(value);
}

static inline uint64_t le64_load(struct le64 field)
{
	uint64_t value;

	memcpy(&value, field.bytes, sizeof(value));
	return le64toh(value);
}

static inline struct le16 le16_store(uint16_t value)
{
	struct le16 field;

	value = htole16(value);
	memcpy(field.bytes, &value, sizeof(value));
	return field;
}

static inline struct le32 le32_store(uint32_t value)
{
	struct le32 field;

	value = htole32(value);
	memcpy(field.bytes, &value, sizeof(value));
	return field;
}

static inline struct le64 le64_store(uint64_t value)
{
	struct le64 field;

	value = htole64(value);
	memcpy(field.bytes, &value, sizeof(value));
	return field;
}

#endif
