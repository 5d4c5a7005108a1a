/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_recorder.c - the recorder that remembers in memory only, for tests and the simulator.
 *
 * It keeps the rule of real ones: a record of a lower epoch than the stored one is refused.
 */
#include "nexus/nexus_recorder.h"

#include "base/assert.h"

#include <string.h>

static struct nexus_recorder_memory *recorder_memory(struct nexus_recorder *recorder)
{
	return container_of(recorder, struct nexus_recorder_memory, recorder);
}

static int memory_index(const struct nexus_recorder_memory *memory, const char *key)
{
	ASSERT(memory->key_count <= NEXUS_RECORDER_MEMORY_KEYS);
	ASSERT(key[0] != '\0');
	for (uint32_t i = 0; i < memory->key_count; i++) {
		if (strcmp(memory->keys[i], key) == 0)
			return (int)i;
	}
	return -1;
}

static enum nexus_record_result memory_keep(struct nexus_recorder_memory *memory,
					    const struct nexus_record_io *io)
{
	int index = memory_index(memory, io->key);

	ASSERT(io->record.child_count > 0);
	ASSERT(io->record.child_count <= NEXUS_CHILDREN_MAX);
	ASSERT(io->record.sequence > 0);
	if (index < 0) {
		if (memory->key_count == NEXUS_RECORDER_MEMORY_KEYS)
			return NEXUS_RECORD_FAILED;
		index = (int)memory->key_count++;
		ASSERT(index < NEXUS_RECORDER_MEMORY_KEYS);
		memcpy(memory->keys[index], io->key, sizeof(io->key));
	} else if (memory->records[index].epoch > io->record.epoch) {
		return NEXUS_RECORD_FENCED;
	}
	memory->records[index] = io->record;
	return NEXUS_RECORD_OK;
}

static void memory_answer(struct nexus_recorder_memory *memory, struct nexus_record_io *io)
{
	ASSERT(list_is_empty(&io->link));
	memory->store_count++;
	io->result = memory->answer;
	if (memory->answer == NEXUS_RECORD_OK)
		io->result = memory_keep(memory, io);
	else if (memory->is_stored_in_spite)
		(void)memory_keep(memory, io);
	op_done(io->parent);
}

static void memory_store(struct nexus_recorder *recorder, struct nexus_record_io *io)
{
	struct nexus_recorder_memory *memory = recorder_memory(recorder);

	list_init(&io->link);
	if (memory->is_held)
		list_push_back(&memory->held, &io->link);
	else
		memory_answer(memory, io);
}

static void memory_load(struct nexus_recorder *recorder, struct nexus_record_io *io)
{
	struct nexus_recorder_memory *memory = recorder_memory(recorder);
	int index = memory_index(memory, io->key);

	io->result = index < 0 ? NEXUS_RECORD_NONE : NEXUS_RECORD_OK;
	if (index >= 0)
		io->record = memory->records[index];
	op_done(io->parent);
}

static const struct nexus_recorder_ops memory_ops = {.store = memory_store, .load = memory_load};

void nexus_recorder_memory_init(struct nexus_recorder_memory *memory)
{
	memset(memory, 0, sizeof(*memory));
	memory->recorder.ops = &memory_ops;
	memory->answer = NEXUS_RECORD_OK;
	list_init(&memory->held);
}

void nexus_recorder_memory_release(struct nexus_recorder_memory *memory)
{
	struct list_node *node;

	memory->is_held = false;
	while ((node = list_pop_front(&memory->held)) != NULL)
		memory_answer(memory, list_entry(node, struct nexus_record_io, link));
	ASSERT(!memory->is_held);
	ASSERT(list_is_empty(&memory->held));
}

const struct nexus_record *nexus_recorder_memory_find(const struct nexus_recorder_memory *memory,
						      const char *key)
{
	int index = memory_index(memory, key);

	return index < 0 ? NULL : &memory->records[index];
}

const struct nexus_record_child *nexus_record_find(const struct nexus_record *record,
						   const struct uuid *uuid)
{
	for (uint32_t i = 0; i < record->child_count && i < NEXUS_CHILDREN_MAX; i++) {
		if (uuid_is_equal(&record->children[i].uuid, uuid))
			return &record->children[i];
	}
	return NULL;
}

bool nexus_record_is_healthy(const struct nexus_record *record, const struct uuid *uuid)
{
	const struct nexus_record_child *child = nexus_record_find(record, uuid);

	return child != NULL && child->is_healthy;
}
