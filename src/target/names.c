/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - NQNs and serial numbers as the reference engine forms them; pure.
 *
 * The serial number is derived from the bdev's UUID, so every engine that serves a volume shows the
 * same one and multipath recognises the paths.
 */
#include "base/sha256.h"
#include "target/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SERIAL_PREFIX	    "DCS"
#define SERIAL_PREFIX_BYTES 3

int target_nqn_format(const char *name, char ret_nqn[NQN_BYTES_MAX])
{
	char text[NQN_BYTES_MAX];
	int length = snprintf(text, sizeof(text), "%s:%s", TARGET_NQN_PREFIX, name);

	if (length < 0 || length >= NQN_BYTES_MAX || name[0] == '\0')
		return -EINVAL;
	memcpy(ret_nqn, text, sizeof(text));
	return 0;
}

bool target_nqn_is_valid(const char *nqn)
{
	size_t length = strnlen(nqn, NQN_BYTES_MAX);

	ASSERT(nqn != NULL);
	if (length == 0 || length >= NQN_BYTES_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if ((uint8_t)nqn[i] <= 0x20 || nqn[i] == 0x7f)
			return false;
	}
	return true;
}

static void serial_fill(const void *bytes, size_t size, char ret_serial[TARGET_SERIAL_BYTES])
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t hash[SHA256_BYTES];

	ASSERT(bytes != NULL);
	ASSERT(ret_serial != NULL);
	STATIC_ASSERT(TARGET_SERIAL_BYTES - 1 - SERIAL_PREFIX_BYTES <= 2 * SHA256_BYTES);
	sha256(bytes, size, hash);
	memcpy(ret_serial, SERIAL_PREFIX, SERIAL_PREFIX_BYTES);
	for (int i = SERIAL_PREFIX_BYTES; i < TARGET_SERIAL_BYTES - 1; i++) {
		int nibble = i - SERIAL_PREFIX_BYTES;
		uint8_t byte = hash[nibble / 2];

		ret_serial[i] = digits[nibble % 2 == 0 ? byte >> 4 : byte & 0xf];
	}
	ret_serial[TARGET_SERIAL_BYTES - 1] = '\0';
}

void target_serial_from_uuid(const struct uuid *uuid, char ret_serial[TARGET_SERIAL_BYTES])
{
	ASSERT(uuid != NULL);
	serial_fill(uuid->bytes, sizeof(uuid->bytes), ret_serial);
}

void target_serial_from_name(const char *name, char ret_serial[TARGET_SERIAL_BYTES])
{
	ASSERT(name != NULL);
	serial_fill(name, strlen(name), ret_serial);
}
