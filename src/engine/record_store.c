/* SPDX-License-Identifier: Apache-2.0 */
/* record_store.c - keeps who is in sync where a crash cannot reach it.
 *
 * Invariants:
 *  1. A store is answered NEXUS_RECORD_OK only after its text is durable.
 *  2. A record of a lower epoch never replaces one of a higher epoch.
 *  3. A file that is damaged is never taken for "there is no record": that could elect a stale
 * copy.
 */
#include "engine/record_store.h"

#include "base/memory.h"
#include "base/sha256.h"
#include "engine/slot_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct record_store {
	struct nexus_recorder recorder;
	struct reactor *main;
	struct log *log;
	char directory[400];
};

enum record_step {
	RECORD_LOAD,
	RECORD_JUDGE, /* may it be replaced? */
	RECORD_STORE,
	RECORD_ANSWER,
};

struct record_op {
	struct op op;
	enum record_step step;
	struct record_store *store;
	struct nexus_record_io *io;
	bool is_store;
	struct slot_file_io file;
};

static json_t *child_encode(const struct nexus_record_child *child)
{
	char uuid[UUID_TEXT_BYTES];
	char cache_id[UUID_TEXT_BYTES];

	ASSERT(child != NULL);
	uuid_format(&child->uuid, uuid);
	uuid_format(&child->cache_id, cache_id);
	if (uuid_is_nil(&child->cache_id))
		return json_pack("{s:s, s:b}", "uuid", uuid, "healthy", child->is_healthy);
	return json_pack("{s:s, s:b, s:s}", "uuid", uuid, "healthy", child->is_healthy, "cache_id",
			 cache_id);
}

static bool size_encode(json_t *root, const struct nexus_record *record)
{
	ASSERT((record->block_count == 0) == (record->block_bytes == 0));
	if (record->block_count == 0)
		return true;
	return json_object_set_new(root, "block_count",
				   json_integer((json_int_t)record->block_count)) == 0 &&
	       json_object_set_new(root, "block_bytes",
				   json_integer((json_int_t)record->block_bytes)) == 0;
}

size_t record_encode(const char *key, const struct nexus_record *record, char *ret_text,
		     size_t size)
{
	json_t *children = json_array();
	bool is_whole = children != NULL;
	json_t *root;
	size_t length;

	for (uint32_t i = 0; i < record->child_count; i++)
		is_whole &=
			json_array_append_new(children, child_encode(&record->children[i])) == 0;
	if (!is_whole) {
		json_decref(children);
		return 0;
	}
	root = json_pack("{s:s, s:I, s:I, s:b, s:o}", "key", key, "epoch",
			 (json_int_t)record->epoch, "sequence", (json_int_t)record->sequence,
			 "clean_shutdown", record->is_clean_shutdown, "children", children);
	if (root == NULL || !size_encode(root, record)) {
		json_decref(root);
		return 0;
	}
	length = json_dumpb(root, ret_text, size, JSON_COMPACT);
	json_decref(root);
	return length <= size ? length : 0;
}

/* Records of older engines have no cache_id: unknown. */
static int child_decode(const json_t *entry, struct nexus_record_child *child)
{
	const json_t *uuid = json_object_get(entry, "uuid");
	const json_t *healthy = json_object_get(entry, "healthy");
	const json_t *cache_id = json_object_get(entry, "cache_id");

	ASSERT(uuid_is_nil(&child->cache_id));
	if (!json_is_string(uuid) || !json_is_boolean(healthy) ||
	    !uuid_parse(json_string_value(uuid), &child->uuid))
		return -EINVAL;
	if (cache_id != NULL && (!json_is_string(cache_id) ||
				 !uuid_parse(json_string_value(cache_id), &child->cache_id)))
		return -EINVAL;
	child->is_healthy = json_is_true(healthy);
	return 0;
}

static int children_decode(const json_t *children, struct nexus_record *record)
{
	size_t index;
	json_t *entry;

	if (!json_is_array(children) || json_array_size(children) > NEXUS_CHILDREN_MAX)
		return -EINVAL;
	json_array_foreach(children, index, entry)
	{
		int rc = child_decode(entry, &record->children[index]);

		if (rc < 0)
			return rc;
	}
	record->child_count = (uint32_t)json_array_size(children);
	return 0;
}

/* Records of older engines have no size: unknown. */
static int size_decode(const json_t *root, struct nexus_record *record)
{
	const json_t *count = json_object_get(root, "block_count");
	const json_t *bytes = json_object_get(root, "block_bytes");

	ASSERT(record->block_count == 0);
	if (count == NULL && bytes == NULL)
		return 0;
	if (!json_is_integer(count) || json_integer_value(count) <= 0 || !json_is_integer(bytes) ||
	    json_integer_value(bytes) < BLOCK_BYTES_MIN ||
	    json_integer_value(bytes) > BLOCK_BYTES_MAX ||
	    (uint64_t)json_integer_value(count) >= UINT64_MAX / (uint64_t)json_integer_value(bytes))
		return -EINVAL;
	record->block_count = (uint64_t)json_integer_value(count);
	record->block_bytes = (uint32_t)json_integer_value(bytes);
	return 0;
}

static int root_decode(const json_t *root, const char *key, struct nexus_record *record)
{
	const json_t *stored_key = json_object_get(root, "key");
	const json_t *epoch = json_object_get(root, "epoch");
	const json_t *sequence = json_object_get(root, "sequence");
	const json_t *clean = json_object_get(root, "clean_shutdown");

	if (!json_is_string(stored_key) || strcmp(json_string_value(stored_key), key) != 0)
		return -EINVAL;
	if (!json_is_integer(epoch) || json_integer_value(epoch) < 0 || !json_is_boolean(clean) ||
	    !json_is_integer(sequence) || json_integer_value(sequence) < 0)
		return -EINVAL;
	record->epoch = (uint64_t)json_integer_value(epoch);
	record->sequence = (uint64_t)json_integer_value(sequence);
	record->is_clean_shutdown = json_is_true(clean);
	if (size_decode(root, record) < 0)
		return -EINVAL;
	return children_decode(json_object_get(root, "children"), record);
}

int record_decode(const char *text, size_t size, const char *key, struct nexus_record *ret_record)
{
	struct nexus_record record = {0};
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	int rc;

	ASSERT(key != NULL && ret_record != NULL);
	if (root == NULL)
		return -EINVAL;
	rc = root_decode(root, key, &record);
	json_decref(root);
	if (rc == 0)
		*ret_record = record;
	return rc;
}

/* Keys have slashes and any length: the file is named by their digest. */
static void record_path(const struct record_store *store, const char *key, char *path, size_t size)
{
	uint8_t digest[SHA256_BYTES];
	char hex[41];

	sha256(key, strlen(key), digest);
	for (int i = 0; i < 20; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	snprintf(path, size, "%s/%s.record", store->directory, hex);
}

static enum nexus_record_result load_judge(struct record_op *record)
{
	struct nexus_record_io *io = record->io;

	if (record->file.result == -ENOENT)
		return NEXUS_RECORD_NONE;
	if (record->file.result != 0) {
		log_error(record->store->log, "record of %s in %s cannot be read: %s", io->key,
			  record->file.path, strerror(-record->file.result));
		return NEXUS_RECORD_FAILED;
	}
	if (record_decode(record->file.content, record->file.content_bytes, io->key, &io->record) !=
	    0) {
		log_error(
			record->store->log,
			"record of %s in %s is damaged: restore the file from a backup, or remove "
			"it if you know which copies are good",
			io->key, record->file.path);
		return NEXUS_RECORD_FAILED;
	}
	return NEXUS_RECORD_OK;
}

/* Prepares the new text unless what is stored forbids it. */
static enum record_step store_judge(struct record_op *record)
{
	struct nexus_record wanted = record->io->record;

	record->io->result = load_judge(record);
	if (record->io->result == NEXUS_RECORD_OK && record->io->record.epoch > wanted.epoch)
		record->io->result = NEXUS_RECORD_FENCED;
	else if (record->io->result == NEXUS_RECORD_NONE)
		record->io->result = NEXUS_RECORD_OK;
	record->io->record = wanted;
	if (record->io->result != NEXUS_RECORD_OK)
		return RECORD_ANSWER;
	record->file.content_bytes = record_encode(record->io->key, &wanted, record->file.content,
						   SLOT_CONTENT_BYTES_MAX);
	if (record->file.content_bytes > 0)
		return RECORD_STORE;
	record->io->result = NEXUS_RECORD_FAILED;
	return RECORD_ANSWER;
}

static void record_answer(struct record_op *record)
{
	struct nexus_record_io *io = record->io;

	memory_free(record);
	op_done(io->parent);
}

static void store_result(struct record_op *record)
{
	if (!record->is_store || record->io->result != NEXUS_RECORD_OK || record->file.result == 0)
		return;
	record->io->result = NEXUS_RECORD_FAILED;
	log_error(record->store->log, "record of %s cannot be written to %s: %s", record->io->key,
		  record->file.path, strerror(-record->file.result));
}

static void record_run(struct op *op)
{
	struct record_op *record = container_of(op, struct record_op, op);

	for (;;) {
		switch (record->step) {
		case RECORD_LOAD:
			record->step = RECORD_JUDGE;
			op_wait(op);
			slot_file_load_submit(&record->file);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case RECORD_JUDGE:
			if (record->is_store) {
				record->step = store_judge(record);
			} else {
				record->io->result = load_judge(record);
				record->step = RECORD_ANSWER;
				record->file.result = 0;
			}
			break;
		case RECORD_STORE:
			record->step = RECORD_ANSWER;
			op_wait(op);
			slot_file_store_submit(&record->file);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case RECORD_ANSWER:
			store_result(record);
			record_answer(record);
			return;
		}
	}
}

static void record_start(struct nexus_recorder *recorder, struct nexus_record_io *io, bool is_store)
{
	struct record_store *store = container_of(recorder, struct record_store, recorder);
	struct record_op *record = memory_alloc(sizeof(*record));

	ASSERT(io->parent != NULL && io->key[0] != '\0');
	if (record == NULL) {
		io->result = NEXUS_RECORD_FAILED;
		op_done(io->parent);
		return;
	}
	record->store = store;
	record->io = io;
	record->is_store = is_store;
	record->step = RECORD_LOAD;
	record->file.parent = &record->op;
	record->file.reactor = store->main;
	record_path(store, io->key, record->file.path, sizeof(record->file.path));
	op_init(&record->op, reactor_ready(store->main), record_run);
	op_start(&record->op);
}

static void recorder_store(struct nexus_recorder *recorder, struct nexus_record_io *io)
{
	record_start(recorder, io, true);
}

static void recorder_load(struct nexus_recorder *recorder, struct nexus_record_io *io)
{
	record_start(recorder, io, false);
}

static const struct nexus_recorder_ops recorder_ops = {
	.store = recorder_store,
	.load = recorder_load,
};

int record_store_create(struct reactor *main, const char *directory, struct log *log,
			struct record_store **ret_store)
{
	struct record_store *store;
	int rc;

	ASSERT(main != NULL && directory != NULL);
	if (strlen(directory) >= sizeof(store->directory))
		return -ENAMETOOLONG;
	rc = os_directory_create(reactor_os(main), directory);
	if (rc != 0)
		return rc;
	store = memory_alloc(sizeof(*store));
	if (store == NULL)
		return -ENOMEM;
	store->recorder.ops = &recorder_ops;
	store->main = main;
	store->log = log;
	snprintf(store->directory, sizeof(store->directory), "%s", directory);
	*ret_store = store;
	return 0;
}

void record_store_destroy(struct record_store *store)
{
	memory_free(store);
}

struct nexus_recorder *record_store_recorder(struct record_store *store)
{
	return &store->recorder;
}
