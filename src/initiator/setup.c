/* SPDX-License-Identifier: Apache-2.0 */
/* setup.c - what a controller is asked after a connect and after an event, one command a stage.
 *
 * Invariants:
 *  1. A stage only writes controller->identity, ->found and ->found_ana_state; nothing of it takes
 *     effect before all stages of the sequence went well (announce.c).
 *  2. What a controller says about itself is bounded here: sizes, counts, limits.
 */
#include "initiator/initiator_impl.h"

#include "nvme/vendor_cache_id.h"

#include <errno.h>

#define NS_PER_MS 1000000ull

static bool always(const struct initiator_controller *controller)
{
	(void)controller;
	return true;
}

static uint64_t result_64(const struct initiator_controller *controller)
{
	return controller->stage_command.result | (uint64_t)controller->stage_command.result_high
							  << 32;
}

static void property_get(struct initiator_controller *controller, enum nvmf_property property)
{
	struct nvmf_property_access access = {.is_eight_bytes = property == NVMF_PROPERTY_CAP,
					      .offset = property};

	ASSERT(controller->stage_command.data_bytes == 0);
	nvmf_property_get_encode(&controller->stage_command.sqe, &access);
}

static void cap_build(struct initiator_controller *controller)
{
	property_get(controller, NVMF_PROPERTY_CAP);
}

/* NVMe base 2.0, section 3.1.3.1. */
static int cap_parse(struct initiator_controller *controller)
{
	uint64_t cap = result_64(controller);
	uint64_t ready_ms = (cap >> NVMF_CAP_TO_SHIFT & 0xff) * 500;

	if ((cap & NVMF_CAP_CSS_NVM) == 0) {
		controller_explain(controller, -ENOTSUP,
				   "it has no NVM command set; is it a discovery controller?");
		return -ENOTSUP;
	}
	if ((cap & NVMF_CAP_MQES_MASK) == 0) {
		controller_explain(controller, -EPROTO, "it claims queues of one entry");
		return -EPROTO;
	}
	ASSERT(controller->identity.cap == 0); /* anew with every connection */
	controller->identity.cap = cap;
	controller->identity.ready_deadline_ns =
		reactor_now_ns(controller->main) + (ready_ms < 500 ? 500 : ready_ms) * NS_PER_MS;
	return 0;
}

static void version_build(struct initiator_controller *controller)
{
	property_get(controller, NVMF_PROPERTY_VS);
}

static int version_parse(struct initiator_controller *controller)
{
	controller->identity.version = controller->stage_command.result;
	return 0;
}

static void enable_build(struct initiator_controller *controller)
{
	uint32_t page_shift = controller->identity.cap >> NVMF_CAP_MPSMIN_SHIFT & 0xf;
	struct nvmf_property_access access = {
		.offset = NVMF_PROPERTY_CC,
		.value = NVMF_CC_ENABLE | page_shift << NVMF_CC_MPS_SHIFT |
			 6u << NVMF_CC_IOSQES_SHIFT | 4u << NVMF_CC_IOCQES_SHIFT,
	};

	nvmf_property_set_encode(&controller->stage_command.sqe, &access);
}

static int nothing_parse(struct initiator_controller *controller)
{
	(void)controller;
	return 0;
}

static void ready_build(struct initiator_controller *controller)
{
	property_get(controller, NVMF_PROPERTY_CSTS);
}

static int ready_parse(struct initiator_controller *controller)
{
	uint32_t csts = controller->stage_command.result;

	ASSERT(controller->identity.ready_deadline_ns != 0); /* CAP was read before */
	if ((csts & NVMF_CSTS_FATAL) != 0) {
		controller_explain(controller, -EIO, "it reports a fatal status (CSTS.CFS)");
		return -EIO;
	}
	if ((csts & NVMF_CSTS_READY) != 0)
		return 0;
	if (reactor_now_ns(controller->main) < controller->identity.ready_deadline_ns)
		return -EAGAIN;
	controller_explain(controller, -ETIMEDOUT, "it did not become ready within CAP.TO");
	return -ETIMEDOUT;
}

static void identify_build(struct initiator_controller *controller, enum nvme_cns cns,
			   uint32_t nsid)
{
	struct nvme_identify identify = {.cns = cns, .nsid = nsid};

	ASSERT(controller->stage_command.data == controller->stage_data);
	ASSERT(controller->stage_command.data_bytes == 0);
	nvme_identify_encode(&controller->stage_command.sqe, &identify);
	controller->stage_command.data_bytes = NVME_IDENTIFY_BYTES;
}

STATIC_ASSERT(NVME_IDENTIFY_BYTES <= STAGE_DATA_BYTES);

static void controller_build(struct initiator_controller *controller)
{
	identify_build(controller, NVME_CNS_CONTROLLER, 0);
}

/* Texts of a controller go into logs and listings: printable ASCII without trailing spaces. */
static void text_load(char *ret_text, const uint8_t *field, size_t field_bytes)
{
	size_t length = 0;

	for (size_t i = 0; i < field_bytes; i++) {
		ret_text[i] = field[i] >= 0x20 && field[i] < 0x7f ? (char)field[i] : '?';
		if (field[i] == 0)
			ret_text[i] = ' ';
		if (ret_text[i] != ' ')
			length = i + 1;
	}
	ASSERT(length <= field_bytes);
	ret_text[length] = '\0';
}

static uint32_t transfer_bytes_max(const struct initiator_controller *controller, uint8_t mdts)
{
	uint32_t page_shift = 12 + (controller->identity.cap >> NVMF_CAP_MPSMIN_SHIFT & 0xf);

	if (mdts == 0 || page_shift + mdts >= 31 || 1u << (page_shift + mdts) > IO_BYTES_MAX)
		return IO_BYTES_MAX;
	ASSERT(page_shift + mdts >= 12); /* so at least one block fits */
	return 1u << (page_shift + mdts);
}

static int controller_parse(struct initiator_controller *controller)
{
	const struct nvme_identify_controller *data = (const void *)controller->stage_data;
	struct controller_identity *identity = &controller->identity;
	uint64_t capsule_bytes = (uint64_t)le32_load(data->ioccsz) * 16;

	ASSERT(controller->stage_command.data_bytes == NVME_IDENTIFY_BYTES); /* as asked for */
	identity->transfer_bytes_max = transfer_bytes_max(controller, data->mdts);
	identity->capsule_data_bytes_max = 0;
	/* In TCP there is no room between the entry and its data. */
	if (le16_load(data->icdoff) == 0 && capsule_bytes > NVME_SQE_BYTES)
		identity->capsule_data_bytes_max =
			capsule_bytes - NVME_SQE_BYTES > IO_BYTES_MAX
				? IO_BYTES_MAX
				: (uint32_t)(capsule_bytes - NVME_SQE_BYTES);
	identity->command_count_max = le16_load(data->maxcmd);
	identity->oaes = le32_load(data->oaes);
	identity->oncs = le16_load(data->oncs);
	identity->vwc = data->vwc;
	identity->has_ana = (data->cmic & NVME_CMIC_ANA) != 0;
	identity->ana_group_count = le32_load(data->nanagrpid);
	identity->namespace_count = le32_load(data->nn);
	ASSERT(identity->transfer_bytes_max >= BLOCK_BYTES_MAX);
	ASSERT(identity->transfer_bytes_max <= IO_BYTES_MAX);
	ASSERT(identity->capsule_data_bytes_max <= IO_BYTES_MAX);
	STATIC_ASSERT(sizeof(identity->serial) == sizeof(data->sn) + 1);
	STATIC_ASSERT(sizeof(identity->model) == sizeof(data->mn) + 1);
	STATIC_ASSERT(sizeof(identity->firmware) == sizeof(data->fr) + 1);
	text_load(identity->serial, data->sn, sizeof(data->sn));
	text_load(identity->model, data->mn, sizeof(data->mn));
	text_load(identity->firmware, data->fr, sizeof(data->fr));
	return 0;
}

static void feature_build(struct initiator_controller *controller, enum nvme_feature feature,
			  uint32_t value)
{
	controller->stage_command.sqe = (struct nvme_sqe){
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = le32_store(feature),
		.cdw11 = le32_store(value),
	};
}

static void queue_count_build(struct initiator_controller *controller)
{
	uint32_t cores = os_core_count(reactor_os(controller->main));
	uint32_t last = (cores < REACTORS_MAX ? cores : REACTORS_MAX) - 1;

	ASSERT(cores > 0 && last < REACTORS_MAX);
	feature_build(controller, NVME_FEATURE_QUEUE_COUNT, last | last << 16);
}

/* Both counts are 0's based; the smaller one governs. */
static int queue_count_parse(struct initiator_controller *controller)
{
	uint32_t submission = controller->stage_command.result & 0xffff;
	uint32_t completion = controller->stage_command.result >> 16;

	controller->identity.queue_count_max =
		(submission < completion ? submission : completion) + 1;
	ASSERT(controller->identity.queue_count_max > 0);
	return 0;
}

static uint32_t wanted_events(const struct initiator_controller *controller)
{
	return controller->identity.oaes &
	       (NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE | NVME_ASYNC_EVENT_ANA_CHANGE);
}

static bool has_events(const struct initiator_controller *controller)
{
	return wanted_events(controller) != 0;
}

static void events_build(struct initiator_controller *controller)
{
	ASSERT(has_events(controller));
	feature_build(controller, NVME_FEATURE_ASYNC_EVENT, wanted_events(controller));
}

static void log_build(struct initiator_controller *controller, enum nvme_log_page page,
		      uint64_t length_bytes)
{
	struct nvme_get_log log = {.page = (uint8_t)page, .length_bytes = length_bytes};

	ASSERT(length_bytes <= STAGE_DATA_BYTES);
	ASSERT(length_bytes > 0 && length_bytes % 4 == 0);
	nvme_get_log_encode(&controller->stage_command.sqe, NVME_NSID_ALL, &log);
	controller->stage_command.data_bytes = (uint32_t)length_bytes;
}

/* Reading the list makes the controller tell of the next change. */
static bool has_namespace_events(const struct initiator_controller *controller)
{
	return (wanted_events(controller) & NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE) != 0;
}

static void changed_build(struct initiator_controller *controller)
{
	log_build(controller, NVME_LOG_CHANGED_NAMESPACES,
		  sizeof(struct nvme_changed_namespaces_log));
}

static void list_build(struct initiator_controller *controller)
{
	identify_build(controller, NVME_CNS_ACTIVE_NAMESPACES, 0);
}

/* Ascending, so namespace 1 is first or is not there. */
static int list_parse(struct initiator_controller *controller)
{
	const struct nvme_namespace_list *list = (const void *)controller->stage_data;

	ASSERT(controller->stage_command.data_bytes == sizeof(*list));
	controller->found.is_active = le32_load(list->nsid[0]) == NAMESPACE_ID;
	if (controller->found.is_active)
		return 0;
	controller_explain(controller, -ENODEV, "it has no namespace %u", NAMESPACE_ID);
	return -ENODEV;
}

static void namespace_build(struct initiator_controller *controller)
{
	identify_build(controller, NVME_CNS_NAMESPACE, NAMESPACE_ID);
}

/* Index of the format in use: NVM command set 1.0, figure 97, FLBAS. */
static const struct nvme_lba_format *format_of(const struct nvme_identify_namespace *data)
{
	uint32_t index = (data->flbas & 0xf) | (data->flbas >> 5 & 3) << 4;

	ASSERT(index < sizeof(data->lbaf) / sizeof(data->lbaf[0])); /* six bits: all are there */
	return &data->lbaf[index];
}

static int namespace_parse(struct initiator_controller *controller)
{
	const struct nvme_identify_namespace *data = (const void *)controller->stage_data;
	const struct nvme_lba_format *format = format_of(data);
	struct namespace_identity *found = &controller->found;
	uint64_t physical_bytes;

	ASSERT(found->is_active); /* the list was read before */
	ASSERT(controller->stage_command.data_bytes == sizeof(*data));
	found->block_count = le64_load(data->nsze);
	if (format->data_bytes_log2 != 9 && format->data_bytes_log2 != 12) {
		controller_explain(controller, -ENOTSUP,
				   "not supported: its blocks have 2^%u bytes; use 512 or 4096",
				   format->data_bytes_log2);
		return -ENOTSUP;
	}
	found->block_bytes = 1u << format->data_bytes_log2;
	if (le16_load(format->metadata_bytes) != 0) {
		controller_explain(controller, -ENOTSUP,
				   "not supported: its blocks carry metadata; format it without");
		return -ENOTSUP;
	}
	if (found->block_count == 0 || found->block_count > UINT64_MAX / found->block_bytes) {
		controller_explain(controller, -ENODEV, "its namespace has no plausible size");
		return -ENODEV;
	}
	physical_bytes = (data->nsfeat & NVME_NSFEAT_OPTIMAL) != 0
				 ? (le16_load(data->npwg) + 1ull) * found->block_bytes
				 : found->block_bytes;
	found->physical_block_bytes =
		physical_bytes > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : (uint32_t)physical_bytes;
	ASSERT(found->physical_block_bytes >= found->block_bytes);
	ASSERT(found->physical_block_bytes <= BLOCK_BYTES_MAX);
	found->ana_group = le32_load(data->anagrpid);
	found->rescap = data->rescap;
	found->reads_zero_after_unmap =
		(data->dlfeat & NVME_DLFEAT_READS_ZERO_MASK) == NVME_DLFEAT_READS_ZERO;
	vendor_cache_id_decode(data, &found->cache_id);
	memcpy(found->nguid.bytes, data->nguid, sizeof(data->nguid));
	found->has_uuid = false;
	return 0;
}

static bool has_descriptors(const struct initiator_controller *controller)
{
	return controller->identity.version >= NVMF_VS(1, 3, 0);
}

static void descriptors_build(struct initiator_controller *controller)
{
	identify_build(controller, NVME_CNS_NAMESPACE_DESCRIPTORS, NAMESPACE_ID);
}

static int descriptors_parse(struct initiator_controller *controller)
{
	const uint8_t *data = controller->stage_data;
	struct nvme_namespace_descriptor descriptor;
	size_t at = 0;

	ASSERT(controller->stage_command.data_bytes == STAGE_DATA_BYTES);
	while (at + sizeof(descriptor) <= STAGE_DATA_BYTES) {
		memcpy(&descriptor, data + at, sizeof(descriptor));
		at += sizeof(descriptor);
		if (descriptor.type == NVME_NAMESPACE_DESCRIPTOR_END ||
		    descriptor.length > STAGE_DATA_BYTES - at)
			break;
		if (descriptor.type == NVME_NAMESPACE_DESCRIPTOR_UUID && descriptor.length == 16) {
			memcpy(controller->found.uuid.bytes, data + at, 16);
			controller->found.has_uuid = !uuid_is_nil(&controller->found.uuid);
		}
		at += descriptor.length;
		ASSERT(at <= STAGE_DATA_BYTES);
	}
	return 0;
}

static bool has_ana(const struct initiator_controller *controller)
{
	return controller->identity.has_ana;
}

static void ana_build(struct initiator_controller *controller)
{
	uint64_t bytes =
		sizeof(struct nvme_ana_log) +
		controller->identity.ana_group_count * (uint64_t)sizeof(struct nvme_ana_group) +
		controller->identity.namespace_count * (uint64_t)sizeof(struct le32);

	log_build(controller, NVME_LOG_ANA, bytes > STAGE_DATA_BYTES ? STAGE_DATA_BYTES : bytes);
}

static enum nvme_ana_state ana_state_of(uint8_t raw)
{
	switch (raw & 0xf) {
	case NVME_ANA_OPTIMIZED:
		return NVME_ANA_OPTIMIZED;
	case NVME_ANA_NON_OPTIMIZED:
		return NVME_ANA_NON_OPTIMIZED;
	case NVME_ANA_PERSISTENT_LOSS:
		return NVME_ANA_PERSISTENT_LOSS;
	case NVME_ANA_CHANGE:
		return NVME_ANA_CHANGE;
	default:
		return NVME_ANA_INACCESSIBLE;
	}
}

/* The state of the namespace's group; a log without it says nothing. */
static int ana_parse(struct initiator_controller *controller)
{
	const uint8_t *data = controller->stage_data;
	size_t data_bytes = controller->stage_command.data_bytes;
	size_t at = sizeof(struct nvme_ana_log);
	struct nvme_ana_group group;
	struct nvme_ana_log header;

	ASSERT(data_bytes >= sizeof(header) && data_bytes <= STAGE_DATA_BYTES);
	memcpy(&header, data, sizeof(header));
	controller->found_ana_state = NVME_ANA_OPTIMIZED;
	for (uint32_t i = 0; i < le16_load(header.group_count); i++) {
		uint64_t list_bytes;

		if (at + sizeof(group) > data_bytes)
			break;
		memcpy(&group, data + at, sizeof(group));
		at += sizeof(group);
		if (le32_load(group.group_id) == controller->found.ana_group)
			controller->found_ana_state = ana_state_of(group.state);
		list_bytes = le32_load(group.nsid_count) * (uint64_t)sizeof(struct le32);
		if (list_bytes > data_bytes - at)
			break;
		at += list_bytes;
		ASSERT(at <= data_bytes);
	}
	return 0;
}

const struct setup_stage setup_stages[] = {
	{"read capabilities", always, cap_build, cap_parse, false},
	{"read version", always, version_build, version_parse, false},
	{"enable", always, enable_build, nothing_parse, false},
	{"wait until ready", always, ready_build, ready_parse, false},
	{"identify controller", always, controller_build, controller_parse, false},
	{"ask for queues", always, queue_count_build, queue_count_parse, false},
	{"choose events", has_events, events_build, nothing_parse, true},
	{"list namespaces", always, list_build, list_parse, false},
	{"identify namespace", always, namespace_build, namespace_parse, false},
	{"read descriptors", has_descriptors, descriptors_build, descriptors_parse, true},
	{"read access state", has_ana, ana_build, ana_parse, false},
	{NULL, NULL, NULL, NULL, false},
};

const struct setup_stage refresh_stages[] = {
	{"read changed namespaces", has_namespace_events, changed_build, nothing_parse, true},
	{"list namespaces", always, list_build, list_parse, false},
	{"identify namespace", always, namespace_build, namespace_parse, false},
	{"read descriptors", has_descriptors, descriptors_build, descriptors_parse, true},
	{"read access state", has_ana, ana_build, ana_parse, false},
	{NULL, NULL, NULL, NULL, false},
};
