/* SPDX-License-Identifier: Apache-2.0 */
/* dev_directory.c - the files of a cluster.
 *
 * 1. The state file is replaced whole: written aside, synced, renamed, directory synced.
 * 2. Root leaves the files to the owner of the directory, so that a later command of that user
 *    works.
 * 3. Only names that a cluster makes are removed, never across a mount.
 */
#include "cli/dev_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATE_BYTES_MAX	     (1 << 20)
#define DIRECTORY_LENGTH_MAX 150 /* the name of a device goes into an NQN of 223 characters */
#define LOCK_WAIT_MS	     60000
#define LOCK_STEP_MS	     50

static enum cli_exit default_path(char ret_path[DEV_DIRECTORY_BYTES], struct cli_error *error)
{
	const char *own = getenv("MAYASTOR_DEV_DIR");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int length;

	if (own != NULL && own[0] != '\0')
		length = snprintf(ret_path, DEV_DIRECTORY_BYTES, "%s", own);
	else if (state != NULL && state[0] == '/')
		length = snprintf(ret_path, DEV_DIRECTORY_BYTES, "%s/mayastor-dev", state);
	else if (home != NULL && home[0] == '/')
		length = snprintf(ret_path, DEV_DIRECTORY_BYTES, "%s/.local/state/mayastor-dev",
				  home);
	else
		return cli_fail(error, CLI_FAILED,
				"no directory for the cluster: HOME is not set; give --dir DIR");
	if (length >= DEV_DIRECTORY_BYTES)
		return cli_fail(error, CLI_FAILED,
				"the directory for the cluster has a longer path than %d "
				"characters: give a shorter one with --dir",
				DIRECTORY_LENGTH_MAX);
	return CLI_OK;
}

/* Creates @path and its parents. Return: 0 or -errno. */
static int directories_create(const char *path)
{
	char part[DEV_PATH_BYTES];

	for (const char *at = path + 1;; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			return -errno;
		if (*at == '\0')
			return 0;
	}
}

/* The path of a device is part of URIs and of NVMe names: both take only plain characters. */
static enum cli_exit path_check(const char *path, struct cli_error *error)
{
	const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";

	if (strlen(path) > DIRECTORY_LENGTH_MAX)
		return cli_fail(error, CLI_FAILED,
				"%.60s... has more than %d characters, which NVMe names do not "
				"take: give a shorter path with --dir",
				path, DIRECTORY_LENGTH_MAX);
	if (strspn(path, plain) != strlen(path))
		return cli_fail(
			error, CLI_FAILED,
			"%s has characters other than letters, digits and /._- in its path: "
			"give another one with --dir",
			path);
	return CLI_OK;
}

enum cli_exit dev_directory_open(const char *path, bool is_created,
				 struct dev_directory *ret_directory, struct cli_error *error)
{
	char chosen[DEV_DIRECTORY_BYTES];
	char *real;
	enum cli_exit rc = CLI_OK;

	if (path[0] == '\0')
		rc = default_path(chosen, error);
	else
		snprintf(chosen, sizeof(chosen), "%s", path);
	if (rc != CLI_OK)
		return rc;
	if (is_created && directories_create(chosen) != 0)
		return cli_fail(error, CLI_FAILED,
				"%s cannot be created: %s; give another directory with --dir",
				chosen, strerror(errno));
	real = realpath(chosen, NULL);
	if (real == NULL && errno == ENOENT)
		return cli_fail(error, CLI_NOT_RUNNING,
				"no cluster in %s: start one with `mayastor dev up`, or name its "
				"directory with --dir",
				chosen);
	if (real == NULL)
		return cli_fail(error, CLI_FAILED, "%s cannot be used: %s", chosen,
				strerror(errno));
	rc = path_check(real, error);
	if (rc == CLI_OK && access(real, R_OK | X_OK) != 0)
		rc = cli_fail(error, CLI_FAILED,
			      "%s cannot be read: %s; run this as its owner or give another "
			      "directory with --dir",
			      real, strerror(errno));
	if (rc == CLI_OK) {
		snprintf(ret_directory->path, sizeof(ret_directory->path), "%s", real);
		ret_directory->lock_fd = -1;
	}
	free(real);
	return rc;
}

void dev_directory_path(const struct dev_directory *directory, const char *folder, const char *file,
			char ret_path[DEV_PATH_BYTES])
{
	snprintf(ret_path, DEV_PATH_BYTES, "%s/%s%s%s", directory->path, folder,
		 file != NULL ? "/" : "", file != NULL ? file : "");
}

/* What root makes belongs to whom the directory belongs. */
static void owner_adopt(const struct dev_directory *directory, int fd)
{
	struct stat info;

	if (geteuid() != 0 || stat(directory->path, &info) != 0 || info.st_uid == 0)
		return;
	if (fchown(fd, info.st_uid, info.st_gid) != 0)
		return; /* the user can still run the next command as root */
}

/* One try. Return: 0; -EWOULDBLOCK while somebody else has it; another negative errno. */
static int lock_try(struct dev_directory *directory, const char *path)
{
	struct stat opened, present;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		rc = errno == EINTR ? -EWOULDBLOCK : -errno;
	/* A purge may have removed the file between the two calls: then this locks nothing. */
	else if (fstat(fd, &opened) != 0 || stat(path, &present) != 0 ||
		 opened.st_ino != present.st_ino)
		rc = -EWOULDBLOCK;
	if (rc != 0) {
		close(fd);
		return rc;
	}
	owner_adopt(directory, fd);
	directory->lock_fd = fd;
	return 0;
}

enum cli_exit dev_directory_lock(struct dev_directory *directory, struct cli_error *error)
{
	struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000};
	char path[DEV_PATH_BYTES];
	int rc;

	dev_directory_path(directory, "lock", NULL, path);
	for (int waited = 0; (rc = lock_try(directory, path)) == -EWOULDBLOCK;
	     waited += LOCK_STEP_MS) {
		if (waited >= LOCK_WAIT_MS)
			return cli_fail(error, CLI_FAILED,
					"another mayastor dev command works on %s for more than %d "
					"s: wait for it or end it",
					directory->path, LOCK_WAIT_MS / 1000);
		nanosleep(&step, NULL);
	}
	if (rc != 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be locked: %s", path, strerror(-rc));
	return CLI_OK;
}

void dev_directory_unlock(struct dev_directory *directory)
{
	if (directory->lock_fd >= 0)
		close(directory->lock_fd);
	directory->lock_fd = -1;
}

enum cli_exit dev_directory_load(const struct dev_directory *directory, struct dev_state *ret_state,
				 struct cli_error *error)
{
	struct cli_error why;
	char path[DEV_PATH_BYTES];
	enum cli_exit rc = CLI_OK;
	ssize_t length;
	char *text;
	int fd;

	dev_directory_path(directory, "state.json", NULL, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return cli_fail(error, CLI_NOT_RUNNING,
				"no cluster in %s: start one with `mayastor dev up`, or name its "
				"directory with --dir",
				directory->path);
	if (fd < 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be read: %s", path, strerror(errno));
	text = malloc(STATE_BYTES_MAX);
	length = text != NULL ? read(fd, text, STATE_BYTES_MAX) : -1;
	if (length < 0)
		rc = cli_fail(error, CLI_FAILED, "%s cannot be read: %s", path, strerror(errno));
	else if (dev_state_decode(text, (size_t)length, ret_state, &why) != CLI_OK)
		rc = cli_fail(error, CLI_FAILED,
			      "%s is damaged (%.400s): `mayastor dev down` still stops what runs, "
			      "with --purge it also removes the data",
			      path, why.text);
	close(fd);
	free(text);
	return rc;
}

/* Return: 0 or -errno. */
static int file_replace(const struct dev_directory *directory, const char *path, const char *text)
{
	char aside[DEV_PATH_BYTES];
	size_t length = strlen(text);
	bool is_written;
	int fd, folder;

	dev_directory_path(directory, "state.json.new", NULL, aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	owner_adopt(directory, fd);
	is_written = write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;
	if (close(fd) != 0 || !is_written)
		return errno != 0 ? -errno : -EIO;
	if (rename(aside, path) != 0)
		return -errno;
	folder = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	is_written = fsync(folder) == 0;
	close(folder);
	return is_written ? 0 : -EIO;
}

enum cli_exit dev_directory_save(const struct dev_directory *directory,
				 const struct dev_state *state, struct cli_error *error)
{
	char *text = dev_state_encode(state);
	char path[DEV_PATH_BYTES];
	int rc;

	dev_directory_path(directory, "state.json", NULL, path);
	rc = text != NULL ? file_replace(directory, path, text) : -ENOMEM;
	free(text);
	if (rc != 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be written: %s", path, strerror(-rc));
	return CLI_OK;
}

enum cli_exit dev_directory_folder(const struct dev_directory *directory, const char *folder,
				   struct cli_error *error)
{
	char path[DEV_PATH_BYTES];
	int fd;

	dev_directory_path(directory, folder, NULL, path);
	if (mkdir(path, 0700) != 0) {
		if (errno == EEXIST)
			return CLI_OK;
		return cli_fail(error, CLI_FAILED, "%s cannot be created: %s", path,
				strerror(errno));
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		owner_adopt(directory, fd);
		close(fd);
	}
	return CLI_OK;
}

enum cli_exit dev_directory_device(const struct dev_directory *directory, const char *node,
				   uint64_t size_bytes, struct cli_error *error)
{
	char path[DEV_PATH_BYTES];
	enum cli_exit rc = CLI_OK;
	struct stat info;
	int fd;

	dev_directory_path(directory, node, DEV_FILE_DEVICE, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be opened: %s", path,
				strerror(errno));
	owner_adopt(directory, fd);
	if (fstat(fd, &info) != 0 ||
	    ((uint64_t)info.st_size < size_bytes && ftruncate(fd, (off_t)size_bytes) != 0))
		rc = cli_fail(error, CLI_FAILED, "%s cannot be made %llu bytes long: %s", path,
			      (unsigned long long)size_bytes, strerror(errno));
	close(fd);
	return rc;
}

void dev_directory_node_name(uint32_t index, char ret_name[DEV_NAME_BYTES])
{
	snprintf(ret_name, DEV_NAME_BYTES, "node-%u", index + 1);
}

/* Removes a folder with all that is in it. Return: 0 or -errno. */
static int tree_remove(const char *path)
{
	char copy[DEV_PATH_BYTES];
	char *const roots[] = {copy, NULL};
	FTSENT *entry;
	int rc = 0;
	FTS *walk;

	snprintf(copy, sizeof(copy), "%s", path);
	if (access(copy, F_OK) != 0 && errno == ENOENT)
		return 0;
	walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (walk == NULL)
		return -errno;
	while ((entry = fts_read(walk)) != NULL) {
		if (entry->fts_info == FTS_D)
			continue;
		if (remove(entry->fts_accpath) != 0)
			rc = -errno;
	}
	fts_close(walk);
	return rc;
}

enum cli_exit dev_directory_purge(struct dev_directory *directory, struct cli_error *error)
{
	static const char *const names[] = {DEV_FOLDER_ATTACH, "state.json.new", "state.json",
					    "lock"};
	char path[DEV_PATH_BYTES];
	int rc = 0;

	for (uint32_t i = 0; i < DEV_NODES_MAX && rc == 0; i++) {
		char name[DEV_NAME_BYTES];

		dev_directory_node_name(i, name);
		dev_directory_path(directory, name, NULL, path);
		rc = tree_remove(path);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++) {
		dev_directory_path(directory, names[i], NULL, path);
		rc = tree_remove(path);
	}
	if (rc != 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be removed: %s", path, strerror(-rc));
	/* It stays if somebody put something else into it, or if it is somebody's current one. */
	if (rmdir(directory->path) != 0 && errno != ENOTEMPTY && errno != EEXIST &&
	    errno != EBUSY && errno != EACCES)
		return cli_fail(error, CLI_FAILED, "%s cannot be removed: %s", directory->path,
				strerror(errno));
	return CLI_OK;
}
