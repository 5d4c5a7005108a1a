/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_message.h - a nexus as the gRPC interface shows it. */
#ifndef ENGINE_NEXUS_MESSAGE_H
#define ENGINE_NEXUS_MESSAGE_H

#include "api/mayastor/v1/nexus.pb-c.h"
#include "engine/engine_impl.h"

/* The message and all that it points to; some 20 KiB: not for the stack of deep calls. */
struct nexus_message {
	Mayastor__V1__Nexus message;
	char uuid[UUID_TEXT_BYTES];
	char device_uri[SHARE_URI_BYTES];
	char *allowed_hosts[TARGET_ALLOWED_HOSTS_MAX];
	Mayastor__V1__Child children[NEXUS_CHILDREN_MAX];
	Mayastor__V1__Child *child_list[NEXUS_CHILDREN_MAX];
	Google__Protobuf__Timestamp fault_times[NEXUS_CHILDREN_MAX];
};

/** @info and the nexus must stay as long as @ret_message is used. */
void nexus_message_fill(struct engine *engine, struct nexus *nexus, struct nexus_info *info,
			struct nexus_message *ret_message);

/** NVME_ANA_INVALID_STATE unless it is published. */
Mayastor__V1__NvmeAnaState nexus_message_ana_state(struct engine *engine, struct nexus *nexus);

/* One past rebuild; the times are kept beside it. */
struct nexus_history_message {
	Mayastor__V1__RebuildHistoryRecord message;
	Google__Protobuf__Timestamp start;
	Google__Protobuf__Timestamp end;
};

/** @entry must stay as long as @ret_record is used. */
void nexus_history_message_fill(struct nexus_history_entry *entry,
				struct nexus_history_message *ret_record);

void timestamp_fill(uint64_t wall_ns, Google__Protobuf__Timestamp *ret_timestamp);

#endif
