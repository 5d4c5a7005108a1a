/* SPDX-License-Identifier: Apache-2.0 */
/* record_store.h - records of nexuses in a directory: one slot file a key, JSON inside.
 *
 * The JSON has the shape that OpenEBS keeps in its store, with fields added:
 *	{"key": "...", "epoch": 1, "sequence": 4, "clean_shutdown": false,
 *	 "children": [{"uuid": "...", "healthy": true}, ...]}
 */
#ifndef ENGINE_RECORD_STORE_H
#define ENGINE_RECORD_STORE_H

#include "base/log.h"
#include "nexus/nexus_recorder.h"
#include "reactor/reactor.h"

#include <stddef.h>

struct record_store;

/**
 * record_store_create - in @directory, which is made when it is missing
 * Context: main reactor, as all calls of the recorder.
 * Return: 0 or -errno.
 */
int record_store_create(struct reactor *main, const char *directory, struct log *log,
			struct record_store **ret_store) __attribute__((warn_unused_result));
/** Nothing is in flight. NULL is allowed. */
void record_store_destroy(struct record_store *store);
struct nexus_recorder *record_store_recorder(struct record_store *store);

/** Text of @record under @key. Return: its length, 0 when it does not fit. */
size_t record_encode(const char *key, const struct nexus_record *record, char *ret_text,
		     size_t size);
/** Checks everything; @text may be anything. Return: 0, or -EINVAL. */
int record_decode(const char *text, size_t size, const char *key, struct nexus_record *ret_record)
	__attribute__((warn_unused_result));

#endif
