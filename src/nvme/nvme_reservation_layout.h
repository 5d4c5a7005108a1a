/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_reservation_layout.h - data and command bits of the reservation commands (NVMe base 2.0,
 * sections 7.2 to 7.5 and 8.19). Reserved bytes are zero.
 */
#ifndef NVME_NVME_RESERVATION_LAYOUT_H
#define NVME_NVME_RESERVATION_LAYOUT_H

#include "base/assert.h"
#include "base/le.h"

#include <stddef.h>

enum nvme_reservation_type {
	NVME_RESERVATION_NONE = 0,
	NVME_RESERVATION_WRITE_EXCLUSIVE = 1,
	NVME_RESERVATION_EXCLUSIVE_ACCESS = 2,
	NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS = 3,
	NVME_RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS = 4,
	NVME_RESERVATION_WRITE_EXCLUSIVE_ALL = 5,
	NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL = 6,
};

/* CDW10 2:0 of register, acquire, release. */
enum nvme_reservation_register {
	NVME_RESERVATION_REGISTER_KEY = 0,
	NVME_RESERVATION_UNREGISTER_KEY = 1,
	NVME_RESERVATION_REPLACE_KEY = 2,
};
enum nvme_reservation_acquire {
	NVME_RESERVATION_ACQUIRE_NEW = 0,
	NVME_RESERVATION_PREEMPT = 1,
	NVME_RESERVATION_PREEMPT_AND_ABORT = 2,
};
enum nvme_reservation_release {
	NVME_RESERVATION_RELEASE_HELD = 0,
	NVME_RESERVATION_CLEAR = 1,
};
#define NVME_RESERVATION_ACTION_MASK	     7u
#define NVME_RESERVATION_IGNORE_EXISTING_KEY (1u << 3) /* CDW10 */
#define NVME_RESERVATION_TYPE_SHIFT	     8	       /* CDW10 15:8 of acquire and release */
#define NVME_RESERVATION_PERSIST_SHIFT	     30	       /* CDW10 31:30 of register */
#define NVME_RESERVATION_EXTENDED	     1u	       /* CDW11 of report: 128-bit host ids */

enum nvme_reservation_persist {
	NVME_RESERVATION_PERSIST_NO_CHANGE = 0,
	NVME_RESERVATION_PERSIST_CLEAR = 2, /* released and unregistered at power loss */
	NVME_RESERVATION_PERSIST_SET = 3,
};

struct nvme_reservation_register_data {
	struct le64 current_key;
	struct le64 new_key;
};
STATIC_ASSERT(sizeof(struct nvme_reservation_register_data) == 16);

struct nvme_reservation_acquire_data {
	struct le64 current_key;
	struct le64 preempt_key;
};
STATIC_ASSERT(sizeof(struct nvme_reservation_acquire_data) == 16);

struct nvme_reservation_release_data {
	struct le64 current_key;
};
STATIC_ASSERT(sizeof(struct nvme_reservation_release_data) == 8);

/* Reservation status (NVMe base 2.0, figure 403), then one entry per registered controller. */
struct nvme_reservation_report {
	struct le32 generation;
	uint8_t type; /* enum nvme_reservation_type */
	struct le16 registered_count;
	uint8_t reserved7[2];
	uint8_t persist; /* PTPLS: 1 when it persists through power loss */
	uint8_t reserved10[14];
};
STATIC_ASSERT(sizeof(struct nvme_reservation_report) == 24);
STATIC_ASSERT(offsetof(struct nvme_reservation_report, registered_count) == 5);
STATIC_ASSERT(offsetof(struct nvme_reservation_report, persist) == 9);

struct nvme_reservation_registrant {
	struct le16 cntlid; /* ffffh: no controller is connected */
	uint8_t status;	    /* bit 0: holds the reservation */
	uint8_t reserved3[5];
	struct le64 host_id;
	struct le64 key;
};
STATIC_ASSERT(sizeof(struct nvme_reservation_registrant) == 24);
STATIC_ASSERT(offsetof(struct nvme_reservation_registrant, host_id) == 8);

/* The same with NVME_RESERVATION_EXTENDED (NVMe base 2.0, figure 404): the header is padded to
 * 64 bytes, an entry has 64 bytes. */
struct nvme_reservation_report_extended {
	struct nvme_reservation_report report;
	uint8_t reserved24[40];
};
STATIC_ASSERT(sizeof(struct nvme_reservation_report_extended) == 64);

struct nvme_reservation_registrant_extended {
	struct le16 cntlid;
	uint8_t status;
	uint8_t reserved3[5];
	struct le64 key;
	uint8_t host_id[16];
	uint8_t reserved32[32];
};
STATIC_ASSERT(sizeof(struct nvme_reservation_registrant_extended) == 64);
STATIC_ASSERT(offsetof(struct nvme_reservation_registrant_extended, key) == 8);
STATIC_ASSERT(offsetof(struct nvme_reservation_registrant_extended, host_id) == 16);

#endif
