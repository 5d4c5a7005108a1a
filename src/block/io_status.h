/* SPDX-License-Identifier: Apache-2.0 */
/* io_status.h - how an I/O ended. NVMe status codes exist only in target/ and initiator/. */
#ifndef BLOCK_IO_STATUS_H
#define BLOCK_IO_STATUS_H

#include <stdbool.h>

enum io_status {
	IO_OK,
	IO_MEDIUM_ERROR,    /* the device cannot read or write these blocks */
	IO_INTEGRITY_ERROR, /* a digest or checksum did not match */
	IO_NO_SPACE,	    /* capacity exceeded; nothing is wrong with the device */
	IO_DEVICE_GONE,	    /* removed, or its connection is lost */
	IO_TIMED_OUT,
	IO_ABORTED, /* by request of the submitter's side */
	IO_COMPARE_FAILED,
	IO_RESERVATION_CONFLICT, /* fenced: somebody else holds the namespace */
	IO_NOT_RECORDED, /* a loss could not be made durable, so it is not answered as done */
	IO_READ_ONLY,
	IO_UNSUPPORTED,
	IO_INVALID,   /* out of range or malformed */
	IO_NOT_READY, /* try again or on another path */
	IO_INTERNAL_ERROR,
};

/** "ok", "medium error" ... */
const char *io_status_text(enum io_status status);

/** From a negative errno of a disk operation. */
enum io_status io_status_from_errno(int error);

#endif
