/* SPDX-License-Identifier: Apache-2.0 */
/* log_pages.c - Get Log Page (NVMe base 2.0, section 5.16).
 *
 * Small pages are built whole and the part that the host asked for is copied, so that reads in
 * pieces fit together; the discovery log, which has no bound, is made entry by entry in
 * discovery.c. Reading a page without RAE quiets its event.
 */
#include "target/target_parts_impl.h"

#include <string.h>

#define PAGE_BYTES_MAX	 4096
#define ERROR_PAGE_BYTES (128 * sizeof(struct nvme_error_log_entry)) /* ELPE 127 */
#define DATA_UNIT_BYTES	 (1000 * 512ull)
#define SPARE_PERCENT	 100

STATIC_ASSERT(ERROR_ENTRIES_MAX * sizeof(struct nvme_error_log_entry) <= PAGE_BYTES_MAX);

/* A page while it is built. What @bytes does not cover up to @size is zero. */
struct page {
	uint64_t size;
	_Alignas(8) uint8_t bytes[PAGE_BYTES_MAX];
};

static void page_errors(const struct controller *controller, struct page *page)
{
	struct nvme_error_log_entry *entries = (struct nvme_error_log_entry *)page->bytes;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	page->size = ERROR_PAGE_BYTES;
	for (uint64_t i = 0; i < ERROR_ENTRIES_MAX && i < controller->error_count; i++) {
		const struct error_entry *entry =
			&controller->errors[(controller->error_count - 1 - i) % ERROR_ENTRIES_MAX];

		entries[i] = (struct nvme_error_log_entry){
			.error_count = le64_store(entry->count),
			.sqid = le16_store(entry->qid),
			.cid = le16_store(entry->cid),
			.status = nvme_status_encode(entry->status),
			.parameter_location = le16_store(0xffff),
			.lba = le64_store(entry->lba),
			.nsid = le32_store(entry->qid == 0 ? 0 : NAMESPACE_ID),
			.transport = NVMF_TRANSPORT_TCP,
		};
	}
}

static void page_smart(const struct controller *controller, struct page *page)
{
	struct nvme_smart_log *smart = (struct nvme_smart_log *)page->bytes;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	page->size = sizeof(*smart);
	smart->spare_percent = SPARE_PERCENT;
	smart->data_units_read.low = le64_store(controller->read_bytes / DATA_UNIT_BYTES);
	smart->data_units_written.low = le64_store(controller->written_bytes / DATA_UNIT_BYTES);
	smart->host_reads.low = le64_store(controller->reads);
	smart->host_writes.low = le64_store(controller->writes);
	smart->error_log_entries.low = le64_store(controller->error_count);
}

static void page_firmware(const struct controller *controller, struct page *page)
{
	struct nvme_firmware_log *log = (struct nvme_firmware_log *)page->bytes;
	const char *firmware = controller->subsystem->target->options.firmware;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	page->size = sizeof(*log);
	log->active = 1;
	memset(log->revision[0], ' ', sizeof(log->revision[0]));
	memcpy(log->revision[0], firmware, strnlen(firmware, sizeof(log->revision[0])));
}

static void page_changed_namespaces(const struct controller *controller, struct page *page)
{
	struct nvme_changed_namespaces_log *log = (struct nvme_changed_namespaces_log *)page->bytes;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	page->size = sizeof(*log);
	if (controller->is_namespace_changed)
		log->nsid[0] = le32_store(NAMESPACE_ID);
}

static void page_effects(const struct controller *controller, struct page *page)
{
	static const uint8_t admin[] = {NVME_ADMIN_GET_LOG_PAGE, NVME_ADMIN_IDENTIFY,
					NVME_ADMIN_ABORT,	 NVME_ADMIN_SET_FEATURES,
					NVME_ADMIN_GET_FEATURES, NVME_ADMIN_ASYNC_EVENT,
					NVME_ADMIN_KEEP_ALIVE};
	static const uint8_t readers[] = {NVME_FLUSH,
					  NVME_READ,
					  NVME_COMPARE,
					  NVME_RESERVATION_REGISTER,
					  NVME_RESERVATION_REPORT,
					  NVME_RESERVATION_ACQUIRE,
					  NVME_RESERVATION_RELEASE};
	static const uint8_t writers[] = {NVME_WRITE, NVME_WRITE_ZEROES, NVME_DATASET_MANAGEMENT};
	struct nvme_effects_log *log = (struct nvme_effects_log *)page->bytes;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	page->size = sizeof(*log);
	for (size_t i = 0; i < sizeof(admin); i++)
		log->admin[admin[i]] = le32_store(NVME_EFFECT_SUPPORTED);
	if (controller->subsystem->is_discovery)
		return;
	for (size_t i = 0; i < sizeof(readers); i++)
		log->io[readers[i]] = le32_store(NVME_EFFECT_SUPPORTED);
	for (size_t i = 0; i < sizeof(writers); i++)
		log->io[writers[i]] = le32_store(NVME_EFFECT_SUPPORTED | NVME_EFFECT_BLOCK_CONTENT);
}

static void page_ana(const struct controller *controller, bool is_groups_only, struct page *page)
{
	const struct target_subsystem *subsystem = controller->subsystem;
	struct nvme_ana_log *log = (struct nvme_ana_log *)page->bytes;
	struct nvme_ana_group *group = (struct nvme_ana_group *)(log + 1);
	struct le32 nsid = le32_store(NAMESPACE_ID);

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	log->change_count = le64_store(subsystem->ana_change_count);
	log->group_count = le16_store(1);
	group->group_id = le32_store(ANA_GROUP_ID);
	group->change_count = log->change_count;
	group->state = (uint8_t)subsystem->ana_state;
	page->size = sizeof(*log) + sizeof(*group);
	if (is_groups_only)
		return;
	group->nsid_count = le32_store(1);
	memcpy(group + 1, &nsid, sizeof(nsid));
	page->size += sizeof(nsid);
}

static void page_reservation(const struct controller *controller, struct page *page)
{
	struct nvme_reservation_log *log = (struct nvme_reservation_log *)page->bytes;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	page->size = sizeof(*log);
	if (controller->notice_count == 0)
		return;
	log->page_count = le64_store(controller->notices[0].count);
	log->type = controller->notices[0].type;
	log->available_count = (uint8_t)(controller->notice_count - 1);
	log->nsid = le32_store(NAMESPACE_ID);
}

/* Return: false for a page that this controller does not have. */
static bool page_build(const struct controller *controller, const struct nvme_get_log *get,
		       struct page *page)
{
	bool is_discovery = controller->subsystem->is_discovery;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	switch (get->page) {
	case NVME_LOG_ERROR:
		page_errors(controller, page);
		return true;
	case NVME_LOG_COMMAND_EFFECTS:
		page_effects(controller, page);
		return true;
	case NVME_LOG_SMART:
		page_smart(controller, page);
		return !is_discovery;
	case NVME_LOG_FIRMWARE_SLOT:
		page_firmware(controller, page);
		return !is_discovery;
	case NVME_LOG_CHANGED_NAMESPACES:
		page_changed_namespaces(controller, page);
		return !is_discovery;
	case NVME_LOG_ANA:
		page_ana(controller, (get->specific & NVME_LOG_ANA_GROUPS_ONLY) != 0, page);
		return !is_discovery && controller->subsystem->is_ana_reporting;
	case NVME_LOG_RESERVATION:
		page_reservation(controller, page);
		return !is_discovery;
	default:
		return false;
	}
}

/* The host has seen it. */
static void page_seen(struct controller *controller, uint8_t page)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	switch (page) {
	case NVME_LOG_CHANGED_NAMESPACES:
		controller->is_namespace_changed = false;
		async_event_clear(controller, ASYNC_EVENT_NAMESPACE);
		break;
	case NVME_LOG_ANA:
		async_event_clear(controller, ASYNC_EVENT_ANA);
		break;
	case NVME_LOG_DISCOVERY:
		async_event_clear(controller, ASYNC_EVENT_DISCOVERY);
		break;
	case NVME_LOG_RESERVATION:
		if (controller->notice_count > 0) {
			controller->notice_count--;
			memmove(&controller->notices[0], &controller->notices[1],
				controller->notice_count * sizeof(controller->notices[0]));
		}
		async_event_clear(controller, ASYNC_EVENT_RESERVATION);
		if (controller->notice_count > 0)
			async_event_raise(controller, ASYNC_EVENT_RESERVATION);
		break;
	default:
		break;
	}
}

uint16_t log_page_fill(struct command *command)
{
	struct controller *controller = command->connection->controller;
	struct page page = {0};
	struct nvme_get_log get;
	uint64_t size;
	uint16_t status;

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	status = nvme_get_log_decode(&command->sqe, &get);
	if (status != NVME_STATUS_SUCCESS)
		return status;
	if (command->data_kind != COMMAND_DATA_TO_HOST || get.length_bytes > command->data_bytes)
		return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
	command->data_bytes = (uint32_t)get.length_bytes;
	if (get.page == NVME_LOG_DISCOVERY && controller->subsystem->is_discovery) {
		discovery_log_fill(command, get.offset_bytes);
	} else {
		if (!page_build(controller, &get, &page))
			return NVME_STATUS_LOG_PAGE_INVALID;
		if (get.offset_bytes > page.size)
			return NVME_STATUS_INVALID_FIELD;
		size = page.size - get.offset_bytes;
		if (size > get.length_bytes)
			size = get.length_bytes;
		if (get.offset_bytes < PAGE_BYTES_MAX) {
			uint64_t built = PAGE_BYTES_MAX - get.offset_bytes;

			memcpy(command->data, page.bytes + get.offset_bytes,
			       size < built ? size : built);
		}
	}
	if (!get.is_retaining)
		page_seen(controller, get.page);
	return NVME_STATUS_SUCCESS;
}
