/* SPDX-License-Identifier: Apache-2.0 */
/* device_uri_fuzz.c - any text as the URI of a device: refused with a sentence, or within limits.
 */
#include "block/bdev_uri_impl.h"

#include "reactor/reactor.h"

#include <string.h>

#define ALL_PARAMETERS ((BDEV_URI_LOWER << 1) - 1)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int __lsan_is_turned_off(void);

/* The registry and its reactor live as long as the process. */
int __lsan_is_turned_off(void)
{
	return 1;
}

static struct bdev_registry *registry_make(void)
{
	struct bdev_registry *registry;
	struct reactor_options options;
	struct reactor *reactor;
	struct os *os;

	reactor_options_default(&options);
	options.small_buffer_count = 1;
	options.large_buffer_count = 1;
	options.receive_buffer_count = 2;
	ASSERT(os_open(&os) == 0);
	ASSERT(reactor_create(os, &options, &reactor) == 0);
	ASSERT(bdev_registry_create(reactor, &registry) == 0);
	ASSERT(bdev_memory_register(registry) == 0);
	ASSERT(bdev_null_register(registry) == 0);
	ASSERT(bdev_uring_register(registry) == 0);
	ASSERT(bdev_loopback_register(registry) == 0);
	ASSERT(bdev_pcie_register(registry) == 0);
	return registry;
}

static void options_check(const char *text)
{
	struct bdev_uri_options options;
	char error[ERROR_TEXT_BYTES] = {0};
	struct bdev bdev = {.block_bytes = 0};
	struct uri uri;

	if (uri_parse(text, &uri, error, sizeof(error)) < 0)
		return;
	if (bdev_uri_options(&uri, ALL_PARAMETERS, &options, error) < 0) {
		ASSERT(error[0] != '\0');
		return;
	}
	if (bdev_uri_geometry("fuzz", &options, &bdev, error) < 0) {
		ASSERT(error[0] != '\0');
		return;
	}
	ASSERT(bdev.block_bytes == 512 || bdev.block_bytes == 4096);
	ASSERT(bdev.block_count > 0 && bdev.block_count <= UINT64_MAX / bdev.block_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static struct bdev_registry *registry;
	char text[URI_TEXT_BYTES_MAX + 16] = {0};
	char error[ERROR_TEXT_BYTES] = {0};
	char name[NAME_BYTES_MAX] = {0};

	if (registry == NULL)
		registry = registry_make();
	memcpy(text, bytes, size_bytes < sizeof(text) ? size_bytes : sizeof(text) - 1);
	if (bdev_registry_name(registry, text, name, error) == 0)
		ASSERT(name[0] != '\0' && memchr(name, '\0', sizeof(name)) != NULL);
	else
		ASSERT(error[0] != '\0');
	options_check(text);
	return 0;
}
