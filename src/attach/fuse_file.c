/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_file.c - answers the kernel's requests about one directory and one file.
 *
 * One thread reads requests and hands I/O to the volume; the volume's reactor answers it, so many
 * are in work at a time and none is waited for. Nothing is cached here or in the kernel: what
 * was answered is in the volume, and fsync is its flush.
 *
 * 1. Every request is answered exactly once.
 * 2. I/O is in whole blocks, as with a disk opened for direct I/O; else EINVAL.
 * 3. The session is destroyed only when no request is out.
 */
#define FUSE_USE_VERSION 35
#include "attach/fuse_file.h"

#include "base/assert.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INODE_ROOT	    FUSE_ROOT_ID
#define INODE_VOLUME	    2
#define ATTRIBUTE_SECONDS   1.0
#define ACQUIRE_STEP_MS	    200
#define DRAIN_MS	    5000
#define BACKGROUND_MAX	    VOLUME_REQUESTS_MAX
#define BACKGROUND_BUSY	    (VOLUME_REQUESTS_MAX * 3 / 4)
#define MOUNT_OPTIONS_BYTES 1400
#define SUPPORTED_MODES	    (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)

struct fuse_file {
	struct volume *volume;
	struct log *log;
	struct fuse_session *session;
	struct timespec started_at;
};

static struct fuse_file *file_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

/* --- what is there --------------------------------------------------------------------------- */

static bool attributes_fill(const struct fuse_file *file, fuse_ino_t inode, struct stat *ret_stat)
{
	memset(ret_stat, 0, sizeof(*ret_stat));
	ret_stat->st_ino = inode;
	ret_stat->st_uid = getuid();
	ret_stat->st_gid = getgid();
	ret_stat->st_atim = file->started_at;
	ret_stat->st_mtim = file->started_at;
	ret_stat->st_ctim = file->started_at;
	if (inode == INODE_ROOT) {
		ret_stat->st_mode = S_IFDIR | 0500;
		ret_stat->st_nlink = 2;
		return true;
	}
	ret_stat->st_mode = S_IFREG | 0600;
	ret_stat->st_nlink = 1;
	ret_stat->st_size = (off_t)volume_size_bytes(file->volume);
	ret_stat->st_blksize = IO_BYTES_MAX;
	ret_stat->st_blocks = ret_stat->st_size / 512;
	return inode == INODE_VOLUME;
}

static void do_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.ino = INODE_VOLUME,
					 .attr_timeout = ATTRIBUTE_SECONDS,
					 .entry_timeout = ATTRIBUTE_SECONDS};

	if (parent != INODE_ROOT || strcmp(name, FUSE_FILE_NAME) != 0) {
		fuse_reply_err(request, ENOENT);
		return;
	}
	attributes_fill(file_of(request), INODE_VOLUME, &entry.attr);
	fuse_reply_entry(request, &entry);
}

static void do_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
	struct stat attributes;

	(void)info;
	if (!attributes_fill(file_of(request), inode, &attributes))
		fuse_reply_err(request, ENOENT);
	else
		fuse_reply_attr(request, &attributes, ATTRIBUTE_SECONDS);
}

/* Times and owner may be "changed" without effect; a disk keeps its size. */
static void do_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int what,
		       struct fuse_file_info *info)
{
	uint64_t size = volume_size_bytes(file_of(request)->volume);

	if ((what & FUSE_SET_ATTR_SIZE) != 0 && (uint64_t)wanted->st_size != size)
		fuse_reply_err(request, EPERM);
	else
		do_getattr(request, inode, info);
}

static void do_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
		       struct fuse_file_info *info)
{
	static const char *const names[] = {".", "..", FUSE_FILE_NAME};
	char bytes[512];
	size_t used = 0;

	(void)info;
	if (inode != INODE_ROOT || offset < 0) {
		fuse_reply_err(request, ENOTDIR);
		return;
	}
	if (size > sizeof(bytes))
		size = sizeof(bytes);
	for (off_t i = offset; i < 3; i++) {
		struct stat attributes;
		size_t needed;

		attributes_fill(file_of(request), i < 2 ? INODE_ROOT : INODE_VOLUME, &attributes);
		needed = fuse_add_direntry(request, bytes + used, size - used, names[i],
					   &attributes, i + 1);
		if (needed > size - used)
			break;
		used += needed;
	}
	fuse_reply_buf(request, bytes, used);
}

static void do_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
	if (inode != INODE_VOLUME) {
		fuse_reply_err(request, EISDIR);
		return;
	}
	info->direct_io = 1;
	fuse_reply_open(request, info);
}

/* --- I/O ------------------------------------------------------------------------------------- */

/* A slot for I/O. NULL: the session ends, the request was answered. */
static struct volume_request *slot_acquire(fuse_req_t request)
{
	struct fuse_file *file = file_of(request);
	struct volume_request *slot;

	do {
		slot = volume_request_acquire(file->volume, ACQUIRE_STEP_MS);
	} while (slot == NULL && !fuse_session_exited(file->session));
	if (slot == NULL)
		fuse_reply_err(request, EIO);
	else
		slot->user = request;
	return slot;
}

static bool is_aligned(const struct volume *volume, uint64_t offset_bytes, uint64_t size_bytes)
{
	uint32_t block_bytes = volume_block_bytes(volume);

	return offset_bytes % block_bytes == 0 && size_bytes % block_bytes == 0;
}

static void read_done(struct volume_request *slot)
{
	fuse_req_t request = slot->user;

	if (slot->result != 0)
		fuse_reply_err(request, -slot->result);
	else
		fuse_reply_buf(request, (const char *)slot->buffer, slot->size_bytes);
	volume_request_release(slot);
}

static void write_done(struct volume_request *slot)
{
	fuse_req_t request = slot->user;

	if (slot->result != 0)
		fuse_reply_err(request, -slot->result);
	else
		fuse_reply_write(request, slot->size_bytes);
	volume_request_release(slot);
}

static void status_done(struct volume_request *slot)
{
	fuse_req_t request = slot->user;

	fuse_reply_err(request, -slot->result);
	volume_request_release(slot);
}

static void do_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	struct volume *volume = file_of(request)->volume;
	uint64_t end = volume_size_bytes(volume);
	struct volume_request *slot;

	(void)info;
	if (inode != INODE_VOLUME || offset < 0) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	/* Beyond the end there is nothing, however much of it is asked for. */
	if ((uint64_t)offset >= end || size == 0) {
		fuse_reply_buf(request, NULL, 0);
		return;
	}
	if (!is_aligned(volume, (uint64_t)offset, size)) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	slot = slot_acquire(request);
	if (slot == NULL)
		return;
	if (size > end - (uint64_t)offset)
		size = end - (uint64_t)offset;
	slot->type = IO_READ;
	slot->offset_bytes = (uint64_t)offset;
	slot->size_bytes = size < IO_BYTES_MAX ? size : IO_BYTES_MAX;
	slot->done = read_done;
	volume_request_submit(slot);
}

/* The bytes are libfuse's and gone when the handler returns. Return: false if some are missing. */
static bool bytes_take(struct volume_request *slot, struct fuse_bufvec *bytes)
{
	struct fuse_bufvec target = FUSE_BUFVEC_INIT(slot->size_bytes);

	target.buf[0].mem = slot->buffer;
	return fuse_buf_copy(&target, bytes, 0) == (ssize_t)slot->size_bytes;
}

static void do_write(fuse_req_t request, fuse_ino_t inode, struct fuse_bufvec *bytes, off_t offset,
		     struct fuse_file_info *info)
{
	struct volume *volume = file_of(request)->volume;
	uint64_t end = volume_size_bytes(volume);
	size_t size = fuse_buf_size(bytes);
	struct volume_request *slot;

	(void)info;
	if (inode != INODE_VOLUME || offset < 0 || size > IO_BYTES_MAX ||
	    !is_aligned(volume, (uint64_t)offset, size)) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	if ((uint64_t)offset >= end) {
		fuse_reply_err(request, ENOSPC);
		return;
	}
	if (size == 0) {
		fuse_reply_write(request, 0);
		return;
	}
	slot = slot_acquire(request);
	if (slot == NULL)
		return;
	if (size > end - (uint64_t)offset)
		size = end - (uint64_t)offset;
	slot->type = IO_WRITE;
	slot->offset_bytes = (uint64_t)offset;
	slot->size_bytes = size;
	slot->done = write_done;
	if (!bytes_take(slot, bytes)) {
		volume_request_release(slot);
		fuse_reply_err(request, EIO);
		return;
	}
	volume_request_submit(slot);
}

static void do_fsync(fuse_req_t request, fuse_ino_t inode, int is_data_only,
		     struct fuse_file_info *info)
{
	struct volume_request *slot;

	(void)is_data_only;
	(void)info;
	if (inode != INODE_VOLUME) {
		fuse_reply_err(request, 0);
		return;
	}
	slot = slot_acquire(request);
	if (slot == NULL)
		return;
	slot->type = IO_FLUSH;
	slot->offset_bytes = 0;
	slot->size_bytes = 0;
	slot->done = status_done;
	volume_request_submit(slot);
}

/* Which operation zeroes a range. Return: false if the volume has none. */
static bool zeroing_choose(const struct volume *volume, int mode, enum io_type *ret_type)
{
	bool is_hole = (mode & FALLOC_FL_PUNCH_HOLE) != 0;

	if (is_hole && volume_can(volume, IO_UNMAP) && volume_unmap_zeroes(volume))
		*ret_type = IO_UNMAP;
	else if (volume_can(volume, IO_WRITE_ZEROES))
		*ret_type = IO_WRITE_ZEROES;
	else
		return false;
	return true;
}

static void do_fallocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length,
			 struct fuse_file_info *info)
{
	struct volume *volume = file_of(request)->volume;
	uint64_t end = volume_size_bytes(volume);
	struct volume_request *slot;
	enum io_type type;

	(void)info;
	if (inode != INODE_VOLUME || (mode & ~SUPPORTED_MODES) != 0 ||
	    (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0 ||
	    !zeroing_choose(volume, mode, &type)) {
		fuse_reply_err(request, EOPNOTSUPP);
		return;
	}
	if (offset < 0 || length <= 0 || !is_aligned(volume, (uint64_t)offset, (uint64_t)length)) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	if ((uint64_t)offset >= end) {
		fuse_reply_err(request, 0);
		return;
	}
	slot = slot_acquire(request);
	if (slot == NULL)
		return;
	slot->type = type;
	slot->offset_bytes = (uint64_t)offset;
	slot->size_bytes = (uint64_t)length < end - (uint64_t)offset ? (uint64_t)length
								     : end - (uint64_t)offset;
	slot->done = status_done;
	volume_request_submit(slot);
}

/* --- session -----------------------------------------------------------------------------------
 */

static void do_init(void *user, struct fuse_conn_info *connection)
{
	(void)user;
	connection->max_write = IO_BYTES_MAX;
	connection->max_read = IO_BYTES_MAX;
	connection->max_background = BACKGROUND_MAX;
	connection->congestion_threshold = BACKGROUND_BUSY;
	connection->want |= connection->capable & FUSE_CAP_ASYNC_DIO;
	connection->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
					    FUSE_CAP_SPLICE_MOVE);
}

static const struct fuse_lowlevel_ops operations = {
	.init = do_init,
	.lookup = do_lookup,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.open = do_open,
	.read = do_read,
	.write_buf = do_write,
	.fsync = do_fsync,
	.readdir = do_readdir,
	.fallocate = do_fallocate,
};

/* Commas separate mount options: they are escaped in the source's name. */
static void mount_options_format(const char *source, char ret_text[MOUNT_OPTIONS_BYTES])
{
	int used =
		snprintf(ret_text, MOUNT_OPTIONS_BYTES,
			 "max_read=%d,default_permissions,subtype=mayastor,fsname=", IO_BYTES_MAX);

	for (const char *at = source; *at != '\0' && used < MOUNT_OPTIONS_BYTES - 3; at++) {
		if (*at == ',' || *at == '\\')
			ret_text[used++] = '\\';
		ret_text[used++] = *at;
	}
	ret_text[used] = '\0';
}

static struct fuse_session *session_create(struct fuse_file *file,
					   const struct fuse_file_options *options)
{
	char mount_options[MOUNT_OPTIONS_BYTES];
	char program[] = "mayastor-attach";
	char flag[] = "-o";
	char *argv[] = {program, flag, mount_options, NULL};
	struct fuse_args arguments = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *session;

	mount_options_format(options->source, mount_options);
	session = fuse_session_new(&arguments, &operations, sizeof(operations), file);
	fuse_opt_free_args(&arguments);
	return session;
}

/* Serves, and ends in order. The file is mounted. */
static int session_run(struct fuse_file *file, const struct fuse_file_options *options)
{
	int rc = fuse_session_loop(file->session);

	log_info(file->log, "%s: ending (%d)", options->mount, rc);
	if (!volume_drain(file->volume, DRAIN_MS)) {
		log_error(
			file->log,
			"%s: requests are still out, what they wrote may be lost: the engine does "
			"not answer",
			options->mount);
		umount2(options->mount, MNT_DETACH);
		return -EBUSY;
	}
	fuse_session_unmount(file->session);
	return 0;
}

int fuse_file_serve(const struct fuse_file_options *options, void (*ready)(void *argument),
		    void *argument)
{
	struct fuse_file file = {.volume = options->volume, .log = options->log};
	int rc = -EIO;

	clock_gettime(CLOCK_REALTIME, &file.started_at);
	file.session = session_create(&file, options);
	if (file.session == NULL)
		return -EINVAL;
	if (fuse_set_signal_handlers(file.session) != 0)
		goto out_session;
	if (fuse_session_mount(file.session, options->mount) != 0)
		goto out_handlers;
	ready(argument);
	rc = session_run(&file, options);
	if (rc == -EBUSY)
		return rc;
out_handlers:
	fuse_remove_signal_handlers(file.session);
out_session:
	fuse_session_destroy(file.session);
	return rc;
}
