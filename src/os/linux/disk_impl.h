/* SPDX-License-Identifier: Apache-2.0 */
/* disk_impl.h - an open file or block device. Unchanged after os_disk_open(), so any thread may
 * use it.
 */
#ifndef OS_LINUX_DISK_IMPL_H
#define OS_LINUX_DISK_IMPL_H

#include "os/os_disk.h"

struct os_disk {
	int fd;
	struct os_disk_info info; /* the size is asked anew each time */
	bool is_read_only;
};

#endif
