/* SPDX-License-Identifier: Apache-2.0 */
/* reservation.c - reservation commands on an I/O queue pair, and the report in host order.
 *
 * Invariant: of a report only what the controller says is there is read, and only what fits.
 */
#include "initiator/initiator_impl.h"

enum reservation_step {
	RESERVATION_SUBMIT,
	RESERVATION_JUDGE,
};

/* NVMe base 2.0, figure 404: we ask for 128-bit host ids. */
static void report_decode(struct initiator_reservation *reservation)
{
	struct nvme_reservation_report_extended report;
	uint32_t count;

	memcpy(&report, reservation->data, sizeof(report));
	ASSERT(reservation->registrant_count == 0);
	ASSERT(reservation->command.data_bytes == sizeof(reservation->data));
	count = le16_load(report.report.registered_count);
	reservation->generation = le32_load(report.report.generation);
	reservation->type = (enum nvme_reservation_type)report.report.type;
	if (report.report.type > NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL)
		reservation->type = NVME_RESERVATION_NONE;
	reservation->registrant_count = count;
	for (uint32_t i = 0; i < count && i < INITIATOR_REGISTRANTS_MAX; i++) {
		struct nvme_reservation_registrant_extended entry;
		struct initiator_registrant *registrant = &reservation->registrants[i];

		memcpy(&entry, reservation->data + sizeof(report) + i * sizeof(entry),
		       sizeof(entry));
		registrant->cntlid = le16_load(entry.cntlid);
		registrant->is_holder = (entry.status & 1) != 0;
		registrant->key = le64_load(entry.key);
		memcpy(registrant->host_id, entry.host_id, sizeof(registrant->host_id));
	}
}
STATIC_ASSERT(sizeof(((struct initiator_reservation *)0)->data) ==
	      sizeof(struct nvme_reservation_report_extended) +
		      INITIATOR_REGISTRANTS_MAX *
			      sizeof(struct nvme_reservation_registrant_extended));

static enum op_flow reservation_submit(struct initiator_reservation *reservation)
{
	struct initiator_command *command = &reservation->command;
	struct nvme_reservation request = reservation->request;
	bool is_report = request.opcode == NVME_RESERVATION_REPORT;

	memset(reservation->data, 0, sizeof(reservation->data));
	*command =
		(struct initiator_command){.parent = &reservation->op, .data = reservation->data};
	request.is_extended = is_report;
	request.report_bytes = is_report ? sizeof(reservation->data) : 0;
	nvme_reservation_encode(&command->sqe, NAMESPACE_ID, &request, reservation->data);
	command->data_bytes = is_report ? (uint32_t)sizeof(reservation->data)
					: nvme_reservation_data_bytes((uint8_t)request.opcode);
	ASSERT(command->data_bytes > 0 && command->data_bytes <= sizeof(reservation->data));
	ASSERT(op_is_idle(&reservation->op));
	op_wait(&reservation->op);
	initiator_io_submit(reservation->channel, command);
	return op_join(&reservation->op);
}

static void reservation_judge(struct initiator_reservation *reservation)
{
	const struct initiator_command *command = &reservation->command;

	ASSERT(reservation->op.pending == 0);
	ASSERT(command->parent == &reservation->op);
	reservation->status = command->status;
	reservation->nvme_status = command->nvme_status;
	if (command->status == IO_OK && reservation->request.opcode == NVME_RESERVATION_REPORT)
		report_decode(reservation);
	op_done(reservation->parent);
}

static void reservation_run(struct op *op)
{
	struct initiator_reservation *reservation =
		container_of(op, struct initiator_reservation, op);

	for (;;) {
		switch ((enum reservation_step)reservation->step) {
		case RESERVATION_SUBMIT:
			reservation->step = RESERVATION_JUDGE;
			if (reservation_submit(reservation) == OP_WAIT)
				return;
			break;
		case RESERVATION_JUDGE:
			reservation_judge(reservation);
			return;
		}
	}
}

void initiator_reservation_submit(struct bdev_channel *channel,
				  struct initiator_reservation *reservation)
{
	ASSERT(initiator_is_initiator(channel->bdev));
	ASSERT(reservation->parent != NULL && reservation->parent->pending > 0);
	reservation->channel = channel;
	reservation->generation = 0;
	reservation->type = NVME_RESERVATION_NONE;
	reservation->registrant_count = 0;
	reservation->step = RESERVATION_SUBMIT;
	op_init(&reservation->op, reactor_ready(channel->reactor), reservation_run);
	op_start(&reservation->op);
}
