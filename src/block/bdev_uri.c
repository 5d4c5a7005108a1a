/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_uri.c - names, sizes and identities out of device URIs.
 *
 * Invariants:
 *  1. Nothing is ignored: a parameter that the driver does not know, or that does not parse, or
 *     that is given twice, refuses the whole URI.
 *  2. A geometry that is accepted has at least one block and less than 2^63 bytes.
 */
#include "block/bdev_uri_impl.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MIB_BYTES (1024 * 1024)

struct parameter_name {
	const char *name;
	enum bdev_uri_parameter parameter;
};

static const struct parameter_name parameter_names[] = {
	{"uuid", BDEV_URI_UUID},       {"blk_size", BDEV_URI_BLK_SIZE},
	{"size_mb", BDEV_URI_SIZE_MB}, {"num_blocks", BDEV_URI_NUM_BLOCKS},
	{"resize", BDEV_URI_RESIZE},   {"rescan", BDEV_URI_RESCAN},
	{"lower", BDEV_URI_LOWER},
};
#define PARAMETER_COUNT	   (sizeof(parameter_names) / sizeof(parameter_names[0]))
#define ALLOWED_TEXT_BYTES 96

int bdev_uri_refuse(char ret_error[ERROR_TEXT_BYTES], int error, const char *format, ...)
{
	va_list arguments;

	ASSERT(error < 0);
	va_start(arguments, format);
	vsnprintf(ret_error, ERROR_TEXT_BYTES, format, arguments);
	va_end(arguments);
	ASSERT(ret_error[0] != '\0');
	return error;
}

/* Decimal digits alone, no sign, no space. */
static bool number_parse(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;

	ASSERT(text != NULL);
	ASSERT(ret_number != NULL);
	if (text[0] == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return false;
	}
	*ret_number = number;
	return true;
}

static bool switch_parse(const char *text, bool *ret_switch)
{
	bool is_on = text[0] == '\0' || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;

	if (!is_on && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
		return false;
	*ret_switch = is_on;
	return true;
}

static bool uuid_value_parse(const char *text, struct uuid *ret_uuid)
{
	struct uuid uuid;

	if (!uuid_parse(text, &uuid) || uuid_is_nil(&uuid))
		return false;
	*ret_uuid = uuid;
	return true;
}

static bool block_bytes_parse(const char *text, uint32_t *ret_block_bytes)
{
	uint64_t number;

	if (!number_parse(text, &number) ||
	    (number != BLOCK_BYTES_MIN && number != BLOCK_BYTES_MAX))
		return false;
	*ret_block_bytes = (uint32_t)number;
	return true;
}

/* Return: NULL, or what the value has to be. */
static const char *value_parse(enum bdev_uri_parameter parameter, const char *value,
			       struct bdev_uri_options *options)
{
	switch (parameter) {
	case BDEV_URI_UUID:
		return uuid_value_parse(value, &options->uuid)
			       ? NULL
			       : "a uuid like 3a1f0c9e-6b0a-4d7e-9a55-0d2c1b7e8f40, not all zero";
	case BDEV_URI_BLK_SIZE:
		return block_bytes_parse(value, &options->block_bytes) ? NULL : "512 or 4096";
	case BDEV_URI_SIZE_MB:
		return number_parse(value, &options->size_mb) ? NULL : "a number of MiB";
	case BDEV_URI_NUM_BLOCKS:
		return number_parse(value, &options->num_blocks) ? NULL : "a number of blocks";
	case BDEV_URI_RESIZE:
		return switch_parse(value, &options->is_resize) ? NULL : "empty, true or false";
	case BDEV_URI_RESCAN:
		return switch_parse(value, &options->is_rescan) ? NULL : "empty, true or false";
	case BDEV_URI_LOWER:
		options->lower = value;
		return value[0] != '\0' ? NULL : "the name of a bdev";
	}
	return "known";
}

/* 0 when @name is not among the @allowed ones. */
static uint32_t parameter_find(const char *name, uint32_t allowed)
{
	ASSERT(allowed <= (BDEV_URI_LOWER << 1) - 1);
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		if (strcmp(parameter_names[i].name, name) == 0)
			return parameter_names[i].parameter & allowed;
	}
	return 0;
}

static void allowed_format(uint32_t allowed, char ret_text[ALLOWED_TEXT_BYTES])
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		if ((parameter_names[i].parameter & allowed) == 0)
			continue;
		used += (size_t)snprintf(ret_text + used, ALLOWED_TEXT_BYTES - used, "%s%s",
					 used == 0 ? "" : ", ", parameter_names[i].name);
		ASSERT(used < ALLOWED_TEXT_BYTES);
	}
	if (used == 0)
		memcpy(ret_text, "none", sizeof("none"));
}

int bdev_uri_options(const struct uri *uri, uint32_t allowed, struct bdev_uri_options *ret_options,
		     char ret_error[ERROR_TEXT_BYTES])
{
	struct bdev_uri_options options = {0};
	char allowed_text[ALLOWED_TEXT_BYTES];

	ASSERT(allowed <= (BDEV_URI_LOWER << 1) - 1);
	ASSERT(uri->parameter_count <= URI_PARAMETERS_MAX);
	for (uint32_t i = 0; i < uri->parameter_count; i++) {
		const char *name = uri->parameters[i].name;
		uint32_t parameter = parameter_find(name, allowed);
		const char *rule;

		if (parameter == 0) {
			allowed_format(allowed, allowed_text);
			return bdev_uri_refuse(ret_error, -EINVAL,
					       "device '%.200s': parameter '%.64s' is not known "
					       "here; allowed: %s",
					       uri->path, name, allowed_text);
		}
		if ((options.given & parameter) != 0)
			return bdev_uri_refuse(ret_error, -EINVAL,
					       "device '%.200s': parameter '%.64s' is given twice; "
					       "give it once",
					       uri->path, name);
		rule = value_parse((enum bdev_uri_parameter)parameter, uri->parameters[i].value,
				   &options);
		if (rule != NULL)
			return bdev_uri_refuse(ret_error, -EINVAL,
					       "device '%.200s': parameter %s '%.64s' must be %s",
					       uri->path, name, uri->parameters[i].value, rule);
		ASSERT((parameter & ~allowed) == 0);
		options.given |= parameter;
	}
	ASSERT((options.given & ~allowed) == 0);
	*ret_options = options;
	return 0;
}

int bdev_uri_geometry(const char *name, const struct bdev_uri_options *options,
		      struct bdev *ret_bdev, char ret_error[ERROR_TEXT_BYTES])
{
	uint32_t sizes = options->given & (BDEV_URI_SIZE_MB | BDEV_URI_NUM_BLOCKS);
	uint32_t block_bytes = BLOCK_BYTES_MIN;
	uint64_t bytes;
	bool is_over;

	if ((options->given & BDEV_URI_BLK_SIZE) != 0)
		block_bytes = options->block_bytes;
	ASSERT(block_bytes == BLOCK_BYTES_MIN || block_bytes == BLOCK_BYTES_MAX);
	if (sizes != BDEV_URI_SIZE_MB && sizes != BDEV_URI_NUM_BLOCKS)
		return bdev_uri_refuse(ret_error, -EINVAL,
				       "device '%.200s': %s size_mb and num_blocks given; give "
				       "exactly one of them",
				       name, sizes == 0 ? "neither of" : "both");
	if (sizes == BDEV_URI_SIZE_MB)
		is_over = __builtin_mul_overflow(options->size_mb, MIB_BYTES, &bytes);
	else
		is_over = __builtin_mul_overflow(options->num_blocks, block_bytes, &bytes);
	if (is_over || bytes > INT64_MAX)
		return bdev_uri_refuse(ret_error, -EINVAL,
				       "device '%.200s': the size is beyond 2^63 bytes; give a "
				       "smaller one",
				       name);
	if (bytes == 0)
		return bdev_uri_refuse(ret_error, -EINVAL,
				       "device '%.200s': the size is zero; give at least one block",
				       name);
	ASSERT(bytes >= block_bytes);
	ret_bdev->block_bytes = block_bytes;
	ret_bdev->block_count = bytes / block_bytes;
	ASSERT(ret_bdev->block_count > 0);
	return 0;
}

int bdev_uri_resize(struct bdev_create *create, const struct bdev_uri_options *options,
		    const struct bdev_ops *ops, uint64_t *ret_block_count)
{
	const struct bdev *bdev = create->bdev;
	struct bdev wanted;
	int rc;

	ASSERT(bdev->main == bdev_registry_main(create->registry));
	ASSERT(!list_is_empty(&bdev->registry_link));
	ASSERT(bdev != NULL);
	if (bdev->ops != ops || !options->is_resize)
		return bdev_uri_refuse(create->error, -EEXIST,
				       "device '%.200s' exists; use it or choose another name",
				       bdev->name);
	rc = bdev_uri_geometry(bdev->name, options, &wanted, create->error);
	if (rc < 0)
		return rc;
	if ((options->given & BDEV_URI_UUID) != 0 && !uuid_is_equal(&options->uuid, &bdev->uuid))
		return bdev_uri_refuse(
			create->error, -EINVAL,
			"device '%.200s' has another uuid; resize it without uuid=", bdev->name);
	if ((options->given & BDEV_URI_BLK_SIZE) != 0 && wanted.block_bytes != bdev->block_bytes)
		return bdev_uri_refuse(create->error, -EINVAL,
				       "device '%.200s' has blocks of %u bytes; resize it with the "
				       "same blk_size",
				       bdev->name, bdev->block_bytes);
	if ((options->given & BDEV_URI_SIZE_MB) != 0)
		wanted.block_count = options->size_mb * MIB_BYTES / bdev->block_bytes;
	if (wanted.block_count < bdev->block_count)
		return bdev_uri_refuse(create->error, -EINVAL,
				       "device '%.200s' has %" PRIu64 " blocks and cannot shrink; "
				       "ask for at least as many",
				       bdev->name, bdev->block_count);
	if (wanted.block_count > INT64_MAX / bdev->block_bytes)
		return bdev_uri_refuse(create->error, -EINVAL,
				       "device '%.200s': the size is beyond 2^63 bytes; give a "
				       "smaller one",
				       bdev->name);
	ASSERT(wanted.block_count >= bdev->block_count);
	*ret_block_count = wanted.block_count;
	return 0;
}

void bdev_uri_sized_create(struct bdev_create *create,
			   int (*make)(struct bdev_create *, const struct bdev_uri_options *),
			   int (*resize)(struct bdev_create *, const struct bdev_uri_options *))
{
	struct bdev_uri_options options;

	ASSERT(make != NULL && resize != NULL);
	create->result =
		bdev_uri_options(&create->uri,
				 BDEV_URI_SIZE_MB | BDEV_URI_NUM_BLOCKS | BDEV_URI_BLK_SIZE |
					 BDEV_URI_UUID | BDEV_URI_RESIZE,
				 &options, create->error);
	if (create->result == 0)
		create->result =
			create->bdev != NULL ? resize(create, &options) : make(create, &options);
	ASSERT(create->result <= 0);
	ASSERT(create->result < 0 || create->bdev != NULL);
	op_done(create->parent);
}

int bdev_uri_path_name(const struct uri *uri, char ret_name[NAME_BYTES_MAX],
		       char ret_error[ERROR_TEXT_BYTES])
{
	size_t bytes = strlen(uri->path);

	if (uri->host[0] != '\0' || uri->port != 0)
		return bdev_uri_refuse(ret_error, -EINVAL,
				       "device '%.200s': '%s' takes no host '%.100s'; write three "
				       "slashes before the name",
				       uri->path, uri->scheme, uri->host);
	if (bytes < 2 || bytes >= NAME_BYTES_MAX)
		return bdev_uri_refuse(ret_error, -EINVAL,
				       "device '%.200s': the name must have 1 to %d bytes",
				       uri->path, NAME_BYTES_MAX - 2);
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = (unsigned char)uri->path[i];

		if (byte < 0x20 || byte == 0x7f)
			return bdev_uri_refuse(ret_error, -EINVAL,
					       "device name has a control character at byte %zu; "
					       "use printable ones",
					       i);
	}
	memcpy(ret_name, uri->path, bytes + 1);
	return 0;
}

int bdev_uri_plain_name(const struct uri *uri, char ret_name[NAME_BYTES_MAX],
			char ret_error[ERROR_TEXT_BYTES])
{
	char path[NAME_BYTES_MAX];
	int rc = bdev_uri_path_name(uri, path, ret_error);

	if (rc < 0)
		return rc;
	ASSERT(path[0] == '/');
	ASSERT(path[1] != '\0');
	memcpy(ret_name, path + 1, strlen(path));
	return 0;
}

struct uuid bdev_uri_uuid(const struct bdev_create *create, const struct bdev_uri_options *options)
{
	struct reactor *main = bdev_registry_main(create->registry);
	uint8_t random[16];

	if ((options->given & BDEV_URI_UUID) != 0)
		return options->uuid;
	os_entropy_fill(reactor_os(main), random, sizeof(random));
	return uuid_from_random(random);
}

static void driver_release(struct bdev_driver *driver)
{
	ASSERT(driver->release == driver_release);
	ASSERT(list_is_empty(&driver->link));
	memory_free(driver);
}

int bdev_driver_register(struct bdev_registry *registry, const struct bdev_driver *template)
{
	struct bdev_driver *driver = memory_alloc(sizeof(*driver));

	ASSERT(template->user == NULL);
	ASSERT(template->release == NULL);
	if (driver == NULL)
		return -ENOMEM;
	*driver = *template;
	driver->release = driver_release;
	bdev_registry_add_driver(registry, driver);
	return 0;
}
