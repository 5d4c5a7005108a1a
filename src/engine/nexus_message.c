/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_message.c - translates the state of a nexus; the enumerations have the wire's values. */
#include "engine/nexus_message.h"

#include <string.h>

STATIC_ASSERT((int)NEXUS_SHUTDOWN == (int)MAYASTOR__V1__NEXUS_STATE__NEXUS_SHUTDOWN);
STATIC_ASSERT((int)NEXUS_CHILD_FAULTED == (int)MAYASTOR__V1__CHILD_STATE__CHILD_STATE_FAULTED);
STATIC_ASSERT((int)NEXUS_REASON_ADMIN_FAILED ==
	      (int)MAYASTOR__V1__CHILD_STATE_REASON__CHILD_STATE_REASON_ADMIN_FAILED);
STATIC_ASSERT((int)REBUILD_COMPLETED == (int)MAYASTOR__V1__REBUILD_JOB_STATE__Completed);
STATIC_ASSERT((int)TARGET_ANA_INACCESSIBLE ==
	      (int)MAYASTOR__V1__NVME_ANA_STATE__NVME_ANA_INACCESSIBLE_STATE);

void timestamp_fill(uint64_t wall_ns, Google__Protobuf__Timestamp *ret_timestamp)
{
	google__protobuf__timestamp__init(ret_timestamp);
	ret_timestamp->seconds = (int64_t)(wall_ns / 1000000000u);
	ret_timestamp->nanos = (int32_t)(wall_ns % 1000000000u);
}

Mayastor__V1__NvmeAnaState nexus_message_ana_state(struct engine *engine, struct nexus *nexus)
{
	struct export *export = export_find(engine, nexus_bdev(nexus));

	if (export == NULL)
		return MAYASTOR__V1__NVME_ANA_STATE__NVME_ANA_INVALID_STATE;
	return (Mayastor__V1__NvmeAnaState)target_subsystem_ana_state(export->subsystem);
}

static void child_fill(struct nexus_child_info *info, Mayastor__V1__Child *child,
		       Google__Protobuf__Timestamp *fault_time)
{
	mayastor__v1__child__init(child);
	child->uri = info->uri;
	child->state = (Mayastor__V1__ChildState)info->state;
	child->state_reason = (Mayastor__V1__ChildStateReason)info->reason;
	child->rebuild_progress = info->rebuild_progress;
	child->has_io_log = info->has_map;
	if (info->device_name[0] != '\0')
		child->device_name = info->device_name;
	if (info->fault_wall_ns == 0)
		return;
	timestamp_fill(info->fault_wall_ns, fault_time);
	child->fault_timestamp = fault_time;
}

static void export_fill(const struct export *export, struct nexus_message *text)
{
	uint32_t count = target_subsystem_allowed_host_count(export->subsystem);

	ASSERT(count <= TARGET_ALLOWED_HOSTS_MAX);
	export_uri(export, text->device_uri);
	for (uint32_t i = 0; i < count; i++)
		text->allowed_hosts[i] =
			(char *)target_subsystem_allowed_host(export->subsystem, i);
	text->message.n_allowed_hosts = count;
	text->message.allowed_hosts = text->allowed_hosts;
}

void nexus_message_fill(struct engine *engine, struct nexus *nexus, struct nexus_info *info,
			struct nexus_message *ret_message)
{
	struct export *export = export_find(engine, nexus_bdev(nexus));

	ASSERT(info->child_count <= NEXUS_CHILDREN_MAX);
	mayastor__v1__nexus__init(&ret_message->message);
	uuid_format(nexus_uuid(nexus), ret_message->uuid);
	ret_message->device_uri[0] = '\0';
	ret_message->message.name = (char *)nexus_name(nexus);
	ret_message->message.uuid = ret_message->uuid;
	ret_message->message.size = nexus_size_bytes(nexus);
	ret_message->message.state = (Mayastor__V1__NexusState)info->state;
	ret_message->message.state_reason = info->reason;
	ret_message->message.rebuilds = info->rebuild_count;
	ret_message->message.ana_state = nexus_message_ana_state(engine, nexus);
	if (export != NULL)
		export_fill(export, ret_message);
	ret_message->message.device_uri = ret_message->device_uri;
	for (uint32_t i = 0; i < info->child_count; i++) {
		child_fill(&info->children[i], &ret_message->children[i],
			   &ret_message->fault_times[i]);
		ret_message->child_list[i] = &ret_message->children[i];
	}
	ret_message->message.n_children = info->child_count;
	ret_message->message.children = ret_message->child_list;
}

void nexus_history_message_fill(struct nexus_history_entry *entry,
				struct nexus_history_message *ret_record)
{
	Mayastor__V1__RebuildHistoryRecord *message = &ret_record->message;

	mayastor__v1__rebuild_history_record__init(message);
	timestamp_fill(entry->stats.start_wall_ns, &ret_record->start);
	timestamp_fill(entry->stats.end_wall_ns, &ret_record->end);
	message->child_uri = entry->child_uri;
	message->src_uri = entry->source_uri;
	message->state = (Mayastor__V1__RebuildJobState)entry->stats.state;
	message->blocks_total = entry->stats.blocks_total;
	message->blocks_recovered = entry->stats.blocks_recovered;
	message->blocks_transferred = entry->stats.blocks_transferred;
	message->blocks_remaining = entry->stats.blocks_remaining;
	message->blocks_per_task = entry->stats.blocks_per_task;
	message->block_size = entry->stats.block_bytes;
	message->is_partial = entry->stats.is_partial;
	message->start_time = &ret_record->start;
	message->end_time = &ret_record->end;
}
