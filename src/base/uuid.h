/* SPDX-License-Identifier: Apache-2.0 */
/* uuid.h - 128-bit identifiers and their text form (RFC 9562, section 4). */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_BYTES 37 /* 36 characters and NUL */

struct uuid {
	uint8_t bytes[16]; /* in text order */
};

/** Accepts the 8-4-4-4-12 form, either case. Return: false and *ret_uuid untouched otherwise. */
bool uuid_parse(const char *text, struct uuid *ret_uuid);

/** Writes lower-case text and NUL. */
void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES]);

/** Makes 16 random bytes a version 4 identifier. */
struct uuid uuid_from_random(const uint8_t random[16]);

bool uuid_is_nil(const struct uuid *uuid);
bool uuid_is_equal(const struct uuid *one, const struct uuid *other);

#endif
