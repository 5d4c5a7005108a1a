/* SPDX-License-Identifier: Apache-2.0 */
/* io_status.c - names of outcomes, and what the errno of a disk operation means.
 *
 * Invariants:
 *  1. Every status has a text; every errno has a status that is not IO_OK.
 *  2. A lack of room is never taken for a fault of the device, nor the other way round.
 */
#include "block/io_status.h"

#include "base/assert.h"

#include <errno.h>

const char *io_status_text(enum io_status status)
{
	switch (status) {
	case IO_OK:
		return "ok";
	case IO_MEDIUM_ERROR:
		return "medium error";
	case IO_INTEGRITY_ERROR:
		return "integrity error";
	case IO_NO_SPACE:
		return "no space";
	case IO_DEVICE_GONE:
		return "device gone";
	case IO_TIMED_OUT:
		return "timed out";
	case IO_ABORTED:
		return "aborted";
	case IO_COMPARE_FAILED:
		return "compare failed";
	case IO_RESERVATION_CONFLICT:
		return "reservation conflict";
	case IO_NOT_RECORDED:
		return "loss not recorded";
	case IO_READ_ONLY:
		return "read only";
	case IO_UNSUPPORTED:
		return "unsupported";
	case IO_INVALID:
		return "invalid";
	case IO_NOT_READY:
		return "not ready";
	case IO_INTERNAL_ERROR:
		return "internal error";
	}
	return "unknown";
}

/*
 * Linux turns the outcome of a block request into an errno (block/blk-core.c, blk_errors): ENODATA
 * is a medium error, EREMOTEIO a target's, EILSEQ a protection error, EBADE a reservation
 * conflict, ENOLINK a lost path, ETIME a command that was given up.
 */
enum io_status io_status_from_errno(int error)
{
	ASSERT(error < 0);

	switch (-error) {
	case EIO:
	case ENODATA:
	case EREMOTEIO:
		return IO_MEDIUM_ERROR;
	case EILSEQ:
	case EBADMSG:
		return IO_INTEGRITY_ERROR;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return IO_NO_SPACE;
	case ENODEV:
	case ENXIO:
	case ENOENT:
	case ENOLINK:
	case ESHUTDOWN:
		return IO_DEVICE_GONE;
	case ETIME:
	case ETIMEDOUT:
		return IO_TIMED_OUT;
	case ECANCELED:
	case EINTR:
		return IO_ABORTED;
	case EBADE:
		return IO_RESERVATION_CONFLICT;
	case EROFS:
	case EPERM:
	case EACCES:
		return IO_READ_ONLY;
	case EOPNOTSUPP:
	case ENOSYS:
		return IO_UNSUPPORTED;
	case EINVAL:
		return IO_INVALID;
	case EAGAIN:
	case EBUSY:
	case ENOMEM:
		return IO_NOT_READY;
	default:
		return IO_INTERNAL_ERROR;
	}
}
