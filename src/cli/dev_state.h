/* SPDX-License-Identifier: Apache-2.0 */
/* dev_state.h - what a cluster on one machine consists of, and its JSON form.
 *
 * The state tells what is meant to exist: it is written before a thing is started, so whatever
 * exists after a crash is named in it. What runs is not remembered here but looked up
 * (cli/process.h). Pure functions; text from a file is checked, never trusted.
 */
#ifndef CLI_DEV_STATE_H
#define CLI_DEV_STATE_H

#include "base/uuid.h"
#include "cli/cli_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEV_NODES_MAX	   16
#define DEV_NAME_BYTES	   64
#define DEV_URI_BYTES	   1024
#define DEV_CORES_MAX	   64
#define DEV_DEVICE_BYTES   64 /* "/dev/loop0" */
#define DEV_VOLUME_MIN	   (8ull << 20)
#define DEV_VOLUME_MAX	   (16ull << 40)
#define DEV_VOLUME_QUANTUM 4096

/*
 * A copy is larger than the volume: user data begins 5 MiB into it and ends before the place of
 * a backup partition table (33 blocks). One MiB more keeps the file's size round.
 */
#define DEV_COPY_HEAD_BYTES	(5ull << 20)
#define DEV_COPY_OVERHEAD_BYTES (6ull << 20)

enum dev_via {
	DEV_VIA_NONE, /* not attached */
	DEV_VIA_KERNEL,
	DEV_VIA_FUSE,
};

struct dev_node {
	char name[DEV_NAME_BYTES]; /* "node-1" */
	uint16_t grpc_port;
	uint16_t target_port;
	uint32_t core;
	char device_uuid[UUID_TEXT_BYTES];
	char child_uri[DEV_URI_BYTES]; /* "" while its device was never exported */
};

struct dev_volume {
	char name[DEV_NAME_BYTES];
	char uuid[UUID_TEXT_BYTES];	  /* names it towards hosts */
	char nexus_uuid[UUID_TEXT_BYTES]; /* of its mirror; kept, so that it is the same again */
	uint64_t size_bytes;		  /* what the user gets */
	uint32_t replica_count;		  /* on the first nodes */
	bool is_created;		  /* a mirror was once made of the copies */
};

struct dev_attachment {
	enum dev_via via;
	char device[DEV_DEVICE_BYTES]; /* "" while it is being attached */
};

struct dev_state {
	uint64_t device_bytes; /* of each file that backs a copy */
	uint32_t node_count;
	struct dev_node nodes[DEV_NODES_MAX];
	struct dev_volume volume;
	struct dev_attachment attachment;
};

/** NULL when there is none of that name. */
struct dev_node *dev_node_find(struct dev_state *state, const char *name);

/** "none", "kernel", "fuse". */
const char *dev_via_text(enum dev_via via);
/** Return: false and *ret_via untouched if @text is none of them. */
bool dev_via_parse(const char *text, enum dev_via *ret_via);

/** Return: true for 1..63 of a-z, 0-9 and '-', beginning with a letter or digit. */
bool dev_name_is_valid(const char *name);

/** The text of a state file. Return: NULL without memory; free() it. */
char *dev_state_encode(const struct dev_state *state);

/**
 * dev_state_decode - read and check the text of a state file
 * Return: CLI_OK, or CLI_FAILED with what is wrong; *ret_state is written on success only.
 */
enum cli_exit dev_state_decode(const char *text, size_t size_bytes, struct dev_state *ret_state,
			       struct cli_error *error) __attribute__((warn_unused_result));

#endif
