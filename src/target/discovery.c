/* SPDX-License-Identifier: Apache-2.0 */
/* discovery.c - the log of the discovery controller (NVMe base 2.0, section 5.16.1.23).
 *
 * A host sees the subsystems that it may use, each with one record for every address that is
 * listened on. Two ports of one address are one record (the first), or hosts that connect to all
 * they are told would build every path twice. Records are made when they are read, so the log
 * needs no memory however many subsystems there are. Main reactor.
 *
 * Invariant: records keep their order between two changes of the generation counter, so a log that
 * is read in pieces with one counter at both ends is consistent.
 */
#include "target/target_parts_impl.h"

#include <stdio.h>
#include <string.h>

#define RECORD_BYTES sizeof(struct nvmf_discovery_entry)

STATIC_ASSERT(sizeof(struct nvmf_discovery_log) == sizeof(struct nvmf_discovery_entry));

static bool address_is_any(const char *host)
{
	ASSERT(host != NULL);
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || host[0] == '\0';
}

/* What @connection's host should dial to reach listener @index. */
static void listener_host(const struct connection *connection, uint32_t index,
			  char ret_host[OS_ADDRESS_TEXT_BYTES])
{
	const struct target *target = connection->target;
	struct os_address local;

	ASSERT(connection->target->options.has_discovery);
	ASSERT(index < connection->target->listener_count);
	if (target->options.advertised_host[0] != '\0') {
		memcpy(ret_host, target->options.advertised_host, OS_ADDRESS_TEXT_BYTES);
		ret_host[OS_ADDRESS_TEXT_BYTES - 1] = '\0';
		return;
	}
	os_address_host(&target->listeners[index].address, ret_host);
	if (!address_is_any(ret_host))
		return;
	os_socket_local(connection->socket, &local);
	os_address_host(&local, ret_host);
}

/* Another listener before it has the same address. */
static bool listener_is_repeated(const struct connection *connection, uint32_t index)
{
	char host[OS_ADDRESS_TEXT_BYTES];
	char other[OS_ADDRESS_TEXT_BYTES];

	ASSERT(connection->target->options.has_discovery);
	ASSERT(index < connection->target->listener_count);
	listener_host(connection, index, host);
	for (uint32_t i = 0; i < index; i++) {
		listener_host(connection, i, other);
		if (strcmp(host, other) == 0)
			return true;
	}
	return false;
}

static void text_fill(uint8_t *field, size_t size, const char *text)
{
	ASSERT(text != NULL);
	memset(field, ' ', size);
	memcpy(field, text, strlen(text) < size ? strlen(text) : size);
}

static void record_fill(const struct connection *connection,
			const struct target_subsystem *subsystem, uint32_t listener_index,
			struct nvmf_discovery_entry *ret_entry)
{
	const struct listener *listener = &connection->target->listeners[listener_index];
	char host[OS_ADDRESS_TEXT_BYTES];
	char port[8];

	ASSERT(connection->target->options.has_discovery);
	ASSERT(listener_index < connection->target->listener_count);
	ASSERT(ret_entry != NULL);
	listener_host(connection, listener_index, host);
	(void)snprintf(port, sizeof(port), "%u", os_address_port(&listener->address));
	memset(ret_entry, 0, sizeof(*ret_entry));
	ret_entry->transport_type = NVMF_TRANSPORT_TCP;
	ret_entry->address_family =
		strchr(host, ':') != NULL ? NVMF_ADDRESS_IPV6 : NVMF_ADDRESS_IPV4;
	ret_entry->subsystem_type = NVMF_SUBSYSTEM_NVM;
	/* Hosts that connect by the log turn flow control off and save a PDU for each read. */
	ret_entry->requirements = NVMF_REQUIREMENT_NO_FLOW_CONTROL;
	ret_entry->port_id = le16_store((uint16_t)listener_index);
	ret_entry->cntlid = le16_store(NVMF_CNTLID_ANY);
	ret_entry->admin_queue_entries = le16_store(ADMIN_QUEUE_DEPTH);
	text_fill(ret_entry->service, sizeof(ret_entry->service), port);
	text_fill(ret_entry->address, sizeof(ret_entry->address), host);
	memcpy(ret_entry->subnqn, subsystem->nqn, strnlen(subsystem->nqn, NQN_BYTES_MAX - 1));
}

/* The window of the log that the host reads. */
struct window {
	uint8_t *bytes;
	uint64_t offset;
	uint64_t size;
};

/* Copies the part of the record at @position that lies in the window. */
static void window_copy(const struct window *window, uint64_t position, const void *record)
{
	uint64_t from = position > window->offset ? position : window->offset;
	uint64_t end = position + RECORD_BYTES;

	ASSERT(window->bytes != NULL);
	ASSERT(record != NULL);
	if (end > window->offset + window->size)
		end = window->offset + window->size;
	if (from >= end)
		return;
	memcpy(window->bytes + (from - window->offset), (const uint8_t *)record + (from - position),
	       end - from);
}

static bool window_overlaps(const struct window *window, uint64_t position)
{
	ASSERT(window->bytes != NULL);
	return position < window->offset + window->size && position + RECORD_BYTES > window->offset;
}

/* Return: how many records @host_nqn's log has, those in the window written to it. */
static uint64_t records_fill(const struct connection *connection, const char *host_nqn,
			     const struct window *window)
{
	const struct target *target = connection->target;
	struct nvmf_discovery_entry entry;
	uint64_t count = 0;

	ASSERT(connection->target->options.has_discovery);
	ASSERT(window->bytes != NULL);
	list_for_each (node, &target->subsystems) {
		const struct target_subsystem *subsystem =
			list_entry(node, struct target_subsystem, link);

		if (subsystem->is_leaving ||
		    !allowed_hosts_contain(subsystem->hosts_on_main, host_nqn))
			continue;
		for (uint32_t i = 0; i < target->listener_count; i++) {
			if (listener_is_repeated(connection, i))
				continue;
			count++;
			if (!window_overlaps(window, count * RECORD_BYTES))
				continue;
			record_fill(connection, subsystem, i, &entry);
			window_copy(window, count * RECORD_BYTES, &entry);
		}
	}
	return count;
}

void discovery_log_fill(struct command *command, uint64_t offset_bytes)
{
	const struct connection *connection = command->connection;
	struct window window = {
		.bytes = command->data, .offset = offset_bytes, .size = command->data_bytes};
	struct nvmf_discovery_log header = {0};

	ASSERT(command->data != NULL);
	ASSERT(connection->subsystem->is_discovery);
	if (offset_bytes > UINT64_MAX / 2)
		return; /* far behind any end: zeroes */
	header.generation = le64_store(connection->target->discovery_generation);
	header.record_count =
		le64_store(records_fill(connection, connection->controller->host_nqn, &window));
	window_copy(&window, 0, &header);
}

void discovery_changed(struct target *target)
{
	ASSERT(target->main != NULL);
	ASSERT(target->discovery.is_discovery);
	target->discovery_generation++;
	async_event_raise_all(&target->discovery, ASYNC_EVENT_DISCOVERY);
}
