/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_files.c - encodes registrants and holder as JSON and keeps them in a slot file.
 *
 * Invariants:
 *  1. A store is answered with 0 only after its text is durable.
 *  2. A damaged file is an error, not "no reservation": it would let a fenced host in.
 */
#include "engine/reservation_files.h"

#include "base/memory.h"
#include "engine/slot_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct reservation_file {
	struct target_reservation_store store;
	struct reactor *home;
	struct log *log;
	char path[512];
	struct op op;
	bool is_store;
	struct target_reservation_request *request; /* one at a time */
	struct slot_file_io file;
};

static json_t *registrant_encode(const struct target_registrant *registrant)
{
	char id[UUID_TEXT_BYTES];
	char key[17];

	uuid_format(&registrant->host_id, id);
	snprintf(key, sizeof(key), "%016llx", (unsigned long long)registrant->key);
	return json_pack("{s:s, s:s}", "host_id", id, "key", key);
}

size_t reservation_encode(const struct target_reservation_state *state, char *ret_text, size_t size)
{
	json_t *registrants = json_array();
	json_t *root;
	size_t length;

	for (uint32_t i = 0; i < state->registrant_count; i++)
		json_array_append_new(registrants, registrant_encode(&state->registrants[i]));
	root = json_pack("{s:b, s:i, s:I, s:I, s:o}", "ptpl", state->is_persistent, "type",
			 state->type, "generation", (json_int_t)state->generation, "holder",
			 (json_int_t)state->holder_index, "registrants", registrants);
	if (root == NULL)
		return 0;
	length = json_dumpb(root, ret_text, size, JSON_COMPACT);
	json_decref(root);
	return length <= size ? length : 0;
}

static int registrant_decode(const json_t *entry, struct target_registrant *registrant)
{
	const char *id = json_string_value(json_object_get(entry, "host_id"));
	const char *key = json_string_value(json_object_get(entry, "key"));
	unsigned long long value;
	int end = 0;

	if (id == NULL || key == NULL || !uuid_parse(id, &registrant->host_id))
		return -EINVAL;
	if (sscanf(key, "%16llx%n", &value, &end) != 1 || key[end] != '\0')
		return -EINVAL;
	registrant->key = value;
	return 0;
}

static int state_decode(const json_t *root, struct target_reservation_state *state)
{
	const json_t *type = json_object_get(root, "type");
	const json_t *generation = json_object_get(root, "generation");
	const json_t *holder = json_object_get(root, "holder");
	const json_t *registrants = json_object_get(root, "registrants");
	size_t index;
	json_t *entry;

	if (!json_is_integer(type) || !json_is_integer(generation) || !json_is_integer(holder) ||
	    !json_is_array(registrants))
		return -EINVAL;
	if (json_integer_value(type) < 0 || json_integer_value(type) > 6 ||
	    json_integer_value(generation) < 0 || json_integer_value(generation) > UINT32_MAX ||
	    json_array_size(registrants) > TARGET_REGISTRANTS_MAX)
		return -EINVAL;
	state->is_persistent = json_is_true(json_object_get(root, "ptpl"));
	state->type = (uint8_t)json_integer_value(type);
	state->generation = (uint32_t)json_integer_value(generation);
	state->registrant_count = (uint32_t)json_array_size(registrants);
	json_array_foreach(registrants, index, entry)
	{
		if (registrant_decode(entry, &state->registrants[index]) != 0)
			return -EINVAL;
	}
	if (json_integer_value(holder) < 0 ||
	    (state->type != 0 && json_integer_value(holder) >= state->registrant_count))
		return -EINVAL;
	state->holder_index = (uint32_t)json_integer_value(holder);
	return 0;
}

int reservation_decode(const char *text, size_t size, struct target_reservation_state *ret_state)
{
	struct target_reservation_state state = {0};
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	int rc;

	ASSERT(ret_state != NULL);
	if (root == NULL)
		return -EINVAL;
	rc = state_decode(root, &state);
	json_decref(root);
	if (rc == 0)
		*ret_state = state;
	return rc;
}

/* Entered once, when the slot file has answered. */
static void reservation_run(struct op *op)
{
	struct reservation_file *file = container_of(op, struct reservation_file, op);
	struct target_reservation_request *request = file->request;

	request->result = file->file.result;
	if (request->result == 0 && !file->is_store)
		request->result = reservation_decode(file->file.content, file->file.content_bytes,
						     &request->state);
	if (request->result != 0 && request->result != -ENOENT)
		log_error(file->log, "reservations in %s: %s", file->path,
			  strerror(-request->result));
	file->request = NULL;
	op_done(request->parent);
}

static void request_start(struct reservation_file *file, struct target_reservation_request *request,
			  bool is_store)
{
	ASSERT(file->request == NULL && request->parent != NULL);
	file->request = request;
	file->is_store = is_store;
	op_init(&file->op, reactor_ready(file->home), reservation_run);
	file->file.parent = &file->op;
	file->file.reactor = file->home;
	snprintf(file->file.path, sizeof(file->file.path), "%s", file->path);
	op_wait(&file->op);
	if (is_store)
		slot_file_store_submit(&file->file);
	else
		slot_file_load_submit(&file->file);
	if (op_join(&file->op) == OP_NEXT)
		op_wake(&file->op);
}

static void store_load(struct target_reservation_store *store,
		       struct target_reservation_request *request)
{
	request_start(container_of(store, struct reservation_file, store), request, false);
}

static void store_store(struct target_reservation_store *store,
			struct target_reservation_request *request)
{
	struct reservation_file *file = container_of(store, struct reservation_file, store);

	file->file.content_bytes =
		reservation_encode(&request->state, file->file.content, SLOT_CONTENT_BYTES_MAX);
	if (file->file.content_bytes == 0) {
		request->result = -ENOSPC;
		op_done(request->parent);
		return;
	}
	request_start(file, request, true);
}

int reservation_file_create(struct reactor *home, const char *path, struct log *log,
			    struct reservation_file **ret_file)
{
	struct reservation_file *file = memory_alloc(sizeof(*file));

	ASSERT(home != NULL && path != NULL);
	if (file == NULL)
		return -ENOMEM;
	file->store.load = store_load;
	file->store.store = store_store;
	file->home = home;
	file->log = log;
	snprintf(file->path, sizeof(file->path), "%s", path);
	*ret_file = file;
	return 0;
}

void reservation_file_destroy(struct reservation_file *file)
{
	ASSERT(file == NULL || file->request == NULL);
	memory_free(file);
}

struct target_reservation_store *reservation_file_store(struct reservation_file *file)
{
	return &file->store;
}
