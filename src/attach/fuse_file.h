/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_file.h - a file system of one file, which is a volume. */
#ifndef ATTACH_FUSE_FILE_H
#define ATTACH_FUSE_FILE_H

#include "attach/volume.h"

#define FUSE_FILE_NAME "volume"

struct fuse_file_options {
	const char *mount;
	const char *source; /* shown in the table of mounts */
	struct volume *volume;
	struct log *log;
};

/**
 * fuse_file_serve - mount, serve until unmounted or told to end by a signal, unmount
 * @ready: called once the file is there.
 * Return: 0 after an orderly end; -EBUSY when requests were still out: the volume cannot be closed
 * then, and the process should end; another negative errno when it could not be mounted.
 */
int fuse_file_serve(const struct fuse_file_options *options, void (*ready)(void *argument),
		    void *argument) __attribute__((warn_unused_result));

#endif
