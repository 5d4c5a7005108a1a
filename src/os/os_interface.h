/* SPDX-License-Identifier: Apache-2.0 */
/* os_interface.h - the network interfaces of this machine, to choose a storage address from. */
#ifndef OS_OS_INTERFACE_H
#define OS_OS_INTERFACE_H

#include "os/os_socket.h"

#define OS_INTERFACE_NAME_BYTES 32

struct os_interface {
	char name[OS_INTERFACE_NAME_BYTES];
	uint8_t mac[6]; /* zeroes when it has none */
	struct os_address address;
	bool is_up;
};

/**
 * os_interface_list - every address of every interface, one entry each
 * Blocks for a moment: start-up only.
 * Return: how many were written (at most @capacity), or -errno.
 */
int os_interface_list(struct os *os, struct os_interface *ret_interfaces, uint32_t capacity)
	__attribute__((warn_unused_result));

#endif
