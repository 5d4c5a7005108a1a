/* SPDX-License-Identifier: Apache-2.0 */
/* le.h - little-endian fields of layouts on wire and disk; they do not convert silently. */
#ifndef BASE_LE_H
#define BASE_LE_H

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

static inline uint16_t le16_load(struct le16 field)
{
	return (uint16_t)(field.bytes[0] | field.bytes[1] << 8);
}

static inline uint32_t le32_load(struct le32 field)
{
	return (uint32_t)field.bytes[0] | (uint32_t)field.bytes[1] << 8 |
	       (uint32_t)field.bytes[2] << 16 | (uint32_t)field.bytes[3] << 24;
}

static inline uint64_t le64_load(struct le64 field)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | field.bytes[i];
	return value;
}

static inline struct le16 le16_store(uint16_t value)
{
	return (struct le16){{(uint8_t)value, (uint8_t)(value >> 8)}};
}

static inline struct le32 le32_store(uint32_t value)
{
	return (struct le32){{(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			      (uint8_t)(value >> 24)}};
}

static inline struct le64 le64_store(uint64_t value)
{
	struct le64 field;

	for (int i = 0; i < 8; i++)
		field.bytes[i] = (uint8_t)(value >> (8 * i));
	return field;
}

#endif
