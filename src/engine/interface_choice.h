/* SPDX-License-Identifier: Apache-2.0 */
/* interface_choice.h - which of the machine's addresses the target serves on. */
#ifndef ENGINE_INTERFACE_CHOICE_H
#define ENGINE_INTERFACE_CHOICE_H

#include "base/limits.h"
#include "os/os_interface.h"

/**
 * interface_choose - an address by "name:eth0", "mac:aa:..", "ip:192.0.2.1", "subnet:192.0.2.0/24"
 * A bare address is taken as it is. IPv4 addresses win over IPv6 ones of the same interface.
 * Pure: @interfaces is what os_interface_list() told.
 * Return: 0; -EINVAL (malformed) or -ENODEV (nothing matches), both with a sentence in @ret_error.
 */
int interface_choose(const char *text, const struct os_interface *interfaces, uint32_t count,
		     char ret_host[OS_ADDRESS_TEXT_BYTES], char ret_error[ERROR_TEXT_BYTES])
	__attribute__((warn_unused_result));

#endif
