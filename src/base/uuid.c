/* SPDX-License-Identifier: Apache-2.0 */
/* uuid.c - text form of 128-bit identifiers.
 *
 * Invariant: format and parse are inverse for every identifier; bytes stand in text order.
 */
#include "base/uuid.h"

#include "base/assert.h"

#include <string.h>

#define UUID_TEXT_CHARACTERS (UUID_TEXT_BYTES - 1)

STATIC_ASSERT(UUID_TEXT_CHARACTERS == 32 + 4);

static bool is_dash_place(int place)
{
	return place == 8 || place == 13 || place == 18 || place == 23;
}

/* Return: 0..15, or -1. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool uuid_parse(const char *text, struct uuid *ret_uuid)
{
	struct uuid uuid;
	int nibble = 0;

	ASSERT(text != NULL && ret_uuid != NULL);
	memset(&uuid, 0, sizeof(uuid));
	for (int place = 0; place < UUID_TEXT_CHARACTERS; place++) {
		int value;

		if (is_dash_place(place)) {
			if (text[place] != '-')
				return false;
			continue;
		}
		value = hex_value(text[place]);
		if (value < 0)
			return false; /* the end of a short text too */
		uuid.bytes[nibble / 2] = (uint8_t)(uuid.bytes[nibble / 2] << 4 | value);
		nibble++;
	}
	ASSERT(nibble == 32);
	if (text[UUID_TEXT_CHARACTERS] != '\0')
		return false;
	*ret_uuid = uuid;
	return true;
}

void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	int nibble = 0;

	for (int place = 0; place < UUID_TEXT_CHARACTERS; place++) {
		uint8_t byte;

		if (is_dash_place(place)) {
			ret_text[place] = '-';
			continue;
		}
		byte = uuid->bytes[nibble / 2];
		ret_text[place] = digits[nibble % 2 == 0 ? byte >> 4 : byte & 15];
		nibble++;
	}
	ASSERT(nibble == 32);
	ret_text[UUID_TEXT_CHARACTERS] = '\0';
}

struct uuid uuid_from_random(const uint8_t random[16])
{
	struct uuid uuid;

	memcpy(uuid.bytes, random, sizeof(uuid.bytes));
	/* RFC 9562, section 5.4: version 4 in the high nibble of byte 6, variant 10b in byte 8. */
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
	return uuid;
}

bool uuid_is_nil(const struct uuid *uuid)
{
	static const struct uuid nil;

	return uuid_is_equal(uuid, &nil);
}

bool uuid_is_equal(const struct uuid *one, const struct uuid *other)
{
	return memcmp(one->bytes, other->bytes, sizeof(one->bytes)) == 0;
}
