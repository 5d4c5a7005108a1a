/* SPDX-License-Identifier: Apache-2.0 */
/* controller.c - the association of one host with one subsystem: properties, life and death.
 *
 * A controller is made by the Connect of an admin queue and lives as long as one of its
 * connections. Its death begins with the admin queue's connection, with the keep-alive timer, or
 * with management; from that moment (is_dying) nothing of it is submitted any more, but what is out
 * is awaited before the memory goes.
 *
 * Invariants:
 *  1. queues[0] is the admin queue; without it the controller is dying.
 *  2. CSTS.RDY falls, and shutdown is reported complete, only when no I/O queue is left.
 *  3. A controller id is in use once per subsystem and is not handed out again at once.
 */
#include "target/target_parts_impl.h"

#include "base/memory.h"
#include "base/planted.h"

#include <string.h>

#define CAP_TIMEOUT_HALF_SECONDS 30
#define VERSION			 NVMF_VS(1, 3, 0) /* as the reference; Linux decides by it */

/* ---- keep-alive (NVMe base 2.0, section 3.9) ---- */

static void keep_alive_expired(struct reactor_timer *timer)
{
	struct controller *controller = container_of(timer, struct controller, keep_alive_timer);
	uint64_t limit_ns = controller->keep_alive_ms * 1000000ULL;
	uint64_t silent_ns = reactor_now_ns(controller->reactor) - controller->keep_alive_ns;

	ASSERT(limit_ns > 0);
	ASSERT(!controller->is_dying);
	if (silent_ns < limit_ns) {
		reactor_timer_start(timer, limit_ns - silent_ns);
		return;
	}
	if (PLANTED(KEEP_ALIVE_IGNORED)) {
		reactor_timer_start(timer, limit_ns);
		return;
	}
	REACHED("target_keep_alive_expired");
	log_warn(controller->subsystem->target->log,
		 "target: %s: host %s, controller %u: no keep-alive for %u ms, association ends",
		 controller->subsystem->nqn, controller->host_nqn, controller->cntlid,
		 controller->keep_alive_ms);
	controller_kill(controller, "keep-alive time-out");
}

void controller_keep_alive(struct controller *controller)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	controller->keep_alive_ns = reactor_now_ns(controller->reactor);
}

void controller_set_keep_alive(struct controller *controller, uint32_t keep_alive_ms)
{
	const struct target_options *options = &controller->subsystem->target->options;
	uint64_t unit_ms = options->keep_alive_ms_min;
	uint64_t granted_ms = (keep_alive_ms + unit_ms - 1) / unit_ms * unit_ms;

	ASSERT(controller->subsystem != NULL);
	ASSERT(unit_ms > 0);
	/* A discovery controller without keep-alive must not stay for ever (section 3.1.2.3.3). */
	if (keep_alive_ms == 0 && controller->subsystem->is_discovery)
		granted_ms = options->association_timeout_ms;
	if (granted_ms > UINT32_MAX)
		granted_ms = UINT32_MAX;
	controller->keep_alive_ms = (uint32_t)granted_ms;
	controller_keep_alive(controller);
	reactor_timer_stop(&controller->keep_alive_timer);
	if (granted_ms > 0 && !controller->is_dying)
		reactor_timer_start(&controller->keep_alive_timer, granted_ms * 1000000ULL);
}

/* ---- life ---- */

struct controller *controller_find(struct target_subsystem *subsystem, uint16_t cntlid)
{
	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->controller_count <= TARGET_CONTROLLERS_MAX);
	list_for_each (node, &subsystem->controllers) {
		struct controller *controller = list_entry(node, struct controller, link);

		if (controller->cntlid == cntlid)
			return controller;
	}
	return NULL;
}

static bool controller_is_of(const struct controller *controller, const char *host_nqn,
			     const uint8_t host_id[16])
{
	return memcmp(controller->host_id.bytes, host_id, 16) == 0 &&
	       strcmp(controller->host_nqn, host_nqn) == 0;
}

bool host_has_ghosts(const struct target_subsystem *subsystem, const char *host_nqn,
		     const uint8_t host_id[16])
{
	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->ghost_writes <= subsystem->inflight_count);
	if (subsystem->ghost_writes == 0 || PLANTED(GHOSTS_NOT_AWAITED))
		return false;
	list_for_each (node, &subsystem->controllers) {
		const struct controller *controller = list_entry(node, struct controller, link);

		if (controller->is_dying && controller->outstanding_writes > 0 &&
		    controller_is_of(controller, host_nqn, host_id))
			return true;
	}
	return false;
}

/* Whose death this side has not noticed yet; it may even have bytes on their way. */
void host_end_earlier(struct target_subsystem *subsystem, const char *host_nqn,
		      const uint8_t host_id[16])
{
	ASSERT(subsystem->home != NULL);
	ASSERT(host_nqn[0] != '\0');
	if (PLANTED(EARLIER_HOST_KEPT))
		return;
	list_for_each (node, &subsystem->controllers) {
		struct controller *controller = list_entry(node, struct controller, link);

		if (controller->is_dying || !controller_is_of(controller, host_nqn, host_id))
			continue;
		REACHED("target_earlier_association_ended");
		controller_kill(controller, "its host has begun anew");
	}
}

/* Return: 0 when the range is used up. */
static uint16_t cntlid_pick(struct target_subsystem *subsystem)
{
	uint32_t range = subsystem->cntlid_max - subsystem->cntlid_min + 1u;
	uint32_t tries = range < TARGET_CONTROLLERS_MAX + 1 ? range : TARGET_CONTROLLERS_MAX + 1;
	uint16_t cntlid = subsystem->cntlid_last;

	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->cntlid_min > 0 && subsystem->cntlid_min <= subsystem->cntlid_max);
	for (uint32_t i = 0; i < tries; i++) {
		cntlid = cntlid < subsystem->cntlid_min || cntlid >= subsystem->cntlid_max
				 ? subsystem->cntlid_min
				 : (uint16_t)(cntlid + 1);
		if (controller_find(subsystem, cntlid) == NULL) {
			subsystem->cntlid_last = cntlid;
			return cntlid;
		}
	}
	return 0;
}

static void controller_set_defaults(struct controller *controller)
{
	const struct target_subsystem *subsystem = controller->subsystem;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	if (subsystem->is_discovery) {
		controller->async_config = NVME_ASYNC_EVENT_DISCOVERY_CHANGE;
		return;
	}
	controller->async_config = NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE;
	if (subsystem->is_ana_reporting)
		controller->async_config |= NVME_ASYNC_EVENT_ANA_CHANGE;
}

uint16_t controller_create(struct target_subsystem *subsystem, const struct nvmf_connect *connect,
			   struct controller **ret_controller)
{
	struct controller *controller;
	uint16_t cntlid = cntlid_pick(subsystem);

	ASSERT(subsystem->home != NULL);
	ASSERT(connect->qid == 0);
	if (cntlid == 0 || subsystem->controller_count >= TARGET_CONTROLLERS_MAX)
		return NVMF_STATUS_CONTROLLER_BUSY;
	controller = memory_alloc(sizeof(*controller));
	if (controller == NULL)
		return NVMF_STATUS_CONTROLLER_BUSY;
	controller->subsystem = subsystem;
	controller->reactor = subsystem->home;
	controller->cntlid = cntlid;
	STATIC_ASSERT(sizeof(connect->hostnqn) >= NQN_BYTES_MAX);
	memcpy(controller->host_nqn, connect->hostnqn, NQN_BYTES_MAX - 1);
	memcpy(controller->host_id.bytes, connect->host_id, sizeof(controller->host_id.bytes));
	list_init(&controller->link);
	list_init(&controller->async_commands);
	list_init(&controller->shares[0].line);
	list_init(&controller->shares[1].line);
	reactor_timer_init(&controller->keep_alive_timer, subsystem->home, keep_alive_expired);
	controller_set_defaults(controller);
	list_push_back(&subsystem->controllers, &controller->link);
	subsystem->controller_count++;
	*ret_controller = controller;
	return NVME_STATUS_SUCCESS;
}

void controller_discard(struct controller *controller)
{
	struct target_subsystem *subsystem = controller->subsystem;

	ASSERT(controller->queue_count == 0 && controller->outstanding_writes == 0);
	ASSERT(controller->notice_count <= RESERVATION_NOTICES_MAX);
	ASSERT(list_is_empty(&controller->async_commands));
	ASSERT(controller->shares[0].count == 0 && controller->shares[1].count == 0);
	ASSERT(controller->async_count == 0);
	reactor_timer_stop(&controller->keep_alive_timer);
	list_remove(&controller->link);
	subsystem->controller_count--;
	memory_free(controller);
}

void controller_add_queue(struct controller *controller, struct connection *connection)
{
	ASSERT(connection->qid <= TARGET_IO_QUEUES_MAX);
	ASSERT(controller->queues[connection->qid] == NULL && !controller->is_dying);
	controller->queues[connection->qid] = connection;
	controller->queue_count++;
	if (connection->qid == 0)
		log_info(controller->subsystem->target->log,
			 "target: %s: host %s connected, controller %u", controller->subsystem->nqn,
			 controller->host_nqn, controller->cntlid);
}

void controller_kill(struct controller *controller, const char *reason)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	if (controller->is_dying)
		return;
	log_info(controller->subsystem->target->log, "target: %s: host %s, controller %u ends: %s",
		 controller->subsystem->nqn, controller->host_nqn, controller->cntlid, reason);
	controller->is_dying = true;
	controller->subsystem->ghost_writes += controller->outstanding_writes;
	reactor_timer_stop(&controller->keep_alive_timer);
	for (uint32_t i = 0; i <= TARGET_IO_QUEUES_MAX; i++) {
		if (controller->queues[i] != NULL)
			connection_close(controller->queues[i], reason);
	}
}

void controller_lose_queue(struct connection *connection)
{
	struct controller *controller = connection->controller;

	ASSERT(connection->target != NULL);
	ASSERT(controller != NULL);
	if (controller->queues[connection->qid] == connection && connection->qid == 0)
		controller_kill(controller, "its admin connection is lost");
}

void controller_drop_queue(struct connection *connection)
{
	struct controller *controller = connection->controller;

	ASSERT(controller->queues[connection->qid] == connection);
	ASSERT(connection->unanswered_count == 0);
	ASSERT(controller->queue_count > 0);
	controller->queues[connection->qid] = NULL;
	controller->queue_count--;
	if (controller->queue_count == 0) {
		ASSERT(controller->is_dying);
		controller_discard(controller);
	}
}

/* ---- properties (NVMe base 2.0, section 3.1.3) ---- */

static bool controller_has_io_queues(const struct controller *controller)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	return controller->queue_count > 1;
}

bool controller_is_enabled(const struct controller *controller)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	return (controller->cc & NVMF_CC_ENABLE) != 0 && !controller->is_fatal;
}

static uint64_t property_cap(const struct controller *controller)
{
	uint64_t mqes = controller->subsystem->target->options.queue_depth - 1;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	return mqes | NVMF_CAP_CQR | (uint64_t)CAP_TIMEOUT_HALF_SECONDS << NVMF_CAP_TO_SHIFT |
	       NVMF_CAP_CSS_NVM;
}

static uint32_t property_csts(const struct controller *controller)
{
	uint32_t shutdown = controller->cc >> NVMF_CC_SHN_SHIFT & NVMF_CC_SHN_MASK;
	bool has_io_queues = controller_has_io_queues(controller);
	uint32_t csts = 0;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	if (controller->is_fatal)
		csts |= NVMF_CSTS_FATAL;
	else if ((controller->cc & NVMF_CC_ENABLE) != 0 || has_io_queues)
		csts |= NVMF_CSTS_READY;
	if (shutdown != 0)
		csts |= (has_io_queues ? NVMF_CSTS_SHST_BUSY : NVMF_CSTS_SHST_DONE)
			<< NVMF_CSTS_SHST_SHIFT;
	return csts;
}

uint16_t controller_property_get(const struct controller *controller,
				 const struct nvmf_property_access *access, uint64_t *ret_value)
{
	bool is_wide = access->offset == NVMF_PROPERTY_CAP;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	if (access->is_eight_bytes != is_wide)
		return NVME_STATUS_INVALID_FIELD;
	switch (access->offset) {
	case NVMF_PROPERTY_CAP:
		*ret_value = property_cap(controller);
		return NVME_STATUS_SUCCESS;
	case NVMF_PROPERTY_VS:
		*ret_value = VERSION;
		return NVME_STATUS_SUCCESS;
	case NVMF_PROPERTY_CC:
		*ret_value = controller->cc;
		return NVME_STATUS_SUCCESS;
	case NVMF_PROPERTY_CSTS:
		*ret_value = property_csts(controller);
		return NVME_STATUS_SUCCESS;
	default:
		return NVME_STATUS_INVALID_FIELD;
	}
}

/* Reset and shutdown both end the I/O queues; the host sees it is over when they are drained. */
static void controller_end_io(struct controller *controller, const char *reason)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	for (uint32_t i = 1; i <= TARGET_IO_QUEUES_MAX; i++) {
		if (controller->queues[i] != NULL)
			connection_close(controller->queues[i], reason);
	}
}

static bool cc_is_possible(uint32_t cc)
{
	uint32_t mps = cc >> NVMF_CC_MPS_SHIFT & 0xf;
	uint32_t css = cc >> NVMF_CC_CSS_SHIFT & 7;
	uint32_t ams = cc >> NVMF_CC_AMS_SHIFT & 7;

	return mps == 0 && css == 0 && ams == 0;
}

static void controller_set_cc(struct controller *controller, uint32_t cc)
{
	uint32_t old = controller->cc;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	controller->cc = cc;
	if ((cc & NVMF_CC_ENABLE) != 0 && (old & NVMF_CC_ENABLE) == 0) {
		controller->is_fatal = !cc_is_possible(cc);
		controller_keep_alive(controller);
	} else if ((cc & NVMF_CC_ENABLE) == 0 && (old & NVMF_CC_ENABLE) != 0) {
		controller->is_fatal = false;
		controller_end_io(controller, "controller reset by the host");
	}
	if ((cc >> NVMF_CC_SHN_SHIFT & NVMF_CC_SHN_MASK) != 0)
		controller_end_io(controller, "controller shut down by the host");
}

uint16_t controller_property_set(struct controller *controller,
				 const struct nvmf_property_access *access)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	if (access->offset != NVMF_PROPERTY_CC || access->is_eight_bytes)
		return NVME_STATUS_INVALID_FIELD;
	controller_set_cc(controller, (uint32_t)access->value);
	return NVME_STATUS_SUCCESS;
}

void controller_record_error(struct command *command)
{
	struct controller *controller = command->connection->controller;
	struct error_entry *entry =
		&controller->errors[controller->error_count % ERROR_ENTRIES_MAX];

	ASSERT(command->connection != NULL);
	ASSERT(command->status.status != NVME_STATUS_SUCCESS);
	controller->error_count++;
	*entry = (struct error_entry){.count = controller->error_count,
				      .qid = command->connection->qid,
				      .cid = command->cid,
				      .status = command->status,
				      .lba = command->connection->qid == 0 ? 0
									   : command->range.first};
}
