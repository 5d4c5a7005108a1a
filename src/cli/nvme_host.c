/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_host.c - talks to the kernel's NVMe over Fabrics host.
 *
 * A line of options written to /dev/nvme-fabrics makes a controller; the class directories tell
 * which block device belongs to which subsystem, with and without native multipath; a byte
 * written to delete_controller ends it. Host identity is left to the kernel's own default.
 */
#include "cli/nvme_host.h"

#include "base/uri.h"
#include "cli/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FABRICS_PATH	  "/dev/nvme-fabrics"
#define PATH_BYTES	  512
#define DEVICE_WAIT_MS	  10000
#define DEVICE_STEP_MS	  20
#define NQN_BYTES	  256
/* A lost engine is waited for this long before I/O fails. */
#define LOSS_SECONDS	  600
#define RECONNECT_SECONDS 1

bool nvme_host_is_available(void)
{
	const char *const argv[] = {"/sbin/modprobe", "-q", "nvme-tcp", NULL};

	if (access(FABRICS_PATH, F_OK) == 0 && access("/sys/module/nvme_tcp", F_OK) == 0)
		return true;
	if (access(argv[0], X_OK) != 0 || process_run(argv) != 0)
		return false;
	return access(FABRICS_PATH, F_OK) == 0;
}

static bool attribute_is(const char *folder, const char *name, const char *wanted)
{
	char path[PATH_BYTES];
	char text[NQN_BYTES] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/subsysnqn", folder, name);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, wanted) == 0;
}

bool nvme_host_find(const char *nqn, char ret_device[DEV_DEVICE_BYTES])
{
	DIR *blocks = opendir("/sys/block");
	bool is_found = false;
	struct dirent *entry;

	if (blocks == NULL)
		return false;
	while (!is_found && (entry = readdir(blocks)) != NULL) {
		unsigned int subsystem, namespace;
		char name[64];
		int end = 0;

		/* nvme0c0n1 is a path, nvme0n1 what to use. */
		if (sscanf(entry->d_name, "nvme%un%u%n", &subsystem, &namespace, &end) != 2 ||
		    entry->d_name[end] != '\0')
			continue;
		snprintf(name, sizeof(name), "%.32s/device", entry->d_name);
		is_found = attribute_is("/sys/block", name, nqn);
		if (is_found)
			snprintf(ret_device, DEV_DEVICE_BYTES, "/dev/%.32s", entry->d_name);
	}
	closedir(blocks);
	return is_found;
}

static enum cli_exit controller_create(const char *options, const char *nqn,
				       struct cli_error *error)
{
	int fd = open(FABRICS_PATH, O_RDWR | O_CLOEXEC);
	enum cli_exit rc = CLI_OK;

	if (fd < 0)
		return cli_fail(error, CLI_FAILED,
				FABRICS_PATH ": %s; run this as root, or use --via fuse",
				strerror(errno));
	if (write(fd, options, strlen(options)) < 0)
		rc = cli_fail(error, CLI_FAILED,
			      "the kernel cannot connect to %s: %s; its log (dmesg) tells more, or "
			      "use --via fuse",
			      nqn, strerror(errno));
	close(fd);
	return rc;
}

enum cli_exit nvme_host_connect(const char *uri, char ret_device[DEV_DEVICE_BYTES],
				struct cli_error *error)
{
	struct timespec step = {.tv_nsec = DEVICE_STEP_MS * 1000000};
	char options[PATH_BYTES];
	struct uri parsed;
	const char *nqn;
	enum cli_exit rc;

	if (uri_parse(uri, &parsed, NULL, 0) != 0 || parsed.path[0] != '/' || parsed.port == 0)
		return cli_fail(error, CLI_FAILED, "%s is no address to connect to", uri);
	nqn = parsed.path + 1;
	snprintf(options, sizeof(options),
		 "transport=tcp,traddr=%s,trsvcid=%u,nqn=%s,ctrl_loss_tmo=%d,reconnect_delay=%d",
		 parsed.host, parsed.port, nqn, LOSS_SECONDS, RECONNECT_SECONDS);
	rc = controller_create(options, nqn, error);
	if (rc != CLI_OK)
		return rc;
	for (int waited = 0; waited < DEVICE_WAIT_MS; waited += DEVICE_STEP_MS) {
		if (nvme_host_find(nqn, ret_device) && access(ret_device, F_OK) == 0)
			return CLI_OK;
		nanosleep(&step, NULL);
	}
	return cli_fail(
		error, CLI_FAILED,
		"the kernel connected to %s but shows no block device after %d s: see dmesg", nqn,
		DEVICE_WAIT_MS / 1000);
}

enum cli_exit nvme_host_disconnect(const char *nqn, uint32_t *ret_count, struct cli_error *error)
{
	DIR *controllers = opendir("/sys/class/nvme");
	enum cli_exit rc = CLI_OK;
	struct dirent *entry;

	*ret_count = 0;
	if (controllers == NULL)
		return CLI_OK;
	while (rc == CLI_OK && (entry = readdir(controllers)) != NULL) {
		char path[PATH_BYTES];
		int fd;

		if (!attribute_is("/sys/class/nvme", entry->d_name, nqn))
			continue;
		snprintf(path, sizeof(path), "/sys/class/nvme/%.64s/delete_controller",
			 entry->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1", 1) != 1)
			rc = cli_fail(error, CLI_FAILED, "%s: %s; run this as root", path,
				      strerror(errno));
		if (fd >= 0)
			close(fd);
		(*ret_count)++;
	}
	closedir(controllers);
	return rc;
}
