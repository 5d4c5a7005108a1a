/* SPDX-License-Identifier: Apache-2.0 */
/* loop_device.h - a file as a block device (loop(4)). */
#ifndef CLI_LOOP_DEVICE_H
#define CLI_LOOP_DEVICE_H

#include "cli/dev_state.h"

/** The loop device on @file. Return: false when there is none. */
bool loop_device_find(const char *file, char ret_device[DEV_DEVICE_BYTES]);

/** True if @device is on @file. */
bool loop_device_is_on(const char *device, const char *file);

/** Puts a free loop device on @file, with direct I/O and sectors of 512 bytes. */
enum cli_exit loop_device_attach(const char *file, char ret_device[DEV_DEVICE_BYTES],
				 struct cli_error *error) __attribute__((warn_unused_result));

/**
 * loop_device_detach - write out what is cached, take the file away, wait until it is gone
 * @ret_is_lossy: true when it is gone, but writing out failed; @error says so.
 */
enum cli_exit loop_device_detach(const char *device, const char *file, bool *ret_is_lossy,
				 struct cli_error *error) __attribute__((warn_unused_result));

#endif
