/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_status.h - the 17 outcomes of a gRPC call (gRPC "status codes" document). */
#ifndef RPC_RPC_STATUS_H
#define RPC_RPC_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/* The values are those of the wire (trailer "grpc-status"). */
enum rpc_status {
	RPC_OK = 0,
	RPC_CANCELLED = 1,
	RPC_UNKNOWN = 2,
	RPC_INVALID_ARGUMENT = 3,
	RPC_DEADLINE_EXCEEDED = 4,
	RPC_NOT_FOUND = 5,
	RPC_ALREADY_EXISTS = 6,
	RPC_PERMISSION_DENIED = 7,
	RPC_RESOURCE_EXHAUSTED = 8,
	RPC_FAILED_PRECONDITION = 9,
	RPC_ABORTED = 10,
	RPC_OUT_OF_RANGE = 11,
	RPC_UNIMPLEMENTED = 12,
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14,
	RPC_DATA_LOSS = 15,
	RPC_UNAUTHENTICATED = 16,
};

#define RPC_STATUS_COUNT 17

/** "NOT_FOUND"; "UNKNOWN" for a value that is none. Return: a constant text. */
const char *rpc_status_name(enum rpc_status status);

/** The status of a name such as "NOT_FOUND". Return: false and *ret_status untouched if none. */
bool rpc_status_parse(const char *name, enum rpc_status *ret_status);

/**
 * rpc_status_of_number - the text of "grpc-status" as a status
 * Return: RPC_UNKNOWN for anything that is no number from 0 to 16.
 */
enum rpc_status rpc_status_of_number(const char *text);

/** What a client reports when an HTTP answer carries no grpc-status. */
enum rpc_status rpc_status_of_http(uint32_t http_status);

/**
 * rpc_status_of_errno - a negative errno as the device-creation rules have it
 * EINVAL: INVALID_ARGUMENT; ENOENT, ENODEV: NOT_FOUND; EEXIST: ALREADY_EXISTS; ENOSPC, ENOMEM:
 * RESOURCE_EXHAUSTED; EBUSY: FAILED_PRECONDITION; ENOTSUP: UNIMPLEMENTED; ETIMEDOUT:
 * DEADLINE_EXCEEDED; others: INTERNAL; 0: OK.
 */
enum rpc_status rpc_status_of_errno(int result);

#endif
