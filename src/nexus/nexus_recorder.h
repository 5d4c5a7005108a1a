/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_recorder.h - where a nexus makes its membership durable: who holds all the data.
 *
 * nexus/ declares this, engine/ implements it over its store. A record is written whole; a later
 * one (higher sequence, or higher epoch) replaces it. A nexus has at most one record in flight,
 * and calls on its main reactor only.
 */
#ifndef NEXUS_NEXUS_RECORDER_H
#define NEXUS_NEXUS_RECORDER_H

#include "base/limits.h"
#include "base/op.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct reactor;

struct nexus_record_child {
	struct uuid uuid; /* the uuid parameter of its URI, else its bdev's uuid */
	bool is_healthy;  /* holds every acknowledged write */
	/* Of a healthy one: bdev->cache_id of the device that holds them. Nil: unknown. */
	struct uuid cache_id;
};

/*
 * Valid when child_count <= NEXUS_CHILDREN_MAX and the uuids differ. At least one child of a
 * record that a nexus writes is healthy.
 */
struct nexus_record {
	uint64_t epoch;	      /* of the activation that wrote it; given in nexus_options */
	uint64_t sequence;    /* grows with every record of one epoch, from 1 */
	uint64_t block_count; /* that hosts can use; 0: unknown, by an older engine */
	uint32_t block_bytes; /* of the volume; 0 when block_count is */
	bool is_clean_shutdown;
	uint32_t child_count;
	struct nexus_record_child children[NEXUS_CHILDREN_MAX];
};

enum nexus_record_result {
	NEXUS_RECORD_OK,
	NEXUS_RECORD_NONE,   /* load: there is none under this key */
	NEXUS_RECORD_FAILED, /* not known to be stored; the nexus tries again */
	NEXUS_RECORD_FENCED, /* a higher epoch is stored: somebody else owns the volume */
};

struct nexus_record_io {
	struct op *parent; /* gets one op_done() on the main reactor */
	char key[NAME_BYTES_MAX];
	struct nexus_record record; /* store: in; load: out when result is NEXUS_RECORD_OK */
	enum nexus_record_result result;
	/* private to the implementation */
	struct list_node link;
	uint64_t private_words[8];
};

struct nexus_recorder;

struct nexus_recorder_ops {
	/**
	 * Stores io->record under io->key. NEXUS_RECORD_OK only when it survives the loss of
	 * power. Never calls back; may answer before it returns. Must answer in bounded time.
	 */
	void (*store)(struct nexus_recorder *recorder, struct nexus_record_io *io);
	void (*load)(struct nexus_recorder *recorder, struct nexus_record_io *io);
};

/* Embedded in the implementation. */
struct nexus_recorder {
	const struct nexus_recorder_ops *ops;
};

/* A recorder that remembers in memory only, for tests and the simulator; behaves as told. */
#define NEXUS_RECORDER_MEMORY_KEYS 64

struct nexus_recorder_memory {
	struct nexus_recorder recorder;
	/* Behaviour, changed at any time. */
	bool is_held;			 /* queue stores until nexus_recorder_memory_release() */
	enum nexus_record_result answer; /* other than NEXUS_RECORD_OK: what stores answer */
	bool is_stored_in_spite;	 /* answer failure, but keep the record: a lost answer */
	/* What happened. */
	uint64_t store_count;
	uint32_t key_count;
	char keys[NEXUS_RECORDER_MEMORY_KEYS][NAME_BYTES_MAX];
	struct nexus_record records[NEXUS_RECORDER_MEMORY_KEYS];
	struct list_node held;
};

void nexus_recorder_memory_init(struct nexus_recorder_memory *memory);
/** Ends is_held and answers what was queued. Context: main reactor. */
void nexus_recorder_memory_release(struct nexus_recorder_memory *memory);
/** The durable record under @key, NULL when there is none. */
const struct nexus_record *nexus_recorder_memory_find(const struct nexus_recorder_memory *memory,
						      const char *key);

/** What @record says of the child @uuid, NULL when it is not in it. */
const struct nexus_record_child *nexus_record_find(const struct nexus_record *record,
						   const struct uuid *uuid);
/** Is the child @uuid recorded as healthy? False when it is not in @record. */
bool nexus_record_is_healthy(const struct nexus_record *record, const struct uuid *uuid);

#endif
