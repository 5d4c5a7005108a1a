/* SPDX-License-Identifier: Apache-2.0 */
/* identify.c - what controllers and the namespace say about themselves (NVMe base 2.0, 5.17).
 *
 * Values are those of the reference engine, so that hosts, multipath and device recognition see the
 * same device whichever engine serves it. Deviations: Copy is not offered; capability bits follow
 * the bdev.
 */
#include "target/target_parts_impl.h"

#include "nvme/vendor_cache_id.h"

#include <string.h>

#define PCI_VENDOR_ID	   0x8086
#define MDTS		   5 /* 4 KiB << 5 = 128 KiB */
#define ANA_TRANSITION_S   10
#define MAXIMUM_COMMANDS   32
#define FUSE_COMPARE_WRITE 1
#define OFCS_DISCONNECT	   1

STATIC_ASSERT(4096u << MDTS == IO_BYTES_MAX);

/* Texts are padded with spaces (section 1.4.2). */
static void text_fill(uint8_t *field, size_t size, const char *text)
{
	size_t length = strlen(text) < size ? strlen(text) : size;

	ASSERT(text != NULL);
	ASSERT(size > 0);
	memset(field, ' ', size);
	memcpy(field, text, length);
}

static void controller_fill_limits(const struct controller *controller,
				   struct nvme_identify_controller *data)
{
	const struct target_options *options = &controller->subsystem->target->options;

	ASSERT(controller->subsystem != NULL);
	ASSERT(options->queue_depth >= 2);
	data->mdts = MDTS;
	data->acl = ABORT_LIMIT - 1;
	data->aerl = ASYNC_EVENTS_MAX - 1;
	data->elpe = 127;
	data->kas = le16_store((uint16_t)(options->keep_alive_ms_min / KEEP_ALIVE_UNIT_MS));
	data->maxcmd = le16_store(options->queue_depth < MAXIMUM_COMMANDS
					  ? (uint16_t)MAXIMUM_COMMANDS
					  : (uint16_t)options->queue_depth);
	data->ioccsz = le32_store((NVME_SQE_BYTES + options->in_capsule_bytes) / 16);
	data->iorcsz = le32_store(NVME_CQE_BYTES / 16);
	data->msdbd = 1;
	data->ofcs = le16_store(OFCS_DISCONNECT);
	for (int i = 0; i < 3; i++)
		data->crdt[i] = le16_store(options->crdt[i]);
}

static void controller_fill_io(const struct target_subsystem *subsystem,
			       struct nvme_identify_controller *data)
{
	uint32_t oaes = NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE;
	uint16_t oncs = NVME_ONCS_COMPARE | NVME_ONCS_WRITE_ZEROES | NVME_ONCS_RESERVATIONS;

	ASSERT(!subsystem->is_discovery);
	ASSERT(subsystem->bdev != NULL);
	data->rab = 6;
	data->cmic = NVME_CMIC_MULTI_PORT | NVME_CMIC_MULTI_CONTROLLER;
	data->nn = le32_store(NAMESPACE_ID);
	data->mnan = le32_store(1);
	data->sqes = 0x66;
	data->cqes = 0x44;
	data->fuses = le16_store(FUSE_COMPARE_WRITE);
	/* Always present: a flush is answered well by devices that need none. */
	data->vwc = NVME_VWC_PRESENT | NVME_VWC_FLUSH_ALL_SUPPORTED;
	if (subsystem->bdev->can_unmap)
		oncs |= NVME_ONCS_DATASET_MANAGEMENT;
	if (subsystem->is_ana_reporting) {
		data->cmic |= NVME_CMIC_ANA;
		oaes |= NVME_ASYNC_EVENT_ANA_CHANGE;
		data->anatt = ANA_TRANSITION_S;
		data->anacap = NVME_ANACAP_OPTIMIZED | NVME_ANACAP_NON_OPTIMIZED |
			       NVME_ANACAP_INACCESSIBLE | NVME_ANACAP_GROUP_STATIC;
		data->anagrpmax = le32_store(ANA_GROUP_ID);
		data->nanagrpid = le32_store(ANA_GROUP_ID);
	}
	data->oaes = le32_store(oaes);
	data->oncs = le16_store(oncs);
}

void identify_controller(const struct controller *controller,
			 struct nvme_identify_controller *ret_data)
{
	static const uint8_t ieee[3] = {0xe4, 0xd2, 0x5c};
	const struct target_subsystem *subsystem = controller->subsystem;

	ASSERT(controller->subsystem != NULL);
	ASSERT(ret_data != NULL);
	memset(ret_data, 0, sizeof(*ret_data));
	ret_data->vid = le16_store(PCI_VENDOR_ID);
	ret_data->ssvid = le16_store(PCI_VENDOR_ID);
	text_fill(ret_data->sn, sizeof(ret_data->sn), subsystem->serial);
	text_fill(ret_data->mn, sizeof(ret_data->mn), subsystem->model);
	text_fill(ret_data->fr, sizeof(ret_data->fr), subsystem->target->options.firmware);
	memcpy(ret_data->ieee, ieee, sizeof(ieee));
	ret_data->cntlid = le16_store(controller->cntlid);
	ret_data->ver = le32_store(NVMF_VS(1, 3, 0));
	ret_data->ctratt = le32_store(NVME_CTRATT_HOST_ID_128);
	ret_data->cntrltype =
		subsystem->is_discovery ? NVME_CONTROLLER_TYPE_DISCOVERY : NVME_CONTROLLER_TYPE_IO;
	ret_data->frmw = 1 << 1 | 1; /* one slot, read only */
	ret_data->lpa = NVME_LPA_COMMAND_EFFECTS | NVME_LPA_EXTENDED_DATA;
	ret_data->sgls =
		le32_store(NVME_SGLS_SUPPORTED | NVME_SGLS_ICD_OFFSET | NVME_SGLS_TRANSPORT);
	memcpy(ret_data->subnqn, subsystem->nqn, strnlen(subsystem->nqn, NQN_BYTES_MAX - 1));
	controller_fill_limits(controller, ret_data);
	if (subsystem->is_discovery)
		ret_data->oaes = le32_store(NVME_ASYNC_EVENT_DISCOVERY_CHANGE);
	else
		controller_fill_io(subsystem, ret_data);
}

void identify_namespace(const struct target_subsystem *subsystem,
			struct nvme_identify_namespace *ret_data)
{
	const struct bdev *bdev = subsystem->bdev;
	uint32_t physical = bdev->physical_block_bytes > bdev->block_bytes
				    ? bdev->physical_block_bytes
				    : bdev->block_bytes;
	struct le16 granule = le16_store((uint16_t)(physical / bdev->block_bytes - 1));

	ASSERT(!subsystem->is_discovery);
	ASSERT(ret_data != NULL);
	memset(ret_data, 0, sizeof(*ret_data));
	ret_data->nsze = le64_store(bdev->block_count);
	ret_data->ncap = ret_data->nsze;
	ret_data->nuse = ret_data->nsze;
	ret_data->nsfeat = NVME_NSFEAT_ATOMIC | NVME_NSFEAT_OPTIMAL;
	ret_data->nmic = 1; /* shared */
	ret_data->rescap = NVME_RESCAP_WRITE_EXCLUSIVE | NVME_RESCAP_EXCLUSIVE_ACCESS |
			   NVME_RESCAP_WRITE_EXCLUSIVE_REGISTRANTS |
			   NVME_RESCAP_EXCLUSIVE_ACCESS_REGISTRANTS |
			   NVME_RESCAP_WRITE_EXCLUSIVE_ALL | NVME_RESCAP_EXCLUSIVE_ACCESS_ALL |
			   NVME_RESCAP_IGNORE_EXISTING_KEY;
	if (subsystem->reservation_store != NULL)
		ret_data->rescap |= NVME_RESCAP_PERSIST;
	if (bdev->reads_zero_after_unmap)
		ret_data->dlfeat = NVME_DLFEAT_READS_ZERO;
	ret_data->nawun = granule;
	ret_data->nawupf = granule;
	ret_data->npwg = granule;
	ret_data->npwa = granule;
	ret_data->npdg = granule;
	ret_data->npda = granule;
	if (subsystem->is_ana_reporting)
		ret_data->anagrpid = le32_store(ANA_GROUP_ID);
	memcpy(ret_data->nguid, subsystem->uuid.bytes, sizeof(ret_data->nguid));
	ret_data->lbaf[0].data_bytes_log2 = (uint8_t)__builtin_ctz(bdev->block_bytes);
	if (bdev->is_local)
		vendor_cache_id_encode(ret_data, &bdev->cache_id);
}

/* NGUID and UUID; there is no EUI-64 (figure 277). */
static void descriptors_fill(const struct target_subsystem *subsystem, uint8_t *bytes)
{
	static const uint8_t types[] = {NVME_NAMESPACE_DESCRIPTOR_NGUID,
					NVME_NAMESPACE_DESCRIPTOR_UUID};

	ASSERT(!subsystem->is_discovery);
	ASSERT(bytes != NULL);
	for (size_t i = 0; i < sizeof(types); i++) {
		struct nvme_namespace_descriptor descriptor = {
			.type = types[i], .length = sizeof(subsystem->uuid.bytes)};

		memcpy(bytes, &descriptor, sizeof(descriptor));
		memcpy(bytes + sizeof(descriptor), subsystem->uuid.bytes, descriptor.length);
		bytes += sizeof(descriptor) + descriptor.length;
	}
}

static uint16_t identify_by_namespace(struct command *command, const struct nvme_identify *identify)
{
	const struct target_subsystem *subsystem = command->connection->subsystem;

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (identify->nsid != NAMESPACE_ID)
		return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT;
	if (identify->cns == NVME_CNS_NAMESPACE)
		identify_namespace(subsystem, (struct nvme_identify_namespace *)command->data);
	else
		descriptors_fill(subsystem, command->data);
	return NVME_STATUS_SUCCESS;
}

/* Ids greater than the one that was given; two values cannot have a successor. */
static uint16_t identify_list(struct command *command, const struct nvme_identify *identify)
{
	struct nvme_namespace_list *list = (struct nvme_namespace_list *)command->data;

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (identify->nsid >= NVME_NSID_ALL - 1)
		return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT;
	if (identify->nsid < NAMESPACE_ID)
		list->nsid[0] = le32_store(NAMESPACE_ID);
	return NVME_STATUS_SUCCESS;
}

uint16_t identify_fill(struct command *command)
{
	struct nvme_identify identify = nvme_identify_decode(&command->sqe);
	const struct controller *controller = command->connection->controller;

	ASSERT(command->connection->qid == 0);
	if (command->data_kind != COMMAND_DATA_TO_HOST)
		return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
	ASSERT(command->buffer->size_bytes >= NVME_IDENTIFY_BYTES);
	if (command->data_bytes > NVME_IDENTIFY_BYTES)
		command->data_bytes = NVME_IDENTIFY_BYTES;
	if ((uint32_t)identify.cns == NVME_CNS_CONTROLLER) {
		identify_controller(controller, (struct nvme_identify_controller *)command->data);
		return NVME_STATUS_SUCCESS;
	}
	if (controller->subsystem->is_discovery)
		return NVME_STATUS_INVALID_FIELD;
	if (identify.cns == NVME_CNS_NAMESPACE || identify.cns == NVME_CNS_NAMESPACE_DESCRIPTORS)
		return identify_by_namespace(command, &identify);
	if (identify.cns == NVME_CNS_ACTIVE_NAMESPACES)
		return identify_list(command, &identify);
	return NVME_STATUS_INVALID_FIELD;
}
