/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_layout.h - all layouts of NVMe base 2.0 and the NVM command set 1.0 that we use.
 *
 * Fields are little endian (base/le.h) and byte-aligned, so each struct may overlay any memory.
 */
#ifndef NVME_NVME_LAYOUT_H
#define NVME_NVME_LAYOUT_H

#include "nvme/nvme_command_layout.h"
#include "nvme/nvme_identify_layout.h"
#include "nvme/nvme_log_layout.h"
#include "nvme/nvme_namespace_layout.h"
#include "nvme/nvme_reservation_layout.h"
#include "nvme/nvme_status.h"

#endif
