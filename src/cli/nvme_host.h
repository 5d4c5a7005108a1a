/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_host.h - the kernel's NVMe/TCP host: connect, find the block device, disconnect. */
#ifndef CLI_NVME_HOST_H
#define CLI_NVME_HOST_H

#include "cli/dev_state.h"

/** True when the kernel has it; tries to load its module. */
bool nvme_host_is_available(void);

/** The block device of subsystem @nqn. Return: false when there is none. */
bool nvme_host_find(const char *nqn, char ret_device[DEV_DEVICE_BYTES]);

/** Connects to "nvmf+tcp://host:port/nqn" and waits for the block device. */
enum cli_exit nvme_host_connect(const char *uri, char ret_device[DEV_DEVICE_BYTES],
				struct cli_error *error) __attribute__((warn_unused_result));

/** Removes every controller of @nqn; none is fine. @ret_count: how many. */
enum cli_exit nvme_host_disconnect(const char *nqn, uint32_t *ret_count, struct cli_error *error)
	__attribute__((warn_unused_result));

#endif
