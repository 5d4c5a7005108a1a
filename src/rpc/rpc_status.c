/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_status.c - names and mappings of the gRPC outcomes.
 *
 * Invariant: the name table is in the order of the wire's numbers.
 */
#include "rpc/rpc_status.h"

#include "base/assert.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const status_names[] = {
	"OK",
	"CANCELLED",
	"UNKNOWN",
	"INVALID_ARGUMENT",
	"DEADLINE_EXCEEDED",
	"NOT_FOUND",
	"ALREADY_EXISTS",
	"PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION",
	"ABORTED",
	"OUT_OF_RANGE",
	"UNIMPLEMENTED",
	"INTERNAL",
	"UNAVAILABLE",
	"DATA_LOSS",
	"UNAUTHENTICATED",
};

STATIC_ASSERT(sizeof(status_names) / sizeof(status_names[0]) == RPC_STATUS_COUNT);

const char *rpc_status_name(enum rpc_status status)
{
	if ((unsigned)status >= RPC_STATUS_COUNT)
		return "UNKNOWN";
	return status_names[status];
}

bool rpc_status_parse(const char *name, enum rpc_status *ret_status)
{
	ASSERT(name != NULL && ret_status != NULL);
	for (unsigned i = 0; i < RPC_STATUS_COUNT; i++) {
		if (strcmp(name, status_names[i]) != 0)
			continue;
		*ret_status = (enum rpc_status)i;
		return true;
	}
	return false;
}

enum rpc_status rpc_status_of_number(const char *text)
{
	unsigned value = 0;
	size_t length = strlen(text);

	if (length == 0 || length > 2)
		return RPC_UNKNOWN;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return RPC_UNKNOWN;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	return value < RPC_STATUS_COUNT ? (enum rpc_status)value : RPC_UNKNOWN;
}

/* gRPC "HTTP to gRPC Status Code Mapping". */
enum rpc_status rpc_status_of_http(uint32_t http_status)
{
	switch (http_status) {
	case 400:
		return RPC_INTERNAL;
	case 401:
		return RPC_UNAUTHENTICATED;
	case 403:
		return RPC_PERMISSION_DENIED;
	case 404:
		return RPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return RPC_UNAVAILABLE;
	default:
		return RPC_UNKNOWN;
	}
}

enum rpc_status rpc_status_of_errno(int result)
{
	switch (-result) {
	case 0:
		return RPC_OK;
	case EINVAL:
		return RPC_INVALID_ARGUMENT;
	case ENOENT:
	case ENODEV:
		return RPC_NOT_FOUND;
	case EEXIST:
		return RPC_ALREADY_EXISTS;
	case ENOSPC:
	case ENOMEM:
		return RPC_RESOURCE_EXHAUSTED;
	case EBUSY:
		return RPC_FAILED_PRECONDITION;
	case ENOTSUP:
		return RPC_UNIMPLEMENTED;
	case ETIMEDOUT:
		return RPC_DEADLINE_EXCEEDED;
	default:
		return RPC_INTERNAL;
	}
}
