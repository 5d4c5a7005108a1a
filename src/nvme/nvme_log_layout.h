/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_log_layout.h - log pages (NVMe base 2.0, section 5.16). Reserved bytes are zero. */
#ifndef NVME_NVME_LOG_LAYOUT_H
#define NVME_NVME_LOG_LAYOUT_H

#include "base/assert.h"
#include "base/le.h"

#include <stddef.h>

/* CDW10 7:0 of get log page (NVMe base 2.0, figure 202). */
enum nvme_log_page {
	NVME_LOG_SUPPORTED_PAGES = 0x00,
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE_SLOT = 0x03,
	NVME_LOG_CHANGED_NAMESPACES = 0x04,
	NVME_LOG_COMMAND_EFFECTS = 0x05,
	NVME_LOG_ANA = 0x0c,
	NVME_LOG_DISCOVERY = 0x70,
	NVME_LOG_RESERVATION = 0x80,
};
#define NVME_LOG_RETAIN_EVENT	 (1u << 15) /* CDW10 */
#define NVME_LOG_ANA_GROUPS_ONLY 1u	    /* log specific field: CDW10 14:8 */

/* One entry of the error log, newest first (NVMe base 2.0, figure 206). */
struct nvme_error_log_entry {
	struct le64 error_count; /* 0: entry not used */
	struct le16 sqid;
	struct le16 cid;
	struct le16 status;		/* as in the completion */
	struct le16 parameter_location; /* 7:0 byte, 10:8 bit of the command */
	struct le64 lba;
	struct le32 nsid;
	uint8_t vendor_log;
	uint8_t transport; /* enum nvmf_transport_type */
	uint8_t reserved30[2];
	struct le64 command_specific;
	struct le16 transport_specific;
	uint8_t reserved42[22];
};
STATIC_ASSERT(sizeof(struct nvme_error_log_entry) == 64);
STATIC_ASSERT(offsetof(struct nvme_error_log_entry, status) == 12);
STATIC_ASSERT(offsetof(struct nvme_error_log_entry, nsid) == 24);
STATIC_ASSERT(offsetof(struct nvme_error_log_entry, command_specific) == 32);

/* 128-bit counters: a 64-bit low part and zeroes. */
struct nvme_counter {
	struct le64 low;
	struct le64 high;
};

/* SMART and health (NVMe base 2.0, figure 207). */
struct nvme_smart_log {
	uint8_t critical_warning;
	struct le16 temperature_kelvin;
	uint8_t spare_percent;
	uint8_t spare_threshold_percent;
	uint8_t used_percent;
	uint8_t endurance_warning;
	uint8_t reserved7[25];
	struct nvme_counter data_units_read; /* 1000 times 512 bytes */
	struct nvme_counter data_units_written;
	struct nvme_counter host_reads;
	struct nvme_counter host_writes;
	struct nvme_counter busy_minutes;
	struct nvme_counter power_cycles;
	struct nvme_counter power_on_hours;
	struct nvme_counter unsafe_shutdowns;
	struct nvme_counter media_errors;
	struct nvme_counter error_log_entries;
	struct le32 warning_temperature_minutes;
	struct le32 critical_temperature_minutes;
	struct le16 sensors_kelvin[8];
	struct le32 thermal[4];
	uint8_t reserved232[280];
};
STATIC_ASSERT(sizeof(struct nvme_smart_log) == 512);
STATIC_ASSERT(offsetof(struct nvme_smart_log, data_units_read) == 32);
STATIC_ASSERT(offsetof(struct nvme_smart_log, media_errors) == 160);
STATIC_ASSERT(offsetof(struct nvme_smart_log, sensors_kelvin) == 200);

/* Firmware slot information (NVMe base 2.0, figure 209). */
struct nvme_firmware_log {
	uint8_t active; /* 2:0 active slot, from 1 */
	uint8_t reserved1[7];
	uint8_t revision[7][8];
	uint8_t reserved64[448];
};
STATIC_ASSERT(sizeof(struct nvme_firmware_log) == 512);
STATIC_ASSERT(offsetof(struct nvme_firmware_log, revision) == 8);

/* Changed namespace list (NVMe base 2.0, section 5.16.1.5): ids, zero-terminated; ffffffffh in
 * the first entry means more than 1024. */
struct nvme_changed_namespaces_log {
	struct le32 nsid[1024];
};
STATIC_ASSERT(sizeof(struct nvme_changed_namespaces_log) == 4096);

/* Commands supported and effects (NVMe base 2.0, figures 210 and 211), indexed by opcode. */
struct nvme_effects_log {
	struct le32 admin[256];
	struct le32 io[256];
	uint8_t reserved2048[2048];
};
STATIC_ASSERT(sizeof(struct nvme_effects_log) == 4096);

enum nvme_effect {
	NVME_EFFECT_SUPPORTED = 1 << 0,
	NVME_EFFECT_BLOCK_CONTENT = 1 << 1,
	NVME_EFFECT_NAMESPACE_CAPABILITY = 1 << 2,
	NVME_EFFECT_NAMESPACE_INVENTORY = 1 << 3,
	NVME_EFFECT_CONTROLLER_CAPABILITY = 1 << 4,
};

/* Asymmetric namespace access (NVMe base 2.0, figures 221 and 222): the header, then
 * @group_count group descriptors, each followed by its namespace ids. */
struct nvme_ana_log {
	struct le64 change_count;
	struct le16 group_count;
	uint8_t reserved10[6];
};
STATIC_ASSERT(sizeof(struct nvme_ana_log) == 16);

struct nvme_ana_group {
	struct le32 group_id;
	struct le32 nsid_count; /* that many struct le32 follow */
	struct le64 change_count;
	uint8_t state; /* 3:0 enum nvme_ana_state */
	uint8_t reserved17[15];
};
STATIC_ASSERT(sizeof(struct nvme_ana_group) == 32);
STATIC_ASSERT(offsetof(struct nvme_ana_group, state) == 16);

enum nvme_ana_state {
	NVME_ANA_OPTIMIZED = 0x1,
	NVME_ANA_NON_OPTIMIZED = 0x2,
	NVME_ANA_INACCESSIBLE = 0x3,
	NVME_ANA_PERSISTENT_LOSS = 0x4,
	NVME_ANA_CHANGE = 0xf,
};

/* Reservation notification (NVMe base 2.0, figure 262). */
struct nvme_reservation_log {
	struct le64 page_count; /* 0: the page is empty */
	uint8_t type;		/* enum nvme_reservation_notice */
	uint8_t available_count;
	uint8_t reserved10[2];
	struct le32 nsid;
	uint8_t reserved16[48];
};
STATIC_ASSERT(sizeof(struct nvme_reservation_log) == 64);
STATIC_ASSERT(offsetof(struct nvme_reservation_log, nsid) == 12);

enum nvme_reservation_notice {
	NVME_RESERVATION_NOTICE_EMPTY = 0,
	NVME_RESERVATION_NOTICE_REGISTRATION_PREEMPTED = 1,
	NVME_RESERVATION_NOTICE_RELEASED = 2,
	NVME_RESERVATION_NOTICE_PREEMPTED = 3,
};

#endif
