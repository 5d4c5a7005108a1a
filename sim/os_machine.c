/* SPDX-License-Identifier: Apache-2.0 */
/* os_machine.c - os/os_block_device.h and the identity of a machine's life (os_boot_id).
 *
 * A simulated machine has no block devices to show, and its processes use no resources that anybody
 * counts. It begins another life with every loss of power; a process that is killed changes
 * nothing.
 */
#include "os/os_block_device.h"

#include "sim/nth_faults.h"
#include "sim/sim_impl.h"

#include <errno.h>

int os_block_device_list(struct os *os, struct os_block_device *ret_devices, uint32_t capacity)
{
	ASSERT(capacity == 0 || ret_devices != NULL);
	return nth_fails(os->process, NTH_DEVICES) ? -EIO : 0;
}

void os_resource_usage(struct os *os, struct os_resource_usage *ret_usage)
{
	ASSERT(os->process->is_running);
	*ret_usage = (struct os_resource_usage){0};
}

/* Not drawn: a seed's other draws stay where they are. */
void sim_boot_id(const struct sim_process *process, struct uuid *ret_id)
{
	*ret_id = (struct uuid){.bytes = {[0] = 0xb0, [6] = 0x40, [8] = 0x80}};
	ret_id->bytes[1] = (uint8_t)process->index;
	for (uint32_t i = 0; i < 4; i++)
		ret_id->bytes[15 - i] = (uint8_t)(process->power_cuts >> 8 * i);
	ASSERT(!uuid_is_nil(ret_id));
}

void os_boot_id(struct os *os, struct uuid *ret_id)
{
	ASSERT(os->process->is_running);
	sim_boot_id(os->process, ret_id);
}
