/* SPDX-License-Identifier: Apache-2.0 */
/* dev_directory.h - the one directory that holds a cluster: state, lock, devices, logs.
 *
 *	state.json                what is meant to exist (cli/dev_state.h)
 *	lock                      held by the command that changes something
 *	node-1/process            identity of the engine (cli/process.h)
 *	node-1/io-engine.log
 *	node-1/disk-0.img         the device
 *	node-1/state/             the engine's own records
 *	attach/process, attach.log, mnt/
 */
#ifndef CLI_DEV_DIRECTORY_H
#define CLI_DEV_DIRECTORY_H

#include "cli/dev_options.h"

#define DEV_PATH_BYTES 384

struct dev_directory {
	char path[DEV_DIRECTORY_BYTES]; /* absolute, without links */
	int lock_fd;			/* -1: not locked */
};

/* Files of a node. */
#define DEV_FILE_PROCESS  "process"
#define DEV_FILE_LOG	  "io-engine.log"
#define DEV_FILE_DEVICE	  "disk-0.img"
#define DEV_FILE_STATE	  "state"
/* The folder of the attachment and its files. */
#define DEV_FOLDER_ATTACH "attach"
#define DEV_FILE_ATTACHER "attach.log"
#define DEV_FILE_MOUNT	  "mnt"

/**
 * dev_directory_open - find, and if asked for create, the directory
 * @path: "" for MAYASTOR_DEV_DIR, XDG_STATE_HOME/mayastor-dev or ~/.local/state/mayastor-dev.
 * Return: CLI_NOT_RUNNING when it does not exist and is not to be created.
 */
enum cli_exit dev_directory_open(const char *path, bool is_created,
				 struct dev_directory *ret_directory, struct cli_error *error)
	__attribute__((warn_unused_result));

/** Keeps other commands out until dev_directory_unlock(). Waits for a while. */
enum cli_exit dev_directory_lock(struct dev_directory *directory, struct cli_error *error)
	__attribute__((warn_unused_result));
void dev_directory_unlock(struct dev_directory *directory);

/** Return: CLI_NOT_RUNNING when there is no state file, CLI_FAILED when it cannot be used. */
enum cli_exit dev_directory_load(const struct dev_directory *directory, struct dev_state *ret_state,
				 struct cli_error *error) __attribute__((warn_unused_result));

/** Replaces the state file; after this it survives a crash. */
enum cli_exit dev_directory_save(const struct dev_directory *directory,
				 const struct dev_state *state, struct cli_error *error)
	__attribute__((warn_unused_result));

/** "<directory>/<folder>/<file>"; @file NULL: the folder. */
void dev_directory_path(const struct dev_directory *directory, const char *folder, const char *file,
			char ret_path[DEV_PATH_BYTES]);

/** Makes the folder of a node or of the attachment. */
enum cli_exit dev_directory_folder(const struct dev_directory *directory, const char *folder,
				   struct cli_error *error) __attribute__((warn_unused_result));

/** Makes the device of a node as long as it is to be (sparse); never shorter. */
enum cli_exit dev_directory_device(const struct dev_directory *directory, const char *node,
				   uint64_t size_bytes, struct cli_error *error)
	__attribute__((warn_unused_result));

/** Name of the @index-th node, from 0. */
void dev_directory_node_name(uint32_t index, char ret_name[DEV_NAME_BYTES]);

/** Removes all that a cluster made; files that are not its own stay, with the directory. */
enum cli_exit dev_directory_purge(struct dev_directory *directory, struct cli_error *error)
	__attribute__((warn_unused_result));

#endif
