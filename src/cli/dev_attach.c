/* SPDX-License-Identifier: Apache-2.0 */
/* dev_attach.c - the volume as a block device of this machine, and not any more.
 *
 * Through the kernel's NVMe/TCP host, or: mayastor-attach serves the volume as the file
 * attach/mnt/volume, a loop device is put on it. Detaching looks for what is there instead of
 * believing the state, so it also clears up after a crash.
 */
#include "cli/dev_cluster.h"
#include "cli/loop_device.h"
#include "cli/mounts.h"
#include "cli/nvme_host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOUNT_WAIT_MS	30000
#define MOUNT_STEP_MS	20
#define STOP_TIMEOUT_MS 10000
#define NQN_PREFIX	"nqn.2019-05.io.openebs:"
#define NQN_BYTES	128

static void attach_path(const struct dev_cluster *cluster, const char *file,
			char ret_path[DEV_PATH_BYTES])
{
	dev_directory_path(&cluster->directory, DEV_FOLDER_ATTACH, file, ret_path);
}

static void volume_nqn(const struct dev_cluster *cluster, char ret_nqn[NQN_BYTES])
{
	snprintf(ret_nqn, NQN_BYTES, NQN_PREFIX "%s", cluster->state.volume.uuid);
}

static enum cli_exit attachment_save(struct dev_cluster *cluster, enum dev_via via,
				     const char *device, struct cli_error *error)
{
	cluster->state.attachment.via = via;
	snprintf(cluster->state.attachment.device, DEV_DEVICE_BYTES, "%s", device);
	return dev_directory_save(&cluster->directory, &cluster->state, error);
}

bool dev_attach_is_whole(const struct dev_cluster *cluster)
{
	const struct dev_attachment *attachment = &cluster->state.attachment;
	char record[DEV_PATH_BYTES], file[DEV_PATH_BYTES];
	char found[DEV_DEVICE_BYTES] = "";
	struct process process;
	char nqn[NQN_BYTES];

	switch (attachment->via) {
	case DEV_VIA_NONE:
		return false;
	case DEV_VIA_KERNEL:
		volume_nqn(cluster, nqn);
		return nvme_host_find(nqn, found) && strcmp(found, attachment->device) == 0;
	case DEV_VIA_FUSE:
		attach_path(cluster, DEV_FILE_PROCESS, record);
		attach_path(cluster, DEV_FILE_MOUNT "/volume", file);
		return process_find(record, &process) && loop_device_find(file, found) &&
		       strcmp(found, attachment->device) == 0;
	}
	return false;
}

static enum cli_exit server_spawn(struct dev_cluster *cluster, const char *uri,
				  struct cli_error *error)
{
	char program[DEV_PATH_BYTES], mount[DEV_PATH_BYTES];
	char log[DEV_PATH_BYTES], record[DEV_PATH_BYTES];
	struct process_start start = {.log_path = log, .record_path = record};
	struct process process;
	enum cli_exit rc;

	rc = dev_program_find("mayastor-attach", "MAYASTOR_ATTACH", program, error);
	if (rc != CLI_OK)
		return rc;
	attach_path(cluster, DEV_FILE_MOUNT, mount);
	attach_path(cluster, DEV_FILE_ATTACHER, log);
	attach_path(cluster, DEV_FILE_PROCESS, record);
	start.argv = (const char *const[]){program,   "--foreground", "--uri", uri,
					   "--mount", mount,	      NULL};
	return process_start(&start, &process, error);
}

static enum cli_exit server_await(struct dev_cluster *cluster, struct cli_error *error)
{
	struct timespec step = {.tv_nsec = MOUNT_STEP_MS * 1000000};
	char file[DEV_PATH_BYTES], record[DEV_PATH_BYTES], log[DEV_PATH_BYTES];
	char mount[DEV_PATH_BYTES];
	struct process process;
	struct stat info;

	attach_path(cluster, DEV_FILE_MOUNT, mount);
	attach_path(cluster, DEV_FILE_MOUNT "/volume", file);
	attach_path(cluster, DEV_FILE_PROCESS, record);
	attach_path(cluster, DEV_FILE_ATTACHER, log);
	for (int waited = 0; waited < MOUNT_WAIT_MS; waited += MOUNT_STEP_MS) {
		if (mount_is_point(mount) && stat(file, &info) == 0 && S_ISREG(info.st_mode))
			return CLI_OK;
		if (!process_find(record, &process))
			return cli_fail(error, CLI_FAILED, "mayastor-attach ended: see %s", log);
		nanosleep(&step, NULL);
	}
	return cli_fail(error, CLI_FAILED, "mayastor-attach shows no volume after %d s: see %s",
			MOUNT_WAIT_MS / 1000, log);
}

static enum cli_exit attach_fuse(struct dev_cluster *cluster, const char *uri,
				 char ret_device[DEV_DEVICE_BYTES], struct cli_error *error)
{
	char file[DEV_PATH_BYTES];
	enum cli_exit rc;

	if (access("/dev/fuse", F_OK) != 0)
		return cli_fail(
			error, CLI_FAILED,
			"no FUSE: /dev/fuse: %s; load it with `modprobe fuse`, or allow the "
			"device in this container",
			strerror(errno));
	rc = dev_directory_folder(&cluster->directory, DEV_FOLDER_ATTACH, error);
	if (rc == CLI_OK)
		rc = dev_directory_folder(&cluster->directory, DEV_FOLDER_ATTACH "/" DEV_FILE_MOUNT,
					  error);
	if (rc == CLI_OK)
		rc = server_spawn(cluster, uri, error);
	if (rc == CLI_OK)
		rc = server_await(cluster, error);
	if (rc != CLI_OK)
		return rc;
	attach_path(cluster, DEV_FILE_MOUNT "/volume", file);
	return loop_device_attach(file, ret_device, error);
}

static enum cli_exit attach_anew(struct dev_cluster *cluster, char ret_device[DEV_DEVICE_BYTES],
				 struct cli_error *error)
{
	enum dev_via via = cluster->options->via;
	struct engine_nexus nexus;
	enum cli_exit rc;

	rc = dev_volume_find(cluster, &nexus, error);
	if (rc != CLI_OK)
		return rc;
	if (nexus.uri[0] == '\0')
		return cli_fail(error, CLI_FAILED,
				"volume %s is not published: give `mayastor dev up` again",
				cluster->state.volume.name);
	if (via == DEV_VIA_NONE)
		via = nvme_host_is_available() ? DEV_VIA_KERNEL : DEV_VIA_FUSE;
	else if (via == DEV_VIA_KERNEL && !nvme_host_is_available())
		return cli_fail(
			error, CLI_FAILED,
			"this kernel has no NVMe/TCP host: the module nvme-tcp is not there; "
			"install it (linux-modules-extra or the like) or use --via fuse");
	rc = attachment_save(cluster, via, "", error);
	if (rc != CLI_OK)
		return rc;
	if (via == DEV_VIA_KERNEL)
		rc = nvme_host_connect(nexus.uri, ret_device, error);
	else
		rc = attach_fuse(cluster, nexus.uri, ret_device, error);
	if (rc != CLI_OK) {
		struct dev_detached detached;
		struct cli_error ignored;

		if (dev_detach(cluster, &detached, &ignored) != CLI_OK)
			return rc; /* the first reason is the one to tell */
		return rc;
	}
	return attachment_save(cluster, via, ret_device, error);
}

enum cli_exit dev_attach(struct dev_cluster *cluster, char ret_device[DEV_DEVICE_BYTES],
			 struct cli_error *error)
{
	struct dev_detached detached;
	enum cli_exit rc;

	if (geteuid() != 0)
		return cli_fail(
			error, CLI_FAILED,
			"attaching makes a block device, which needs root: run `sudo mayastor "
			"dev attach --dir %s`",
			cluster->directory.path);
	if (dev_attach_is_whole(cluster)) {
		snprintf(ret_device, DEV_DEVICE_BYTES, "%s", cluster->state.attachment.device);
		return CLI_OK;
	}
	rc = dev_detach(cluster, &detached, error); /* what is left of one that broke */
	if (rc != CLI_OK)
		return rc;
	return attach_anew(cluster, ret_device, error);
}

/* Something mounted from the device belongs to the user: it is not taken away unasked. */
static enum cli_exit mounts_release(struct dev_cluster *cluster, const char *device,
				    struct cli_error *error)
{
	char point[MOUNT_POINT_BYTES];

	while (mount_find_device(device, point)) {
		int rc;

		if (!cluster->options->is_forced)
			return cli_fail(error, CLI_FAILED,
					"%s is mounted at %s: unmount it (`umount %s`), or give "
					"--force and risk what is not yet written",
					device, point, point);
		rc = mount_remove(point, true);
		if (rc != 0)
			return cli_fail(error, CLI_FAILED, "%s cannot be unmounted: %s", point,
					strerror(-rc));
	}
	return CLI_OK;
}

static enum cli_exit detach_kernel(struct dev_cluster *cluster, bool *ret_was_attached,
				   struct cli_error *error)
{
	char device[DEV_DEVICE_BYTES];
	enum cli_exit rc = CLI_OK;
	char nqn[NQN_BYTES];
	uint32_t count;

	volume_nqn(cluster, nqn);
	if (nvme_host_find(nqn, device))
		rc = mounts_release(cluster, device, error);
	if (rc != CLI_OK)
		return rc;
	rc = nvme_host_disconnect(nqn, &count, error);
	*ret_was_attached = count > 0;
	return rc;
}

static enum cli_exit server_stop(struct dev_cluster *cluster, bool *ret_was_running,
				 struct cli_error *error)
{
	char mount[DEV_PATH_BYTES], record[DEV_PATH_BYTES];
	int rc = 0;

	attach_path(cluster, DEV_FILE_MOUNT, mount);
	attach_path(cluster, DEV_FILE_PROCESS, record);
	if (mount_is_point(mount)) {
		*ret_was_running = true;
		rc = mount_remove(mount, false);
		if (rc == -EBUSY && !cluster->options->is_forced)
			return cli_fail(error, CLI_FAILED,
					"%s is in use by a program: end it, or give --force",
					mount);
		if (rc != 0)
			rc = mount_remove(mount, true);
	}
	if (rc != 0)
		return cli_fail(error, CLI_FAILED, "%s cannot be unmounted: %s", mount,
				strerror(-rc));
	return process_stop(record, STOP_TIMEOUT_MS, NULL, error);
}

/*
 * The loop device of this attachment and the name of its file. A server that was ended by a signal
 * has unmounted itself; of the file's path only the last part is left then.
 */
static bool loop_find(const struct dev_cluster *cluster, char ret_file[DEV_PATH_BYTES],
		      char ret_device[DEV_DEVICE_BYTES])
{
	const char *recorded = cluster->state.attachment.device;

	attach_path(cluster, DEV_FILE_MOUNT "/volume", ret_file);
	if (loop_device_find(ret_file, ret_device))
		return true;
	snprintf(ret_file, DEV_PATH_BYTES, "/volume");
	snprintf(ret_device, DEV_DEVICE_BYTES, "%s", recorded);
	return loop_device_is_on(recorded, ret_file);
}

/*
 * When the engine that serves the volume is gone, everything cached would wait for it to come
 * back; without the server it fails at once.
 */
static enum cli_exit unserved_release(struct dev_cluster *cluster, struct cli_error *error)
{
	struct process process;
	char record[DEV_PATH_BYTES];

	attach_path(cluster, DEV_FILE_PROCESS, record);
	if (cluster->state.node_count > 0 &&
	    dev_node_is_running(cluster, dev_volume_host(cluster), NULL))
		return CLI_OK;
	if (!process_find(record, &process))
		return CLI_OK;
	return process_signal(&process, SIGKILL, STOP_TIMEOUT_MS, error);
}

static enum cli_exit detach_fuse(struct dev_cluster *cluster, struct dev_detached *detached,
				 struct cli_error *error)
{
	char device[DEV_DEVICE_BYTES];
	char file[DEV_PATH_BYTES];
	struct cli_error later;
	enum cli_exit rc;

	if (loop_find(cluster, file, device)) {
		detached->was_attached = true;
		rc = mounts_release(cluster, device, error);
		if (rc == CLI_OK)
			rc = unserved_release(cluster, error);
		if (rc == CLI_OK)
			rc = loop_device_detach(device, file, &detached->is_lossy, error);
		if (rc != CLI_OK && !cluster->options->is_forced)
			return rc;
	}
	rc = server_stop(cluster, &detached->was_attached, &later);
	if (rc != CLI_OK)
		*error = later;
	return rc;
}

enum cli_exit dev_detach(struct dev_cluster *cluster, struct dev_detached *ret_detached,
			 struct cli_error *error)
{
	enum cli_exit rc = CLI_OK;
	bool is_kernel = false;

	*ret_detached = (struct dev_detached){0};
	if (cluster->state.volume.uuid[0] != '\0')
		rc = detach_kernel(cluster, &is_kernel, error);
	if (rc == CLI_OK)
		rc = detach_fuse(cluster, ret_detached, error);
	ret_detached->was_attached = ret_detached->was_attached || is_kernel;
	if (rc == CLI_OK && cluster->state.attachment.via != DEV_VIA_NONE)
		rc = attachment_save(cluster, DEV_VIA_NONE, "", error);
	return rc;
}
